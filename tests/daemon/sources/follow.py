"""Iterates sources again and again, as the daemon does, and tells what happens as JSON lines; run by the tests.

usage: follow.py URI...     lines on stdin: `stop URI` stops one, `count` tells what is in use; its end stops all
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

from glatd.daemon.sources.base import Source
from glatd.daemon.sources.uri import parse_source
from glatd.errors import SourceError

PAUSE_S = 0.3


def tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")  # in one piece: several threads tell
    sys.stdout.flush()


def follow(uri: str, source: Source, stopped: threading.Event) -> None:
    while not stopped.is_set():
        end, given, peaks, jumps, error = 0, 0, np.zeros(0), [], ""
        try:
            for block in source.blocks():
                if not given:
                    peaks = np.zeros(block.samples.shape[1])
                    tell(uri=uri, what="live", rate=block.rate, channels=block.samples.shape[1])
                if block.start != end:
                    jumps.append((end, block.start - end))
                end = block.start + len(block.samples)
                given += len(block.samples)
                peaks = np.maximum(peaks, np.abs(block.samples).max(axis=0))
        except SourceError as caught:
            error = str(caught)
        tell(uri=uri, what="ended", error=error, given=given, jumps=jumps, peaks=peaks.round(4).tolist())
        stopped.wait(PAUSE_S)


def count() -> None:
    with open("/proc/self/status") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    children = sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children"))
    # One of the descriptors is that of the folder.
    descriptors = len(os.listdir("/proc/self/fd")) - 1
    tell(what="count", threads=threading.active_count(), descriptors=descriptors, resident=resident, children=children)


def main(uris: list[str]) -> None:
    sources = {uri: (parse_source(uri), threading.Event()) for uri in uris}
    threads = {uri: threading.Thread(target=follow, args=(uri, *pair)) for uri, pair in sources.items()}
    for thread in threads.values():
        thread.start()

    def stop(uri: str) -> None:
        source, stopped = sources[uri]
        stopped.set()
        asked = time.monotonic()
        source.stop()
        threads[uri].join()
        tell(uri=uri, what="stopped", late=time.monotonic() - asked)

    for line in sys.stdin:
        command, _, uri = line.strip().partition(" ")
        if command == "stop":
            stop(uri)
        else:
            count()
    for uri in uris:
        if threads[uri].is_alive():
            stop(uri)


main(sys.argv[1:])
