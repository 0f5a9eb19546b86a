"""Lanes: threads on which several windows are looked at side by side, each by one thread.

On a CPU this is the cheap way to use more than one core: two threads on one window make it a sixth faster and cost
twice as much, two windows side by side take as long as one.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
Own = TypeVar("Own")


class Lanes:
    """So many threads, started when they are needed.

    Args:
        count: 1 does everything in the caller's own thread.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "lane") if count > 1 else None

    @property
    def beside(self) -> int:
        """Items to hand out at once: a second one for each lane, so that none waits for what is done with the first."""
        return 2 * self.count if self.count > 1 else 1

    def each(self, function: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """What `function` makes of each item, in order, each as soon as it and those before it are there."""
        if self._pool is None or len(items) < 2:
            yield from map(function, items)
            return
        yield from self._pool.map(function, items)


class PerThread(Generic[Own]):
    """Something of which every thread has one of its own, made when it first asks."""

    def __init__(self, make: Callable[[], Own]) -> None:
        self._make, self._own = make, threading.local()

    def get(self) -> Own:
        """That of the calling thread."""
        found: Own | None = getattr(self._own, "it", None)
        if found is None:
            found = self._own.it = self._make()
        return found
