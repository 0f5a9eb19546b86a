"""Where a subscriber remembers what it has dealt with: one position for each node."""

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glatd.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class Position:
    """The last event of a node that was dealt with."""

    journal: str  # id of the node's sequence of offsets; "" where it is not known
    offset: int


class Cursor(Protocol):
    """What `EventStream` wants of a place to remember in."""

    def load(self, node: str) -> Position | None:
        """What was saved last; None for a node that is new."""

    def save(self, node: str, position: Position) -> None:
        """Remember."""


class MemoryCursor:
    """Remembers nothing beyond its own life."""

    def __init__(self) -> None:
        self._positions: dict[str, Position] = {}

    def load(self, node: str) -> Position | None:
        """What was saved last."""
        return self._positions.get(node)

    def save(self, node: str, position: Position) -> None:
        """Remember."""
        self._positions[node] = position


class FileCursor:
    """A small JSON file, replaced as a whole: a kill leaves the old one or the new one.

    Raises:
        DataError: there is a file, and it is no cursor.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = "{}"
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read the cursor {path}: {error}; name another file") from error
        try:
            self._positions = {
                node: Position(str(value["journal"]), int(value["offset"])) for node, value in json.loads(text).items()
            }
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(
                f"{path} is no cursor ({type(error).__name__}); delete it to hear all that is kept once more"
            ) from error

    def load(self, node: str) -> Position | None:
        """What was saved last."""
        return self._positions.get(node)

    def save(self, node: str, position: Position) -> None:
        """Remember, on the disk itself.

        Raises:
            ConfigError: it cannot be written.
        """
        self._positions[node] = position
        told = {name: {"journal": at.journal, "offset": at.offset} for name, at in self._positions.items()}
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(json.dumps(told) + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise ConfigError(f"cannot write the cursor {self._path}: {error.strerror}; name another file") from error


class SqliteCursor:
    """A table in the application's own database. It never commits: that is for the application to do, together with
    what it makes of the event, and so each event has its effect exactly once, whatever is killed when.

    >>> events = EventStream("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5557", SqliteCursor(database), saves=False)
    >>> for event in events:  # doctest: +SKIP
    ...     with database:  # one transaction
    ...         database.execute("INSERT INTO heard VALUES (?, ?)", (event.id, event.label))
    ...         events.save()

    Args:
        database: used in the thread of the `EventStream`.
        table: made if there is none, and committed.
    """

    def __init__(self, database: sqlite3.Connection, table: str = "glatd_cursor") -> None:
        self._database = database
        self._table = '"' + table.replace('"', '""') + '"'
        with database:
            database.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} (node TEXT PRIMARY KEY, journal TEXT, offset INTEGER)"
            )

    def load(self, node: str) -> Position | None:
        """What was saved last."""
        query = f"SELECT journal, offset FROM {self._table} WHERE node = ?"
        row = self._database.execute(query, (node,)).fetchone()
        return None if row is None else Position(*row)

    def save(self, node: str, position: Position) -> None:
        """Remember, once the application commits."""
        self._database.execute(
            f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?, ?)", (node, position.journal, position.offset)
        )
