"""Memory of a process that runs for months: few arenas of the C library's allocator.

glibc gives every thread an arena of its own, up to eight a core, and none of them gives back what another could use.
A daemon of 16 streams has forty threads, most of which wait: its arenas alone grew by 12 MB in half an hour (the soak
test). Two are enough, since what is large lives in rings that are made once.
"""

import contextlib
import ctypes
import gc
import os

ARENAS = 2
_M_ARENA_MAX = -8  # malloc.h of glibc


def few_arenas() -> bool:
    """Before the first thread is started. Whether it could be done: only glibc has arenas.

    `MALLOC_ARENA_MAX` in the environment is what somebody wants who knows better, and is left alone.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
    except (AttributeError, OSError):
        return False


def give_back() -> None:
    """What was freed goes back to the system: an engine that was let go lies in pieces of its arenas otherwise."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
