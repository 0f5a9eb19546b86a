"""A cursor that stays behind what is on its way: it moves when the far side has acknowledged all up to there."""

import threading
from collections import deque

from glatd.clients.cursor import Cursor, Position


class Behind:
    """What `EventStream` saves is put off until everything that was handed over before has been acknowledged, in
    whatever order the acknowledgements come.

    `ticket`, `save` and `flush` belong to the thread of the stream; `done` may come from any.

    Args:
        cursor: the real one.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._lock = threading.Lock()
        self._last = 0  # ticket that was given out last
        self._way: dict[int, None] = {}  # tickets of events on their way, the oldest first
        self._marks: deque[tuple[int, str, Position]] = deque()  # what may be saved once this ticket is done

    @property
    def on_the_way(self) -> int:
        """Events that are not acknowledged yet."""
        return len(self._way)

    def ticket(self) -> int:
        """For an event that is about to be handed over."""
        with self._lock:
            self._last += 1
            self._way[self._last] = None
            return self._last

    def done(self, ticket: int) -> None:
        """An event has been acknowledged; once more does no harm."""
        with self._lock:
            self._way.pop(ticket, None)

    def load(self, node: str) -> Position | None:
        """What was saved last."""
        return self._cursor.load(node)

    def save(self, node: str, position: Position) -> None:
        """Remember it, as soon as what has a ticket by now is done.

        Raises:
            ConfigError: it cannot be written.
        """
        self._marks.append((self._last, node, position))
        self.flush()

    def flush(self) -> None:
        """Save what may be saved by now.

        Raises:
            ConfigError: it cannot be written.
        """
        due = {}
        with self._lock:
            oldest = next(iter(self._way), self._last + 1)
        while self._marks and self._marks[0][0] < oldest:
            _, node, due[node] = self._marks.popleft()
        for node, position in due.items():
            self._cursor.save(node, position)
