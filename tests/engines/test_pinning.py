"""Inference may run on any core: pinned, every process on a box would compute on the same first one."""

import subprocess
import sys

import pytest

SECONDS = 1.0
# In a process of its own: other libraries that tests load pin threads of theirs.
LOOKING = f"""
import os, threading, time
import numpy as np
from glatd.engines.load import load_engine

engine = load_engine(None, 1)
sizes = engine.sizes
frames, audible = np.zeros((1, sizes.window, sizes.mels), np.float32), np.ones((1, sizes.frames), np.float32)
allowed, seen, done = frozenset(os.sched_getaffinity(0)), set(), threading.Event()

def look_at_threads():
    while not done.is_set():
        for name in os.listdir("/proc/self/task"):
            try:
                seen.add(frozenset(os.sched_getaffinity(int(name))))
            except OSError:  # it has ended
                continue
        time.sleep(0.001)

looking = threading.Thread(target=look_at_threads)
looking.start()
until = time.monotonic() + {SECONDS}
while time.monotonic() < until:
    engine.look_globally(frames, audible)
done.set()
looking.join()
print(seen == {{allowed}}, seen)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="affinities of threads are read as Linux tells them")
def test_no_thread_is_pinned_while_it_computes() -> None:
    done = subprocess.run([sys.executable, "-c", LOOKING], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True"), done.stdout
