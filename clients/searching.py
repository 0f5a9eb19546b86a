"""Where a node's events begin that were told at some time or later. Pure: it says what to ask for."""

from glatd.clients.reply import Reply


class Search:
    """Halves a journal, whose offsets rise with time, by asking for single events; about 20 questions for a million.

    Args:
        since: UTC, RFC 3339 with microseconds, as in messages.
    """

    def __init__(self, since: str) -> None:
        self._since = since
        self._journal = ""
        self._low, self._high = 1, 0  # the first offset that is wanted is one of [low, high]; nothing known: empty
        self._middle = self._at = 1  # what is tried, and where its question goes on

    def wanted(self) -> tuple[int, int]:
        """The offset to ask from, and for how many events."""
        return self._at, 1 if self._journal else 0

    def take(self, reply: Reply) -> int | None:
        """A reply to that; the offset where to begin, once it is known."""
        if reply.journal != self._journal:  # also where it was deleted meanwhile
            self._journal, self._low, self._high = reply.journal, reply.first, reply.last + 1
        elif reply.events:
            event = reply.events[0]
            if event.time < self._since:
                self._low = event.offset + 1
            else:
                self._high = self._middle
        elif reply.next <= reply.last and reply.next > self._at:  # none that fits so far, and it looked at enough
            self._at = reply.next
            return None
        else:
            self._high = self._middle
        if self._low >= self._high:
            return self._low
        self._middle = self._at = (self._low + self._high) // 2
        return None
