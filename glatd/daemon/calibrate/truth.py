"""Labelled events beside recordings: tables as those of DCASE, with the columns filename, onset, offset, event_label.

Tabs or commas separate them. A row without a label says that a file has none of the labelled sounds. The column
filename may be absent where there is one recording.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glatd.errors import ConfigError, DataError
from glatd.labels import class_index

LABEL = ("event_label", "label")
NAME = ("filename", "file", "stream")


@dataclass(frozen=True, slots=True)
class Truth:
    """What sounded when, by stream."""

    onsets: Mapping[str, Mapping[str, Sequence[float]]]  # stream -> label -> s
    labels: tuple[str, ...]  # that are marked anywhere, by name
    unmarked: tuple[str, ...]  # streams that the table does not name: taken for recordings with none of these sounds


def read_truth(path: Path, streams: Mapping[str, Sequence[str]], classes: Collection[str] = ()) -> Truth:
    """The events of a table.

    Args:
        streams: what each stream may be called in it.
        classes: names that the engine has beside AudioSet's.

    Raises:
        DataError: it cannot be read, has other columns, names a recording or a label that is not there, or has times
            that are none.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter="\t" if "\t" in head else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot read the labels {path}: {why}; give a table of tabs or commas in UTF-8") from error
    columns = tuple(rows[0]) if rows else ()
    label, name = _column(LABEL, columns), _column(NAME, columns)
    if label is None or "onset" not in columns or (name is None and len(streams) > 1):
        found = ", ".join(map(str, columns)) or "nothing"
        raise DataError(f"{path} has the columns {found}; it needs filename, onset, offset and event_label")
    called = {alias: stream for stream, aliases in streams.items() for alias in aliases}
    onsets: dict[str, dict[str, list[float]]] = {}
    for line, row in enumerate(rows, 2):
        if name is None:
            stream = next(iter(streams))
        else:
            given = (row[name] or "").strip()
            known = called.get(given) or called.get(Path(given).name)
            if known is None:
                there = ", ".join(sorted(streams))
                raise DataError(f"{path}, line {line}: there is no recording {given!r}; there are: {there}")
            stream = known
        of_stream = onsets.setdefault(stream, defaultdict(list))
        if text := (row[label] or "").strip():
            try:
                if text not in classes:
                    class_index(text)
            except ConfigError as error:
                raise DataError(f"{path}, line {line}: {error}") from error
            of_stream[text].append(_seconds(row["onset"], f"{path}, line {line}"))
    labels = sorted({text for of_stream in onsets.values() for text in of_stream})
    if not labels:
        raise DataError(f"{path} marks no event; without labels, leave --labels out")
    return Truth(onsets, tuple(labels), tuple(sorted(streams.keys() - onsets.keys())))


def _column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)


def _seconds(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise DataError(f"{where}: onset {text!r} is no time in seconds from 0 on")
    return value
