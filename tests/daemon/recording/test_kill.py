"""A recording that was killed is readable up to what was written."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from glatd.audio import Missing
from glatd.daemon.recording.layout import INDEX, SAID, TOO_SLOW
from glatd.daemon.recording.lines import read_lines
from glatd.daemon.recording.reader import open_recording
from tests.conftest import ROOT
from tests.daemon.recording.making import blocks, exact, joined, record, same_bits

RATE = 16_000  # Hz


def record_and_kill(folder: Path, bits: int | None, channels: int, seconds: float, written: bool = False) -> int:
    """Kill a recording process some time after its first line, or after it has written something; samples it took."""
    script = str(Path(__file__).with_name("writing_process.py"))
    command = [
        sys.executable,
        "-c",
        f"import runpy, sys; sys.argv[0] = {script!r}; runpy.run_path({script!r}, run_name='__main__')",
    ]
    with subprocess.Popen(
        [*command, str(folder), str(bits or "float"), str(channels)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            while written and not _has_written(folder / "stream-yard" / INDEX):
                time.sleep(0.01)
            time.sleep(seconds)
        finally:
            process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.readlines()]
    return int([line for line in lines if line.endswith("\n")][-1])


def _has_written(index: Path) -> bool:
    return index.exists() and any(line["type"] == "flushed" for line in read_lines(index))


def check(folder: Path, bits: int | None, channels: int, taken: int) -> int:
    """The recording is a beginning of what was taken, and so is each of its files; samples read."""
    streams = open_recording(folder).streams
    if not streams:
        return 0
    (source,) = streams
    pattern = exact(RATE // 2, channels, bits)
    read = 0
    for piece in joined(source.blocks()):
        if isinstance(piece, Missing):  # a hundred times real time is too much for a busy machine, and told
            assert piece.cause == TOO_SLOW
            continue
        start, samples = piece
        turns = -(-(start + len(samples)) // len(pattern))
        assert same_bits(samples, np.concatenate([pattern] * turns)[start : start + len(samples)])
        read += len(samples)
    assert not source.complete
    in_files = 0
    for path in sorted(source.folder.glob("*.*")):
        if path.name == INDEX:
            continue
        # What another program makes of it: all that the index tells of, and at most a frame more.
        with av.open(str(path)) as container:
            in_files += sum(frame.samples for frame in container.decode(audio=0))
    assert in_files >= read
    said = list(read_lines(folder / SAID))
    assert [message["start"] for message in said] == [(turn + 1) * RATE // 2 for turn in range(len(said))]
    assert taken >= 0
    return read


KINDS: list[tuple[int | None, int]] = [(16, 1), (24, 6), (None, 2)]


@pytest.mark.parametrize(("bits", "channels"), KINDS)
def test_a_kill_leaves_a_recording(tmp_path: Path, bits: int | None, channels: int) -> None:
    taken = record_and_kill(tmp_path / "rec", bits, channels, random.uniform(0.0, 0.5), True)
    assert check(tmp_path / "rec", bits, channels, taken) > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_at_any_of_a_hundred_moments_leaves_a_recording(tmp_path: Path) -> None:
    read = 0
    for turn in range(100):
        bits, channels = KINDS[turn % len(KINDS)]
        folder = tmp_path / f"{turn}"
        read += check(folder, bits, channels, record_and_kill(folder, bits, channels, random.uniform(0.0, 0.5)))
    assert read > 100 * RATE


def test_an_index_whose_last_line_is_torn_is_read_up_to_it(tmp_path: Path) -> None:
    samples = exact(3 * RATE, 1, 16)
    source = record(tmp_path / "rec", blocks(samples, [320], RATE, 16), seconds=1.0)
    index = source.folder / INDEX
    lines = index.read_bytes().splitlines(keepends=True)
    for cut in range(len(lines)):
        for torn in (b"", lines[cut][: len(lines[cut]) // 2]):
            index.write_bytes(b"".join(lines[:cut]) + torn)
            if cut == 0:
                continue
            (again,) = open_recording(tmp_path / "rec").streams
            read = [piece for piece in joined(again.blocks()) if isinstance(piece, tuple)]
            assert all(same_bits(part, samples[start : start + len(part)]) for start, part in read)
            expected = sum(json.loads(line)["type"] == "flushed" for line in lines[:cut])
            assert sum(len(part) for _, part in read) == min(expected * RATE, 3 * RATE)


@pytest.mark.parametrize("bits", [16, None])
def test_what_a_loss_of_power_has_torn_is_a_gap_at_its_place(tmp_path: Path, bits: int | None) -> None:
    samples = exact(4 * RATE, 1, bits)
    source = record(tmp_path / "rec", blocks(samples, [320], RATE, bits), seconds=1.0)
    files = sorted(path for path in source.folder.iterdir() if path.name != INDEX)
    data = bytearray(files[1].read_bytes())
    data[len(data) // 2] ^= 0x40
    files[1].write_bytes(data)
    files[2].write_bytes(files[2].read_bytes()[:-1])
    found = joined(source.blocks())
    assert [piece for piece in found if isinstance(piece, Missing)] == [
        Missing(2 * RATE, RATE, "recording damaged"), Missing(3 * RATE, RATE, "recording damaged"),
    ]  # fmt: skip
    first, last = (piece for piece in found if isinstance(piece, tuple))
    assert same_bits(first[1], samples[:RATE])
    assert last[0] == 3 * RATE and same_bits(last[1], samples[3 * RATE :])
    files[3].unlink()
    assert joined(source.blocks())[-1] == Missing(4 * RATE, RATE, "recording damaged")
