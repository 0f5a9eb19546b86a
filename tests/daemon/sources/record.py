"""Iterates a source in a process of its own and tells what it gave, as JSON lines; run by the tests.

usage: record.py URI SECONDS [OUT.npy]     stops the source so many seconds after its first block
"""

import json
import sys
import threading
import time

import numpy as np

from glatd.daemon.sources.uri import parse_source
from glatd.errors import SourceError


def tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


def main(uri: str, seconds: str, out: str = "") -> None:
    source = parse_source(uri)
    stopped_at = [0.0]

    def stop() -> None:
        stopped_at[0] = time.monotonic()
        source.stop()

    timer = threading.Timer(float(seconds), stop)
    timer.daemon = True
    pieces, jumps, end, error = [], [], 0, ""
    try:
        for block in source.blocks():
            if not pieces:
                timer.start()
                tell(rate=block.rate, channels=block.samples.shape[1], arrival=block.arrival, now=time.monotonic())
            if block.start != end:
                jumps.append((end, block.start - end))
            pieces.append(block.samples)
            end = block.start + len(block.samples)
    except SourceError as caught:
        error = str(caught)
    ended = time.monotonic()
    if out:
        np.save(out, np.concatenate(pieces))
    tell(jumps=jumps, end=end, error=error, late=ended - stopped_at[0] if stopped_at[0] else None)


main(*sys.argv[1:])
