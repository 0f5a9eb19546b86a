"""Reading the journal while it is written: a connection of its own, in whatever thread made it."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.rows import Hole, merged
from glatd.daemon.journal.schema import NAME, is_damage

REMOVED = "removed by retention"
SCANNED = 20_000  # rows that one call looks at, at most


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events in order, and what became of those between them."""

    first: int  # the oldest offset that the journal holds; last + 1 when it is empty
    last: int  # the newest that was given out
    next: int  # where to go on reading
    holes: tuple[Hole, ...]  # within [asked, next)
    payloads: tuple[bytes, ...]  # msgpack


class Entry(NamedTuple):
    """One event as it stands there."""

    offset: int
    stream: str
    mid: str
    payload: bytes  # msgpack


class Reader:
    """Reads a journal. Made, used and closed in one thread."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._database: sqlite3.Connection | None = None
        self._generation = -1

    def read(self, start: int, limit: int, most_bytes: int, fits: Callable[[str, str], bool]) -> Batch:
        """Events from offset `start` on.

        Args:
            limit: events, at most.
            most_bytes: of their payloads, at most; but one event at least.
            fits: given stream and mid: whether an event is wanted.

        Raises:
            sqlite3.Error: it cannot be read now.
        """
        last, waiting, holes = self._journal.unwritten()  # first: what is written meanwhile is then found below
        with self._guarded():
            first, written, told = self._look(start)
        first = min([first or last + 1, *(row.offset for row in waiting[:1])])
        payloads: list[bytes] = []
        size, after = 0, start
        try:
            unwritten = ((row.offset, row.stream, row.mid, row.payload) for row in waiting)
            for scanned, (offset, stream, mid, payload) in enumerate(itertools.chain(written, unwritten)):
                if offset < after:
                    continue  # written since it was seen waiting
                if scanned >= SCANNED or len(payloads) >= limit:
                    break
                if fits(stream, mid):
                    size += len(payload)
                    if payloads and size > most_bytes:
                        break
                    payloads.append(payload)
                after, last = offset + 1, max(last, offset)
            else:
                after = max(after, last + 1)
        finally:
            written.close()
        return Batch(first, last, after, _within(start, after, first, [*holes, *told]), tuple(payloads))

    def back(self, before: int, holding: str = "") -> Iterator[Entry]:
        """Events before an offset, newest first.

        Args:
            holding: only those that have this in them somewhere, as an id; found without unpacking.

        Raises:
            sqlite3.Error: it cannot be read now.
        """
        _, waiting, _ = self._journal.unwritten()
        for row in reversed(waiting):
            if row.offset < before and holding.encode() in row.payload:
                yield Entry(row.offset, row.stream, row.mid, row.payload)
        before = min([before, *(row.offset for row in waiting[:1])])
        rows = "SELECT offset, stream, mid, payload FROM events WHERE offset < ?{} ORDER BY offset DESC"
        with self._guarded():
            if holding:
                found = self._open().execute(rows.format(" AND instr(payload, ?)"), (before, holding.encode()))
            else:
                found = self._open().execute(rows.format(""), (before,))
            yield from map(Entry._make, found)

    def alike(self, entry: Entry) -> Iterator[bytes]:
        """The payloads of an event, and of those behind it of the same class and stream, oldest first.

        Raises:
            sqlite3.Error: it cannot be read now.
        """
        _, waiting, _ = self._journal.unwritten()
        same = entry.offset, entry.stream, entry.mid
        after = entry.offset
        with self._guarded():
            for offset, payload in self._open().execute(
                "SELECT offset, payload FROM events WHERE offset >= ? AND stream = ? AND mid = ? ORDER BY offset", same
            ):
                after = offset + 1
                yield payload
        for row in waiting:
            if row.offset >= after and (row.stream, row.mid) == (entry.stream, entry.mid):
                yield row.payload

    def close(self) -> None:
        """Close the connection."""
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Tell the journal of damage that is found."""
        try:
            yield
        except sqlite3.Error as error:
            self.close()
            if is_damage(error):
                self._journal.damaged()
            raise

    def _open(self) -> sqlite3.Connection:
        """The connection, to the database that there is now."""
        if self._generation != self._journal.generation:
            self.close()
            self._generation = self._journal.generation
        if self._database is None:
            path = self._journal.folder / NAME
            # By its URI, so that a database that is away is not made here.
            self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        return self._database

    def _look(self, start: int) -> tuple[int | None, sqlite3.Cursor, list[Hole]]:
        """The oldest offset in the database, its rows from `start` on, and its holes."""
        database = self._open()
        (first,) = database.execute("SELECT min(offset) FROM events").fetchone()
        told = database.execute("SELECT start, stop, cause FROM holes WHERE stop > ?", (start,)).fetchall()
        rows = database.execute(
            "SELECT offset, stream, mid, payload FROM events WHERE offset >= ? ORDER BY offset", (start,)
        )
        return first, rows, [Hole(*hole) for hole in told]


def _within(start: int, stop: int, first: int, holes: list[Hole]) -> tuple[Hole, ...]:
    """What is missing of [start, stop): holes that are known, and what retention removed before `first`."""
    known = [
        Hole(max(hole.start, start), min(hole.stop, stop), hole.cause)
        for hole in merged(holes)
        if hole.stop > start and hole.start < stop
    ]
    at, removed = start, []
    for hole in [*known, Hole(min(first, stop), stop, "")]:
        if hole.start > at and at < first:
            removed.append(Hole(at, min(hole.start, first), REMOVED))
        at = max(at, hole.stop)
    return tuple(sorted([*known, *removed], key=lambda hole: hole.start))
