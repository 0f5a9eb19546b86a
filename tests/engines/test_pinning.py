"""Inference may run on any core: pinned, every process on a box would compute on the same first one."""

import os
import sys
import threading
import time

import numpy as np
import pytest

from glatd.engines.load import load_engine

SECONDS = 1.0


@pytest.mark.skipif(sys.platform != "linux", reason="affinities of threads are read as Linux tells them")
def test_no_thread_is_pinned_while_it_computes() -> None:
    engine = load_engine(None, 1)
    sizes = engine.sizes
    frames, audible = np.zeros((1, sizes.window, sizes.mels), np.float32), np.ones((1, sizes.frames), np.float32)
    allowed = os.sched_getaffinity(0)
    seen: set[frozenset[int]] = set()
    done = threading.Event()

    def look_at_threads() -> None:
        while not done.is_set():
            for name in os.listdir("/proc/self/task"):
                try:
                    seen.add(frozenset(os.sched_getaffinity(int(name))))
                except OSError:  # it has ended
                    continue
            time.sleep(0.001)

    looking = threading.Thread(target=look_at_threads)
    looking.start()
    try:
        begun = time.monotonic()
        while time.monotonic() - begun < SECONDS:
            engine.look_globally(frames, audible)
    finally:
        done.set()
        looking.join()
    assert seen == {frozenset(allowed)}
