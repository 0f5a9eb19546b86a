"""What stands in an archive already, and mending what a kill or a changed recording has left."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from glatd.daemon.archive.find import Input
from glatd.daemon.archive.layout import TABLES, file_name, part_of
from glatd.daemon.archive.reports import Shard
from glatd.daemon.archive.store import Store
from glatd.errors import DataError


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording whose rows are in the tables."""

    size: int
    stamp: str
    part: str
    trouble: str
    windows: int


def tidy(store: Store) -> None:
    """Remove the rows of parts that were never finished."""
    finished = {part_of(name) for name in store.list("inputs")}
    for table in TABLES[:-1]:
        for name in store.list(table):
            if (part := part_of(name)) and part not in finished:
                store.remove(file_name(table, part))


def read_done(store: Store) -> dict[str, Entry]:
    """The recordings whose rows are there, by name.

    A worker that was given up and finished all the same may have written rows once more; the later ones go.

    Raises:
        DataError: a part that cannot be read.
    """
    done: dict[str, Entry] = {}
    surplus: dict[str, set[str]] = defaultdict(set)
    for part, row in _rows(store, [part for name in store.list("inputs") if (part := part_of(name))]):
        if row["file"] in done:
            surplus[part].add(row["file"])
        else:
            done[row["file"]] = Entry(row["size"], row["stamp"], part, row["trouble"], row["windows"])
    for part, names in surplus.items():
        without(store, part, names)
    return done if not surplus else read_done(store)


def forget(store: Store, done: Mapping[str, Entry], names: Sequence[str]) -> dict[str, Entry]:
    """What is left when the rows of some recordings are removed."""
    of: dict[str, set[str]] = defaultdict(set)
    for name in names:
        of[done[name].part].add(name)
    for part, inside in of.items():
        without(store, part, inside)
    return {name: entry for name, entry in done.items() if name not in set(names)}


def without(store: Store, part: str, names: set[str]) -> None:
    """Write a part again without the rows of some recordings; its name sorts where it was.

    A kill leaves either the old part, or both, of which the next run removes what is there twice.
    """
    root, files = store.dataset()
    kept = ~ds.field("file").isin(sorted(names))
    new = f"{part}r"
    is_empty = not any(row["file"] not in names for _, row in _rows(store, [part]))
    for table in () if is_empty else TABLES:
        whole = ds.dataset(f"{root}/{file_name(table, part)}", filesystem=files, format="parquet")
        with (
            store.writing(),
            store.draft(file_name(table, new)) as path,
            pq.ParquetWriter(path, whole.schema, compression="zstd") as writer,
        ):
            for batch in whole.scanner(filter=kept, use_threads=False).to_batches():
                if batch.num_rows:
                    writer.write_batch(batch)
    for table in reversed(TABLES):  # what says that its recordings are done goes first
        store.remove(file_name(table, part))


def changed(done: Mapping[str, Entry], inputs: Sequence[Input]) -> list[str]:
    """Names of the recordings that are no longer what was tagged."""
    found = []
    for item in inputs:
        entry = done.get(item.name)
        if entry is not None and (entry.size, entry.stamp) != (item.size, item.stamp):
            found.append(item.name)
    return found


def next_number(done: Mapping[str, Entry]) -> int:
    """Of the first shard whose parts have names that are free."""
    return 1 + max((int(entry.part.partition("-")[0]) for entry in done.values()), default=-1)


def left_of(store: Store, shard: Shard) -> list[Input]:
    """What a worker that died has not finished of its shard; what it left half done is removed."""
    finished = [part for name in store.list("inputs") if (part := part_of(name)).startswith(shard.prefix)]
    names = {row["file"] for _, row in _rows(store, finished)}
    for table in TABLES[:-1]:
        for name in store.list(table):
            part = part_of(name)
            if part.startswith(shard.prefix) and part not in finished:
                store.remove(file_name(table, part))
    if store.folder is not None:
        for draft in store.scratch().glob(f"*{shard.prefix}*"):
            draft.unlink(missing_ok=True)
    return [item for item in shard.inputs if item.name not in names]


def _rows(store: Store, parts: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Rows of `inputs` with the part that they are in, part by part."""
    if not parts:
        return []
    root, files = store.dataset()
    paths = [f"{root}/{file_name('inputs', part)}" for part in sorted(parts)]
    columns = ["file", "size", "stamp", "trouble", "windows", "__filename"]
    try:
        table = ds.dataset(paths, filesystem=files, format="parquet").to_table(columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{store} has a part of the table inputs that cannot be read ({' '.join(str(error).split())[:200]}); "
            "remove that file, and what it told of is tagged again"
        ) from error
    return [(part_of(row.pop("__filename").rpartition("/")[2]), row) for row in table.to_pylist()]
