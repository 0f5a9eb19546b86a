"""A process that records as fast as it can, for a test to kill.

    writing_process.py FOLDER BITS CHANNELS

The samples are `tests.daemon.recording.making.exact` of 0.5 s over and over, at 16 kHz; each second written a line
with the number of samples taken so far goes to stdout.
"""

import dataclasses
import sys
import time
from pathlib import Path

from glatd.audio import Block
from glatd.daemon.recording import writer
from glatd.messages import Gap
from tests.daemon.recording.making import HEADER, exact

RATE = 16_000  # Hz


def main(folder: Path, bits: int | None, channels: int) -> None:
    """Record until killed; segments of 2 s."""
    writer.TURN_SECONDS, writer.FLUSH_SECONDS = 0.002, 0.004  # so that a kill hits every line of the writer
    samples = exact(RATE // 2, channels, bits)
    recorder = writer.Recorder(folder, dataclasses.replace(HEADER), segment_seconds=2.0, reserve=0)
    stream = recorder.stream("yard", "mic:")
    at = 0
    while True:
        for first in range(0, len(samples), 160):
            piece = samples[first : first + 160]
            stream.take(Block(at, piece, RATE, time.monotonic(), bits))
            at += len(piece)
        recorder(Gap("n", "s", "yard", "", start=at, end=at + 1, rate=RATE, cause="none"))
        print(at, flush=True)
        time.sleep(0.005)


if __name__ == "__main__":
    main(Path(sys.argv[1]), None if sys.argv[2] == "float" else int(sys.argv[2]), int(sys.argv[3]))
