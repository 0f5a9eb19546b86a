"""The scores of all classes of one stream, look by look: what timelines are drawn of.

Two hours at a hop of 0.96 s are 7500 looks of 527 classes: 8 MB a stream in half precision, laid out once.
"""

import numpy as np
from numpy.typing import NDArray

SECONDS = 7200.0

Looks = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float16]]  # as `Memory.since` gives them


class Memory:
    """A ring of looks.

    Args:
        looks: that are remembered.
        classes: C.
    """

    def __init__(self, looks: int, classes: int) -> None:
        self._ends = np.zeros(looks, np.int64)  # samples
        self._walls = np.zeros(looks)  # UNIX seconds
        self._scores = np.zeros((looks, classes), np.float16)
        self._count = 0  # looks so far

    def add(self, end: int, wall: float, scores: NDArray[np.float32] | None) -> None:
        """One more look.

        Args:
            end: sample, of the window.
            wall: UNIX seconds of it.
            scores: [C]; None where the level gate kept the networks from looking.
        """
        if self._count and end <= self._ends[(self._count - 1) % len(self._ends)]:
            self._count = 0  # another stream by the same name
        at = self._count % len(self._ends)
        self._ends[at], self._walls[at] = end, wall
        self._scores[at] = np.nan if scores is None else scores
        self._count += 1

    def since(self, wall: float, classes: list[int]) -> Looks:
        """Copies, oldest first: ends, UNIX seconds, and scores [n, classes], NaN where nobody looked."""
        held = min(self._count, len(self._ends))
        order = np.arange(self._count - held, self._count) % len(self._ends)
        order = order[self._walls[order] >= wall]
        return self._ends[order], self._walls[order], self._scores[order][:, classes]
