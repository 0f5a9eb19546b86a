"""Where the events of before are: in the journal, or, without one, in the memory of this run."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from glatd.clients.joining import rfc3339
from glatd.clients.reply import Reply
from glatd.clients.searching import Search
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.reader import Entry, Reader
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.stories import LAST, Story, of_one
from glatd.errors import ProtocolError
from glatd.messages import Event, payload_of, unpack


class Past(Protocol):
    """Events by their offsets. Made, used and closed in one thread."""

    def back(self, before: int, holding: str = "") -> Iterator[Entry]:
        """Those before an offset, newest first; only those that hold a text somewhere."""

    def story(self, start: Entry, event: Event) -> Story:
        """All that was told of an event, from its start on."""

    def since(self, when: datetime) -> int:
        """The first offset of what was told then or later."""

    def close(self) -> None:
        """Done with it."""


class JournalPast:
    """As it stands in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self._reader = journal, Reader(journal)

    def back(self, before: int, holding: str = "") -> Iterator[Entry]:
        """Newest first.

        Raises:
            Refused: it cannot be read now.
        """
        try:
            yield from self._reader.back(before, holding)
        except sqlite3.Error as error:
            raise _unreadable(error) from error

    def story(self, start: Entry, event: Event) -> Story:
        """From its start on.

        Raises:
            Refused: it cannot be read now.
        """
        phases = []
        try:
            for payload in self._reader.alike(start):
                one = read_event(payload)
                if one is not None and one.id == event.id:
                    phases.append(one)
                    if one.phase in LAST:
                        break
        except sqlite3.Error as error:
            raise _unreadable(error) from error
        return Story(tuple(phases) or (event,))

    def since(self, when: datetime) -> int:
        """Found as clients find it, by halves.

        Raises:
            Refused: it cannot be read now.
        """
        search = Search(rfc3339(when))
        found = None
        while found is None:
            start, limit = search.wanted()
            try:
                batch = self._reader.read(start, limit, 1 << 20, lambda stream, mid: True)
            except sqlite3.Error as error:
                raise _unreadable(error) from error
            events = tuple(event for payload in batch.payloads if (event := read_event(payload)) is not None)
            found = search.take(Reply("", self._journal.id, batch.first, batch.last, batch.next, (), events))
        return found

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()


class RunPast:
    """As the dashboard heard it in this run.

    Args:
        events: gives them in order; called in any thread.
    """

    def __init__(self, events: Callable[[], Sequence[Event]]) -> None:
        self._events = events

    def back(self, before: int, holding: str = "") -> Iterator[Entry]:
        """Newest first."""
        for event in reversed(self._events()):
            if event.offset < before and (not holding or event.id == holding):
                yield Entry(event.offset, event.stream, event.mid, payload_of(event))

    def story(self, start: Entry, event: Event) -> Story:
        """From its start on."""
        return of_one(self._events(), event.id) or Story((event,))

    def since(self, when: datetime) -> int:
        """By looking through all."""
        told = rfc3339(when)
        events = self._events()
        last = events[-1].offset + 1 if events else 1
        return next((event.offset for event in events if event.time >= told), last)

    def close(self) -> None:
        """Nothing to close."""


def read_event(payload: bytes) -> Event | None:
    """The event in a payload; None for what a newer glatd wrote, which this one cannot show."""
    try:
        event = unpack(payload)
    except ProtocolError:
        return None
    return event if isinstance(event, Event) else None


def _unreadable(error: sqlite3.Error) -> Refused:
    return Refused(503, f"the journal cannot be read: {error}; try again, and see the log of glatd")
