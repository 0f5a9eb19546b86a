"""The allocator's arenas: few, however many threads allocate."""

import os
import platform
import subprocess
import sys

import pytest

# Threads that wait for each other, so that each wants an arena of its own; then glibc's own count.
COUNT = """
import ctypes, threading
from glatd.daemon.memory import few_arenas
print(few_arenas())
barrier = threading.Barrier(16)
def work():
    kept = [bytes(2000) for _ in range(200)]
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
@pytest.mark.parametrize(("wish", "done", "least", "most"), [(None, "True", 1, 2), ("8", "False", 3, 8)])
def test_few_arenas_unless_the_environment_says_how_many(wish: str | None, done: str, least: int, most: int) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "MALLOC_ARENA_MAX"}
    if wish is not None:
        environment["MALLOC_ARENA_MAX"] = wish
    ran = subprocess.run([sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == done
    assert least <= ran.stderr.count("Arena ") <= most
