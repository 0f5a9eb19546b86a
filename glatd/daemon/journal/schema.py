"""The journal's database: its tables by version, and how a connection is opened."""

import sqlite3
from pathlib import Path

from glatd.errors import ConfigError

NAME = "journal.db"

# Each brings a database to the next version (PRAGMA user_version); the first makes a new one.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE events (
        offset INTEGER PRIMARY KEY AUTOINCREMENT, -- of the node, over all sessions; never given twice
        time REAL NOT NULL,                       -- UNIX seconds at which it was written
        stream TEXT NOT NULL,
        mid TEXT NOT NULL,
        payload BLOB NOT NULL                     -- the message as it is published, msgpack
    );
    CREATE TABLE going_on (                       -- events that have begun and not ended
        id TEXT PRIMARY KEY,
        payload BLOB NOT NULL                     -- the last message of it
    ) WITHOUT ROWID;
    CREATE TABLE holes (                          -- offsets [start, stop) that never came to stand here
        start INTEGER PRIMARY KEY,
        stop INTEGER NOT NULL,
        cause TEXT NOT NULL
    );
    CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)
VERSION = len(MIGRATIONS)
BUSY_SECONDS = 0.5  # for another program that looks into it; the connections of this one do not wait for each other


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is no database, or a torn one."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def connect(folder: Path, full: bool = False) -> sqlite3.Connection:
    """A connection to the database of a folder, which is made if need be. It commits only where it is told to.

    Args:
        full: whether a commit waits for the disk.

    Raises:
        sqlite3.Error: damaged, or no room.
    """
    database = sqlite3.connect(
        folder / NAME, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
    )
    try:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new one: what was removed gives its room back
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        database.execute("PRAGMA wal_autocheckpoint = 0")  # the upkeep does it, where nobody waits
    except BaseException:
        database.close()
        raise
    return database


def migrate(database: sqlite3.Connection, where: Path) -> None:
    """Bring a database to this version.

    Raises:
        ConfigError: it is of a newer one.
        sqlite3.Error: damaged, or no room.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise ConfigError(
            f"the journal {where} is of version {version}, and this glatd knows {VERSION}; "
            "upgrade glatd, or name another folder under journal"
        )
    for number in range(version, VERSION):
        # In one transaction: a kill in the middle leaves the version before.
        database.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]}; PRAGMA user_version = {number + 1}; COMMIT;")
