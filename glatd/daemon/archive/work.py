"""The work on one shard: hear its recordings, and write their rows in parts."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from glatd.daemon.archive.fetch import local_files
from glatd.daemon.archive.hear import Hearer
from glatd.daemon.archive.job import Job, describe, metadata
from glatd.daemon.archive.part import ROWS, Part
from glatd.daemon.archive.reports import At, Bad, Done, Finished, Report, Safe, Shard
from glatd.daemon.archive.rows import all_scores, event_rows, window_row, window_schema, window_table
from glatd.daemon.archive.store import Store
from glatd.errors import GlatdError
from glatd.messages import Event, Message, Tags

CHUNK = 1024  # windows that become a table at once: rows as Python objects take 5 kB each
HELD = 8 * ROWS  # windows of one recording, 17 h, that wait for its end; after that they are written as they come
SAFE_SECONDS = 300.0  # of work that a kill may undo
TELL_SECONDS = 0.5


class Worker:
    """Tags shards, one at a time. `stop` may be called from any thread.

    Raises:
        GlatdError: what `Hearer` raises.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._hearer = Hearer(job.settings, job.engine)
        manifest = self._hearer.engine.manifest
        self._places = {label.mid: index for index, label in enumerate(manifest.labels)}
        described = describe(job, manifest)
        self._metadata = metadata(described, labels=False)
        self._schema = window_schema(job.scores, len(manifest.labels)).with_metadata(
            metadata(described, labels=job.scores != "top")
        )
        self._stopped = threading.Event()
        pa.set_cpu_count(1)  # there is a worker for every core

    def stop(self) -> None:
        """Write what is done, and end."""
        self._stopped.set()
        self._hearer.stop()

    def work(self, shard: Shard, tell: Callable[[Report], None]) -> None:
        """Tag a shard.

        Raises:
            ConfigError: its rows cannot be written.
        """
        store = Store(self._job.out)
        count = 0
        part: Part | None = None
        done: list[int] = []
        began = 0.0
        try:
            with closing(local_files(shard.inputs)) as files:
                for index, path in files:
                    if self._stopped.is_set():
                        break
                    if shard.careful:
                        tell(At(index, 0.0))
                    if isinstance(path, GlatdError):
                        tell(Bad(index, str(path)))
                        continue
                    if part is None:
                        part = Part(store, f"{shard.prefix}{count:03d}", self._schema, self._metadata)
                        began, count = time.monotonic(), count + 1
                    if self._hear(shard, index, path, part, tell):
                        done.append(index)
                    if part.inputs and (
                        time.monotonic() - began >= SAFE_SECONDS or part.seconds >= self._job.part_seconds
                    ):
                        self._keep(part, done, tell)
                        part = None
            if part is not None and part.inputs and not part.spoilt:
                self._keep(part, done, tell)
        finally:
            if part is not None:
                part.drop()
        tell(Finished())

    def _keep(self, part: Part, done: list[int], tell: Callable[[Report], None]) -> None:
        part.commit()
        tell(Safe(part.name, tuple(done)))
        done.clear()

    def _hear(self, shard: Shard, index: int, path: Path, part: Part, tell: Callable[[Report], None]) -> bool:
        """One recording; whether its rows are in the part."""
        item = shard.inputs[index]
        taken = _Taken(item.name, part, self._schema, self._places)
        told = time.monotonic()

        def take(message: Message, dated: bool) -> None:
            nonlocal told
            taken.take(message, dated)
            if isinstance(message, Tags) and (now := time.monotonic()) - told >= TELL_SECONDS:
                told = now
                tell(At(index, message.end / message.rate))

        heard = self._hearer.hear(path, item.name, take)
        if heard.stopped:
            return False
        if heard.trouble and not heard.windows:
            tell(Bad(index, heard.trouble))
            return False
        events = taken.finish()
        part.take(item, heard, events)
        tell(Done(index, heard.seconds + heard.lost, heard.windows, len(events), heard.trouble))
        return True


class _Taken:
    """The rows of one recording, on their way into a part."""

    def __init__(self, name: str, part: Part, schema: pa.Schema, places: dict[str, int]) -> None:
        self._name, self._part, self._schema, self._places = name, part, schema, places
        self._all = "scores" in schema.names
        self._rows: list[dict[str, Any]] = []
        self._scores: list[list[float] | None] = []
        self._tables: list[pa.Table] = []
        self._events: list[tuple[Event, bool]] = []

    def take(self, message: Message, dated: bool) -> None:
        """Keep what becomes a row."""
        if isinstance(message, Event):
            if message.phase == "end":
                self._events.append((message, dated))
        elif isinstance(message, Tags):
            self._rows.append(window_row(self._name, message, dated))
            if self._all:
                self._scores.append(all_scores(message, self._places))
            if len(self._rows) == CHUNK:
                self._tables.append(self._table())
                if sum(len(table) for table in self._tables) >= HELD:
                    self._part.windows(self._tables, done=False)
                    self._tables = []

    def finish(self) -> list[dict[str, Any]]:
        """All windows are in the part; the rows of the events."""
        if self._rows:
            self._tables.append(self._table())
        self._part.windows(self._tables, done=True)
        return event_rows(self._name, self._events)

    def _table(self) -> pa.Table:
        table = window_table(self._rows, self._scores, self._schema)
        self._rows, self._scores = [], []
        return table
