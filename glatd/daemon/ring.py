"""A ring of rows addressed by their absolute index; any stretch of it is one contiguous array."""

import numpy as np
from numpy.typing import NDArray

from glatd.errors import DataError

Floats = NDArray[np.float32]


class Ring:
    """Keeps the last `capacity` rows. Row indices count from wherever `reset` put the start.

    Rows lie in a buffer of a sixteenth more than the capacity; when it is full the newest move to the front, so that a
    view is always contiguous. Of 10 s of samples that is 1.4 MB every 0.7 s, 0.2 ms of a core in each second; of
    twice the capacity each would move once, and a stream would take 1.8 MB more.

    Args:
        capacity: rows kept.
        width: values a row; 0 for a ring of single samples.
    """

    def __init__(self, capacity: int, width: int = 0) -> None:
        room = capacity + max(1, capacity // 16)
        shape = (room, width) if width else (room,)
        self._rows: Floats = np.zeros(shape, np.float32)
        self.capacity = capacity
        self._first = 0  # absolute index of buffer row 0
        self._held = 0  # buffer rows in use

    @property
    def end(self) -> int:
        """Absolute index after the newest row."""
        return self._first + self._held

    @property
    def bytes(self) -> int:
        """Of memory."""
        return self._rows.nbytes

    @property
    def start(self) -> int:
        """Absolute index of the oldest row that is surely kept."""
        return max(self._first, self.end - self.capacity)

    def reset(self, start: int) -> None:
        """Forget everything; the next row will be number `start`."""
        self._first, self._held = start, 0

    def rewind(self, end: int) -> None:
        """Forget the rows from `end` on; the next row will be number `end`.

        Raises:
            DataError: there is no row before it that is kept.
        """
        if not self._first <= end <= self.end:
            raise DataError(f"row {end} is not in the ring, which holds {self._first} to {self.end}")
        self._held = end - self._first

    def append(self, rows: Floats) -> None:
        """Add rows [n] or [n, width]; of more than `capacity` only the newest are kept."""
        skipped = max(0, len(rows) - self.capacity)
        if skipped:
            self._first, self._held, rows = self.end + skipped, 0, rows[skipped:]
        if self._held + len(rows) > len(self._rows):
            kept = min(self._held, self.capacity - len(rows))
            gone = self._held - kept
            for start in range(0, kept, gone):  # in pieces that do not overlap: numpy would copy them first
                end = min(start + gone, kept)
                self._rows[start:end] = self._rows[start + gone : end + gone]
            self._first, self._held = self.end - kept, kept
        self._rows[self._held : self._held + len(rows)] = rows
        self._held += len(rows)

    def view(self, start: int, end: int) -> Floats:
        """Rows [start, end), without a copy; valid until the next `append`.

        Raises:
            DataError: rows that are gone or have not come.
        """
        if not self._first <= start <= end <= self.end:
            raise DataError(f"rows {start} to {end} are not in the ring, which holds {self._first} to {self.end}")
        return self._rows[start - self._first : end - self._first]
