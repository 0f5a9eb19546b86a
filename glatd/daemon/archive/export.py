"""The events of an archive as files for labelling programs, one a recording, laid out as the recordings are.

Times are seconds from the beginning of the recording.
"""

import csv
import io
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from glatd.daemon.archive.find import is_url
from glatd.daemon.archive.job import read
from glatd.daemon.archive.layout import FILE, part_of
from glatd.daemon.archive.store import Store
from glatd.errors import ConfigError, DataError

Row = Mapping[str, Any]
FILES = 20_000  # recordings whose events are in memory at once
DIGITS = 6  # of a time in seconds: finer than a sample

CSV = (
    *("file", "label", "mid", "onset_s", "offset_s", "peak", "mean"),
    *("crop_start_s", "crop_end_s", "global", "local", "fused", "chosen_for", "cause"),
)
RAVEN = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"),
    *("Begin Path", "File Offset (s)", "Label", "Score", "Mean Score"),
)


def export(folder: str, form: str, out: Path, labels: Sequence[str] = (), least: float = 0.0) -> str:
    """Write a file for each recording of an archive, also where nothing was heard in it.

    Args:
        folder: of the archive, or URL.
        form: "audacity", "raven", "csv" or "rttm".
        labels: of the events that are wanted; all when empty.
        least: peak of the events that are wanted.

    Returns:
        What was done, in a line.

    Raises:
        DataError: there is no archive, or a part of it cannot be read.
        ConfigError: a label that it has not, or the files cannot be written.
    """
    store = Store(folder)
    content = store.read(FILE)
    if content is None:
        raise DataError(f"{folder} has no {FILE}; name a folder that glatd archive has made")
    described = read(content, folder)
    known = {label["name"] for label in described["labels"]}
    for label in labels:
        if label not in known:
            raise ConfigError(f"--label {label!r} is none of the {len(known)} classes of {folder}")
    write, end = FORMS[form]
    rate = described["rate"]
    try:
        inputs = sorted(_read(store, "inputs", ["file"]).column("file").to_pylist())
        paths = layout(inputs, end)
        count = 0
        for first in range(0, len(inputs), FILES):
            some = inputs[first : first + FILES]
            events = _events(store, some, labels, least)
            for name in some:
                text = write(name, events[name], rate)
                count += len(events[name])
                path = out / paths[name]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"cannot write into {out}: {error.strerror or error}; make room, or name another") from error
    except pa.ArrowException as error:
        raise DataError(f"{folder} cannot be read: {str(error).splitlines()[0]}; take it from a copy") from error
    return f"{len(inputs):,} files with {count:,} events in {out}"


def layout(names: Sequence[str], end: str) -> dict[str, str]:
    """Where the file of each recording goes, below one folder: as the recordings lie, from what all have in common.

    Two recordings that differ in their suffixes only keep them, as `a.wav.txt` and `a.flac.txt`.
    """
    of = {name: _parts(name) for name in names}
    common = 0
    for level in zip(*(parts[:-1] for parts in of.values()), strict=False):
        if len(set(level)) > 1:
            break
        common += 1
    short = {name: [*parts[common:-1], os.path.splitext(parts[-1])[0]] for name, parts in of.items()}
    met = Counter(map(tuple, short.values()))
    return {
        name: "/".join(parts if met[tuple(parts)] == 1 else of[name][common:]) + end for name, parts in short.items()
    }


def _parts(name: str) -> list[str]:
    """Folders and file of a recording's name, none of which leads anywhere else."""
    path = PurePosixPath(name.replace("://", "/", 1) if is_url(name) else name)
    return [part.replace("\0", "_") for part in path.parts if part not in ("/", "..", ".")] or ["recording"]


def _events(store: Store, names: Sequence[str], labels: Sequence[str], least: float) -> dict[str, list[Row]]:
    wanted = ds.field("file").isin(names)
    if least > 0:
        wanted &= ds.field("peak") >= least
    if labels:
        wanted &= ds.field("label").isin(list(labels))
    events: dict[str, list[Row]] = defaultdict(list)
    for row in _read(store, "events", None, wanted).to_pylist():
        events[row["file"]].append(row)
    for rows in events.values():
        rows.sort(key=lambda row: (row["onset"], row["offset"], row["mid"]))
    return events


def _read(store: Store, table: str, columns: list[str] | None, wanted: Any = None) -> pa.Table:
    root, files = store.dataset()
    parts = [f"{root}/{table}/{name}" for name in store.list(table) if part_of(name)]
    if not parts:
        raise DataError(f"{store} has no parts of the table {table} yet; tag something into it")
    return ds.dataset(parts, filesystem=files, format="parquet").to_table(columns=columns, filter=wanted)


def _seconds(value: float) -> str:
    return f"{value:.{DIGITS}f}"


def audacity(name: str, events: Iterable[Row], rate: int) -> str:
    """A label track: begin, end and label with tabs between, no header (File > Import > Labels)."""
    return "".join(f"{_seconds(row['onset_s'])}\t{_seconds(row['offset_s'])}\t{row['label']}\n" for row in events)


def raven(name: str, events: Iterable[Row], rate: int) -> str:
    """A selection table of Raven Pro and Lite: with tabs, a header, numbered from 1; the band is what glatd hears."""
    lines = ["\t".join(RAVEN)]
    for number, row in enumerate(events, 1):
        cells = [
            *(str(number), "Spectrogram 1", "1", _seconds(row["onset_s"]), _seconds(row["offset_s"])),
            *("0.0", f"{rate / 2:.1f}", _one_line(name), _seconds(row["onset_s"])),
            *(row["label"], f"{row['peak']:.4f}", f"{row['mean']:.4f}"),
        ]
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def table(name: str, events: Iterable[Row], rate: int) -> str:
    """CSV (RFC 4180) with a header and all that is known of each event."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV, extrasaction="ignore")
    writer.writeheader()
    for row in events:
        seconds = {key: _seconds(row[key]) for key in ("onset_s", "offset_s")}
        scores = {key: f"{row[key]:.6f}" for key in ("peak", "mean", "global", "local", "fused")}
        crop = {f"crop_{end}_s": _seconds(row[f"crop_{end}"] / rate) for end in ("start", "end")}
        writer.writerow({**row, **seconds, **scores, **crop})
    return text.getvalue()


def rttm(name: str, events: Iterable[Row], rate: int) -> str:
    """NIST's Rich Transcription Time Marked: the class stands where a speaker's name would, without spaces."""
    recording = "_".join(PurePosixPath(name).stem.split()) or "recording"
    lines = []
    for row in events:
        label = "_".join(row["label"].split())
        onset, lasts = _seconds(row["onset_s"]), _seconds(row["offset_s"] - row["onset_s"])
        lines.append(f"SPEAKER {recording} 1 {onset} {lasts} <NA> <NA> {label} <NA> <NA>\n")
    return "".join(lines)


def _one_line(name: str) -> str:
    return " ".join(name.split("\t")).replace("\n", " ").replace("\r", " ")


FORMS: dict[str, tuple[Callable[[str, Iterable[Row], int], str], str]] = {
    "audacity": (audacity, ".txt"),
    "raven": (raven, ".Table.1.selections.txt"),
    "csv": (table, ".csv"),
    "rttm": (rttm, ".rttm"),
}
