"""A graph that costs memory only once it is asked for: those that a trunk stands for hardly ever are."""

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Graph


class Later:
    """A graph that was read, and is compiled when it is first run: once, whichever of the lanes comes first."""

    def __init__(self, make: Callable[[], Graph]) -> None:
        self._make: Callable[[], Graph] | None = make
        self._graph: Graph | None = None
        self._lock = threading.Lock()

    def __call__(self, *inputs: NDArray[np.float32]) -> tuple[NDArray[np.generic], ...]:
        """Run it."""
        with self._lock:
            if self._make is not None:
                self._graph, self._make = self._make(), None  # what was read is let go
        assert self._graph is not None
        return self._graph(*inputs)
