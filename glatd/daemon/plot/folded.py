"""Rows along time, of which there are never more than fit on a page."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Folded:
    """The largest value of each row's stretch of time. When rows would be too many, two become one.

    So the picture of a night needs no more memory than that of ten minutes, and no click is averaged away.

    Args:
        width: values a row.
        seconds: of a row, at first.
        most: rows, an even number.
    """

    def __init__(self, width: int, seconds: float, most: int) -> None:
        assert most % 2 == 0, most
        self.seconds = seconds  # of a row as it is now
        self._rows: Floats = np.full((most, width), -np.inf, np.float32)
        self._count = 0

    def add(self, start: float, rows: Floats, seconds: float) -> None:
        """Rows [n, width] of `seconds` each, the first of them from second `start` on; none of before 0 is kept."""
        middles = start + seconds * (np.arange(len(rows)) + 0.5)
        rows, middles = rows[middles >= 0], middles[middles >= 0]
        if not len(rows):
            return
        while middles[-1] >= self.seconds * len(self._rows):
            self._fold()
        places = (middles / self.seconds).astype(np.intp)
        np.maximum.at(self._rows, places, rows)
        self._count = max(self._count, int(places[-1]) + 1)

    def rows(self) -> Floats:
        """[n, width] of all time until now; minus infinity where nothing was added."""
        return self._rows[: self._count]

    def _fold(self) -> None:
        half = len(self._rows) // 2
        self._rows[:half] = np.maximum(self._rows[0::2], self._rows[1::2])
        self._rows[half:] = -np.inf
        self.seconds, self._count = 2 * self.seconds, -(-self._count // 2)
