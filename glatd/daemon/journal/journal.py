"""The journal of a node: `append` gives events their offsets and returns when they stand on the disk.

One SQLite database in WAL mode, written by the loop's thread. Offsets are one sequence of the node, over all
sessions, and none ever names two events, whatever breaks; see `mark`. Where nothing can be written, events go on
with their offsets and wait in memory until there is room again; what does not fit there is a hole that is told.
"""

import fcntl
import logging
import sqlite3
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from glatd.daemon.clock import rfc3339
from glatd.daemon.journal.mark import AHEAD, Mark, MarkFile, State
from glatd.daemon.journal.rows import Hole, Row
from glatd.daemon.journal.schema import NAME, connect, is_damage, migrate
from glatd.errors import ConfigError, ProtocolError
from glatd.messages import Event, Message, payload_of, unpack, with_offset

LOCK = "journal.lock"
RETRY_SECONDS = 1.0  # after it could not be written
MOST_WAITING = 20_000  # events in memory while it cannot be written; about 10 MB
RESTART = "restart"  # cause of the end of an event that was going on when the daemon was killed
NOT_WRITTEN = "the disk could not be written"
POWER = "the power was lost"
GONE = "the journal's file was gone"

log = logging.getLogger("glatd.journal")


class Journal:
    """Open from its making until `close`; `append` is for one thread.

    Args:
        folder: made if need be.
        full: whether `append` waits until the disk has it for good, so that it holds after a loss of power too.

    Attributes:
        id: of this sequence of offsets.
        trouble: why nothing can be written now; empty when all is well.

    Raises:
        ConfigError: the folder cannot be used, another glatd uses it, or the journal is of a newer version.
    """

    def __init__(self, folder: Path, full: bool = False) -> None:
        self.folder, self.full = folder, full
        self.trouble = ""
        self.lock = threading.RLock()  # of every write
        self._waiting: deque[Row] = deque()  # that have their offset and are not written
        self._holes: list[Hole] = []  # that are not written
        self._packed: dict[int, bytes] = {}  # payloads of the last `append` by offset
        self._database: sqlite3.Connection | None = None
        self.generation = 0  # counts databases: whoever reads opens the new one
        self._tried = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = (folder / LOCK).open("w")
        except OSError as error:
            raise ConfigError(
                f"cannot keep a journal in {folder}: {error.strerror}; name a folder that can be written"
            ) from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._mark_file = MarkFile(folder)
        except ConfigError:
            self._lock_file.close()
            raise
        except OSError as error:
            self._lock_file.close()
            raise ConfigError(
                f"the journal {folder} is in use by another glatd; stop it, or name another folder under journal"
            ) from error
        mark = self._mark_file.read()
        self.id = mark.journal if mark else uuid.uuid4().hex
        try:
            self._next = self._begin(mark)
        except ConfigError:
            self._mark_file.close()
            self._lock_file.close()
            raise
        self._upto = self._next - 1
        self._reserve()

    @property
    def last(self) -> int:
        """The newest offset that was given out; 0 for none."""
        return self._next - 1

    @property
    def waiting(self) -> int:
        """Events in memory that could not be written yet."""
        return len(self._waiting)

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Write events down, all in one commit.

        Returns:
            The events with their offsets. They stand on the disk, or `trouble` says why not.
        """
        if not events:
            return []
        now = time.time()
        with self.lock:
            numbered = [with_offset(event, offset) for offset, event in enumerate(events, self._next)]
            self._next += len(events)
            if self._next - 1 > self._upto:
                self._reserve()
            rows = [
                Row(
                    event.offset, now, event.stream, event.mid, payload_of(event), event.id,
                    event.phase in ("start", "update"),
                )
                for event in numbered
            ]  # fmt: skip
            self._waiting.extend(rows)
            self._packed = {row.offset: row.payload for row in rows}
            if not self.trouble or time.monotonic() - self._tried >= RETRY_SECONDS:
                self._flush()
            while len(self._waiting) > MOST_WAITING:
                self._lose(self._waiting.popleft())
        return numbered

    def packed(self, message: Message) -> bytes | None:
        """The payload of an event of the last `append`; None for any other message."""
        return self._packed.get(message.offset) if isinstance(message, Event) else None

    def retry(self) -> None:
        """Write what waits, if there is trouble."""
        with self.lock:
            if self.trouble:
                self._flush()

    def end_unfinished(self) -> list[Event]:
        """End what was going on when the daemon was killed; call before the first `append`.

        Returns:
            The ends, already written, to be published. Where it really ended nobody knows: `offset_time` is None.
        """
        ends = []
        with self.lock:
            if self._database is None:
                return []
            now = rfc3339(time.time())
            try:
                payloads = [payload for (payload,) in self._database.execute("SELECT payload FROM going_on")]
            except sqlite3.Error as error:
                self._suspend(error)
                return []
            for payload in payloads:
                with suppress(ProtocolError):
                    event = unpack(payload)
                    if isinstance(event, Event):
                        ends.append(replace(event, phase="end", time=now, cause=RESTART, offset_time=None))
            return self.append(sorted(ends, key=lambda event: event.offset))

    def unwritten(self) -> tuple[int, list[Row], list[Hole]]:
        """The newest offset given out, and what stands in memory only."""
        with self.lock:
            return self.last, list(self._waiting), list(self._holes)

    def damaged(self) -> None:
        """Someone found damage while reading: begin a new database."""
        with self.lock:
            self._set_aside()
            self._flush()

    def close(self) -> None:
        """Write what waits, and close."""
        with self.lock:
            if self.trouble or self._waiting:
                self._flush()
            if self._database is not None:
                with suppress(sqlite3.Error):
                    self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._database.close()
                self._database = None
            if not self.trouble:
                self._upto = self.last
                self._write_mark("closed")
            self._mark_file.close()
            self._lock_file.close()

    def _begin(self, mark: Mark | None) -> int:
        """Open the database, and find the offset to go on with."""
        above = mark.upto if mark else 0
        try:
            last = self._open()
        except sqlite3.Error as error:
            if not is_damage(error):
                self._suspend(error)
                return (above or _nowhere()) + 1
            name = self._set_aside()
            above = above or _nowhere()
            self._holes.append(Hole(1, above + 1, f"the journal was damaged, and is now {name}"))
            with suppress(sqlite3.Error):  # it is tried again
                self._open()
            return above + 1
        if mark is None or (mark.safe and last):
            return last + 1
        after = max(last, mark.upto) + 1
        if after > last + 1:
            cause = NOT_WRITTEN if mark.state == "trouble" else POWER if last else GONE
            self._holes.append(Hole(last + 1, after, cause))
            if cause == GONE:
                log.error("the journal in %s has no events, and should have; offsets go on from %d", self.folder, after)
        return after

    def _open(self) -> int:
        """Open the database; the last offset in it."""
        database = connect(self.folder, self.full)
        try:
            migrate(database, self.folder / NAME)
            row = database.execute("SELECT value FROM about WHERE key = 'journal'").fetchone()
            if row is None:
                database.execute("INSERT INTO about VALUES ('journal', ?)", (self.id,))
            else:
                self.id = row[0]
            (last,) = database.execute(
                "SELECT max(ifnull((SELECT max(offset) FROM events), 0), "
                "ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0), "
                "ifnull((SELECT max(stop) - 1 FROM holes), 0))"
            ).fetchone()
            # Both ends of the table, and what goes on: damage there is better found now than later.
            database.execute("SELECT offset, payload FROM events ORDER BY offset LIMIT 1").fetchall()
            database.execute("SELECT id, payload FROM going_on").fetchall()
        except BaseException:
            database.close()
            raise
        self._database = database
        self.generation += 1
        return int(last)

    def _flush(self) -> None:
        """Write what waits; on failure it goes on waiting, and `trouble` says why."""
        self._tried = time.monotonic()
        try:
            if self._database is None:
                last = self._open()
                first = self._waiting[0].offset if self._waiting else self._next
                known = min((hole.start for hole in self._holes), default=first)
                if last + 1 < known:
                    self._holes.append(Hole(last + 1, known, NOT_WRITTEN))
            self._commit(self._database)
        except sqlite3.Error as error:
            if not is_damage(error):
                self._suspend(error)
                return
            self._set_aside()
            try:
                self._open()
                self._commit(self._database)
            except sqlite3.Error as again:
                self._suspend(again)
                return
        self._waiting.clear()
        self._holes.clear()
        if self.trouble:
            self.trouble = ""
            log.warning("the journal in %s is written again, up to offset %d", self.folder, self.last)
            self._reserve()

    def _commit(self, database: sqlite3.Connection | None) -> None:
        assert database is not None
        rows = self._waiting
        state = {row.id: row for row in rows}  # the last message of each
        try:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
                ((row.offset, row.time, row.stream, row.mid, row.payload) for row in rows),
            )
            database.executemany(
                "INSERT OR REPLACE INTO going_on VALUES (?, ?)",
                [(row.id, row.payload) for row in state.values() if row.goes_on],
            )
            database.executemany(
                "DELETE FROM going_on WHERE id = ?", [(row.id,) for row in state.values() if not row.goes_on]
            )
            database.executemany(
                "INSERT OR REPLACE INTO holes VALUES (?, ?, ?)",
                ((hole.start, hole.stop, hole.cause) for hole in self._holes),
            )
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
            raise

    def _suspend(self, error: sqlite3.Error) -> None:
        if not self.trouble:
            log.error(
                "the journal in %s cannot be written: %s; make room, and it goes on by itself "
                "(events are still published, and the last %d wait in memory)",
                self.folder, error, MOST_WAITING,
            )  # fmt: skip
            self.trouble = f"the journal cannot be written: {error}"
            if hasattr(self, "_upto"):
                self._write_mark("trouble")

    def _lose(self, row: Row) -> None:
        before = self._holes[-1] if self._holes else None
        if before is not None and before.stop == row.offset and before.cause == NOT_WRITTEN:
            self._holes[-1] = Hole(before.start, row.offset + 1, NOT_WRITTEN)
        else:
            self._holes.append(Hole(row.offset, row.offset + 1, NOT_WRITTEN))

    def _reserve(self) -> None:
        self._upto = self.last + AHEAD
        self._write_mark("trouble" if self.trouble else "full" if self.full else "normal")

    def _write_mark(self, state: State) -> None:
        try:
            self._mark_file.write(self.id, self._upto, state)
        except OSError as error:
            log.error("the high-water mark of the journal in %s cannot be written: %s", self.folder, error.strerror)

    def _set_aside(self) -> str:
        """Move the database away, and note what it held as a hole; the name that it has now."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        name = f"{NAME}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):
                (self.folder / f"{NAME}{end}").rename(self.folder / f"{name}{end}")
        log.error("the journal in %s is damaged; it is now %s, and a new one begins", self.folder, name)
        if hasattr(self, "_next"):
            first = self._waiting[0].offset if self._waiting else self._next
            self._holes.append(Hole(1, first, f"the journal was damaged, and is now {name}"))
        return name


def _nowhere() -> int:
    """Where numbering goes on when nothing is known of it: above any count of events."""
    return int(time.time() * 1000)
