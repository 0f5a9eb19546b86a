"""Lists of labelled clips: AudioSet's own CSVs, and any CSV with a column of files and one of labels."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glatd.errors import DataError
from glatd.trainer.data.vocabulary import Vocabulary

FILE_COLUMNS = ("file", "filename", "path", "fname", "audio_name")
LABEL_COLUMNS = ("labels", "label", "category")  # names, `;` between them: AudioSet's have commas
MID_COLUMNS = ("mids", "positive_labels")  # machine ids, `,` between them


@dataclass(frozen=True, slots=True)
class Listed:
    """A clip that a list names."""

    name: str  # as the list says, or as PANNs' packs call it
    path: Path | None  # None: there is no such file
    labels: tuple[int, ...]  # indices of classes
    wanted: str = ""  # the file that was looked for, where there is none


def read_listing(table: Path, audio: Path | None, vocabulary: Vocabulary) -> list[Listed]:
    """The clips of a CSV, in its order.

    AudioSet's segments have no header but comments: `YTID, start_seconds, end_seconds, "mid,mid"`. Their audio is
    looked for at any depth of `audio` as `Y<id>.<ext>`, `<id>_<start>.<ext>` (s or ms, `_<end>` may follow) or
    `<id>.<ext>`. Any other CSV has a header that names a column of `FILE_COLUMNS` and one of `LABEL_COLUMNS` or
    `MID_COLUMNS`; files are relative to `audio`.

    Args:
        audio: folder of the audio; that of `table` when None.

    Raises:
        DataError: not there, no labels, an unknown label, a line that cannot be read, or nothing in it.
    """
    folder = audio or table.parent
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; --audio names the one that has the audio of {table.name}")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(_rows(file))
    except OSError as error:
        raise DataError(f"cannot read {table}: {error.strerror}; check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is no CSV in UTF-8: {error}") from error
    if not rows:
        raise DataError(f"{table} lists no clips")
    listed = _segments(table, rows, folder, vocabulary) if _is_audioset(rows[0][1]) else None
    listed = _plain(table, rows, folder, vocabulary) if listed is None else listed
    if not listed:
        raise DataError(f"{table} lists no clips")
    return listed


def _rows(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields, without AudioSet's comments and empty lines."""
    reader = csv.reader(lines, skipinitialspace=True)
    for row in reader:
        if row and not row[0].startswith("#") and any(field.strip() for field in row):
            yield reader.line_num, [field.strip() for field in row]


def _is_audioset(row: Sequence[str]) -> bool:
    try:
        return len(row) >= 4 and float(row[1]) < float(row[2])
    except ValueError:
        return False


def _segments(table: Path, rows: list[tuple[int, list[str]]], folder: Path, vocabulary: Vocabulary) -> list[Listed]:
    there = stems(folder)
    found = []
    for line, row in rows:
        where = f"{table}, line {line}"
        if not _is_audioset(row):
            raise DataError(f'{where}: {",".join(row)!r} is no segment; one is YTID, start, end, "mid,mid"')
        clip, mids = row[0], [mid for field in row[3:] for mid in field.split(",")]
        labels = _labels(mids, vocabulary.of_mid, where)
        starts = [form for seconds in row[1:3] for form in _times(float(seconds))]
        wanted = [f"Y{clip}", *(f"{clip}_{start}" for start in starts[:3])]
        wanted += [f"{clip}_{begin}_{end}" for begin, end in zip(starts[:3], starts[3:], strict=True)]
        path = next((there[stem] for stem in [*wanted, clip] if stem in there), None)
        found.append(Listed(f"Y{clip}.wav", path, labels, f"{folder / wanted[0]}.* or {wanted[1]}.*"))
    return found


def _times(seconds: float) -> tuple[str, str, str]:
    """A time as the names of files have it: 30, 30.000 and 30000."""
    return f"{seconds:g}", f"{seconds:.3f}", f"{seconds * 1000:.0f}"


def stems(folder: Path) -> dict[str, Path]:
    """Files at any depth of a folder by their name without its last suffix."""
    found: dict[str, Path] = {}
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            found.setdefault(name.rpartition(".")[0] or name, Path(parent, name))
    return found


def _plain(table: Path, rows: list[tuple[int, list[str]]], folder: Path, vocabulary: Vocabulary) -> list[Listed]:
    header = [field.lower() for field in rows[0][1]]

    def column(names: Sequence[str]) -> int | None:
        return next((header.index(name) for name in names if name in header), None)

    at, labels_at, mids_at = column(FILE_COLUMNS), column(LABEL_COLUMNS), column(MID_COLUMNS)
    if at is None or (labels_at is None and mids_at is None):
        lacking = f"files (one of {', '.join(FILE_COLUMNS)})" if at is None else "labels (labels or mids)"
        raise DataError(f"{table} has no column of {lacking}: its first line is {','.join(rows[0][1])[:80]!r}")
    found = []
    for line, row in rows[1:]:
        where = f"{table}, line {line}"
        if len(row) != len(header):
            wanted = f"the first line {len(header)}; put names with commas in quotes"
            raise DataError(f"{where} has {len(row)} fields, {wanted}")
        if labels_at is not None:
            labels = _labels(row[labels_at].split(";"), vocabulary.named, where)
        else:
            assert mids_at is not None
            labels = _labels(row[mids_at].split(","), vocabulary.of_mid, where)
        path = folder / row[at]
        found.append(Listed(row[at], path if path.is_file() else None, labels, str(path)))
    return found


def _labels(texts: Sequence[str], index: Callable[[str, str], int], where: str) -> tuple[int, ...]:
    labels = tuple(sorted({index(text.strip(), where) for text in texts if text.strip()}))
    if not labels:
        raise DataError(f"{where} has no label; take the line out, or name what sounds in it")
    return labels
