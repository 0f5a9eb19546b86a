"""One part of the three tables: the rows of some recordings, whole or not at all.

Rows of `windows` and `events` come to their place first, and those of `inputs`, which name the recordings that are
done, last: what a kill leaves without them is removed by the next run (state.py).
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from glatd.daemon.archive.find import Input
from glatd.daemon.archive.hear import Heard
from glatd.daemon.archive.layout import file_name
from glatd.daemon.archive.rows import EVENTS, INPUTS, gap_rows
from glatd.daemon.archive.store import Store

ROWS = 8192  # of windows in a row group: 1 MB of them with ten tags each, 17 MB with all scores


class Part:
    """Collects rows, and writes them as it goes.

    Args:
        name: sorted as the rows are to be.
        schema: of the windows, with its metadata.
        metadata: of the schemas of the other tables.
    """

    def __init__(self, store: Store, name: str, schema: pa.Schema, metadata: dict[bytes, bytes]) -> None:
        self.name, self._store, self._metadata = name, store, metadata
        self._schema = schema
        self._pending: list[pa.Table] = []
        self._events: list[dict[str, Any]] = []
        self._inputs: list[dict[str, Any]] = []
        self._draft = store.scratch() / f"{name}.windows"
        self._writer: Any = None
        self.seconds = 0.0  # of audio
        self.spoilt = False  # whether it holds rows of a recording that is not done

    @property
    def inputs(self) -> int:
        """Recordings in it."""
        return len(self._inputs)

    def windows(self, tables: Sequence[pa.Table], done: bool) -> None:
        """Take windows.

        Args:
            done: whether the recording that they are of is done with them.

        Raises:
            ConfigError: they cannot be written.
        """
        self._pending += tables
        self.spoilt = not done
        if sum(len(table) for table in self._pending) >= ROWS:
            self._write()

    def take(self, item: Input, heard: Heard, events: Sequence[dict[str, Any]]) -> None:
        """A recording whose windows are all there."""
        self.seconds += heard.seconds + heard.lost
        self._events += events
        self._inputs.append(
            {
                "file": item.name,
                "size": item.size,
                "stamp": item.stamp,
                "seconds": heard.seconds,
                "windows": heard.windows,
                "events": len(events),
                "lost_s": heard.lost,
                "gaps": gap_rows(heard.gaps),
                "trouble": heard.trouble,
            }
        )

    def commit(self) -> None:
        """Put the rows where they belong.

        Raises:
            ConfigError: they cannot be written.
        """
        self._write()
        with self._store.writing():
            self._writer.close()
        self._writer = None
        self._store.put(self._draft, file_name("windows", self.name))
        for table, rows, schema in (("events", self._events, EVENTS), ("inputs", self._inputs, INPUTS)):
            with self._store.writing(), self._store.draft(file_name(table, self.name)) as path:
                made = pa.Table.from_pylist(rows, schema.with_metadata(self._metadata))
                pq.write_table(made, path, compression="zstd")

    def drop(self) -> None:
        """Forget it."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
        self._draft.unlink(missing_ok=True)

    def _write(self) -> None:
        with self._store.writing():
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._draft, self._schema, compression="zstd")
            if self._pending:
                self._writer.write_table(pa.concat_tables(self._pending).cast(self._schema))
        self._pending = []
