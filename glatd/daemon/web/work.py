"""What takes long is done in a thread of its own, one thing at a time, and rests for as long as it works.

So the loop's thread, which shares the interpreter's lock with it, never waits for more than a moment.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from glatd.daemon.web.asking import Refused

T = TypeVar("T")

MOST_WAITING = 8  # requests
TURN_S = 0.002  # of work between two rests
LONGEST_REST_S = 0.02


class Pace:
    """Called between two steps of a work.

    Args:
        stopped: the daemon ends.
        left: whoever asked does not wait any more.
    """

    def __init__(self, stopped: threading.Event, left: threading.Event) -> None:
        self._stopped, self._left = stopped, left
        self._since = time.monotonic()

    def __call__(self) -> None:
        """Rest, if it is time.

        Raises:
            Refused: the daemon ends, or nobody waits.
        """
        if self._left.is_set():
            raise Refused(400, "whoever asked has left")
        worked = time.monotonic() - self._since
        if worked < TURN_S:
            return
        if self._stopped.wait(min(worked, LONGEST_REST_S)):
            raise Refused(503, "the daemon ends; ask again when it runs")
        self._since = time.monotonic()


class Work:
    """A worker, until `close`.

    Args:
        name: of its thread.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, f"web {name}")
        self._stopped = threading.Event()
        self._waiting = 0

    async def do(self, function: Callable[[Pace], T], left: threading.Event | None = None) -> T:
        """Have something done; it is given its pace.

        Args:
            left: set when whoever asked does not wait any more.

        Raises:
            Refused: too much waits already.
        """
        if self._waiting >= MOST_WAITING:
            raise Refused(429, f"{MOST_WAITING} requests wait already; ask again in a moment")
        self._waiting += 1

        def work() -> T:
            pace = Pace(self._stopped, left or threading.Event())
            pace()
            return function(pace)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self, last: Callable[[], None] = lambda: None) -> None:
        """Stop what is done at its next rest, and then do a last thing."""
        self._stopped.set()
        self._pool.submit(last)
        self._pool.shutdown(wait=False)
