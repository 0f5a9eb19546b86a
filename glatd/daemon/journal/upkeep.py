"""Looks after the journal where nobody waits for it: retention, checkpoints, another try after trouble."""

import logging
import sqlite3
import threading
import time
from contextlib import closing, suppress

from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.schema import NAME, connect

TURN_SECONDS = 1.0
RETENTION_SECONDS = 10.0
CHUNK = 500  # rows that go in one transaction: `append` waits for no more
CHECKPOINT_BYTES = 4 << 20  # of the WAL, from which it is written back
LONGEST_WAL = 64 << 20  # bytes, from which `append` waits until it is empty
VACUUM_PAGES = 256  # given back to the disk in one transaction

log = logging.getLogger("glatd.journal")


class Upkeep:
    """A thread, from its making until `close`.

    Args:
        days: that an event is kept; 0 for ever.
        megabytes: of the database, above which the oldest events go; 0 for any.
    """

    def __init__(self, journal: Journal, days: float, megabytes: float) -> None:
        self._journal, self._days, self._bytes = journal, days, megabytes * 1e6
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, within a second or so."""
        self._stopped.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        removed = 0.0
        while not self._stopped.wait(TURN_SECONDS):
            self._journal.retry()
            with suppress(sqlite3.Error, OSError):  # `append` sees and tells what is wrong
                self.checkpoint()
                if time.monotonic() - removed >= RETENTION_SECONDS:
                    removed = time.monotonic()
                    self.retain(time.time())

    def checkpoint(self) -> None:
        """Write the WAL back if it is long.

        Raises:
            sqlite3.Error, OSError: not now.
        """
        wal = self._journal.folder / f"{NAME}-wal"
        if wal.stat().st_size < CHECKPOINT_BYTES:
            return
        with closing(connect(self._journal.folder, self._journal.full)) as database:
            # Passive: it keeps nobody from writing. What is written meanwhile stays in the WAL, and is little.
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")
            if wal.stat().st_size > LONGEST_WAL:
                with self._journal.lock:
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def retain(self, now: float) -> int:
        """Remove what is too old, and the oldest of what is too much; how many events.

        Args:
            now: UNIX seconds.

        Raises:
            sqlite3.Error: not now.
        """
        removed = 0
        with closing(connect(self._journal.folder)) as database:
            while not self._stopped.is_set():
                oldest = database.execute(
                    "SELECT offset, time FROM events ORDER BY offset LIMIT ?", (CHUNK,)
                ).fetchall()
                gone = oldest if self._too_large(database) else []
                if not gone and self._days:
                    gone = [row for row in oldest if row[1] < now - 86_400 * self._days]
                if not gone:
                    break
                with self._journal.lock:
                    database.execute("DELETE FROM events WHERE offset <= ?", (gone[-1][0],))
                removed += len(gone)
                time.sleep(0.001)  # whoever waits for the lock is first
            while self._pages(database)[1] > VACUUM_PAGES and not self._stopped.is_set():
                with self._journal.lock:
                    database.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
                time.sleep(0.001)
        return removed

    def _too_large(self, database: sqlite3.Connection) -> bool:
        pages, free, size = self._pages(database)
        return bool(self._bytes) and (pages - free) * size > self._bytes

    @staticmethod
    def _pages(database: sqlite3.Connection) -> tuple[int, int, int]:
        """Pages, those of them that are free, and their bytes."""
        pages, free, size = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return pages, free, size
