"""How a recording lies on the disk: names of files, its header, and the lines of an index.

    REC/recording.json              header: version, session, node, engine, settings, sources
    REC/said.jsonl                  every message that was published, one a line, in order
    REC/stream-NAME/index.jsonl     of each stream: segments, what is written of them, clocks, gaps
    REC/stream-NAME/000001.flac     segments; .wav where samples are no whole numbers

The index is only ever appended to, and a line is written after the bytes that it tells of. A line that is cut short
by a kill is no line. docs/recording.md is the specification.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import glatd
from glatd.errors import DataError

VERSION = 1
HEADER, SAID, INDEX = "recording.json", "said.jsonl", "index.jsonl"
STREAM = "stream-"  # before a stream's name, which may be "..", in the name of its folder

# Why audio that the stream had is not in its recording. Causes of the source's own losses are the source's.
DISK_FULL = "disk full"
TOO_SLOW = "writer too slow"
CANNOT_WRITE = "cannot be written"
DAMAGED = "recording damaged"
BLANKED, UNSEEN = "speech blanked", "not looked at"  # by [blank]: it was not to be written
OF_THE_RECORDING = frozenset({DISK_FULL, TOO_SLOW, CANNOT_WRITE, DAMAGED, BLANKED, UNSEEN})


@dataclass(frozen=True, slots=True)
class Header:
    """What made a recording, and how it listened."""

    session: str
    node: str
    engine: str  # content hash
    model: str  # of the engine, for people
    began: float  # UNIX seconds
    settings: Mapping[str, Any]  # of the daemon, without its sources
    sources: tuple[Mapping[str, str], ...]  # name and URI at the start, without credentials
    glatd: str = glatd.__version__
    version: int = VERSION
    unknown: Mapping[str, Any] = field(default_factory=dict)  # keys of a later glatd


def write_header(folder: Path, header: Header) -> None:
    """Write `recording.json`, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    fields = dataclasses.asdict(header)
    text = json.dumps({"format": "glatd recording", **fields.pop("unknown"), **fields}, indent=1, ensure_ascii=False)
    draft = folder / f"{HEADER}.new"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(folder / HEADER)


def is_recording(path: Path) -> bool:
    """Whether a path is the folder of a recording."""
    return os.path.isfile(path / HEADER)  # False too where the path is longer than any


def is_recorded_stream(path: Path) -> bool:
    """Whether a path is the folder of one stream of a recording."""
    return path.name.startswith(STREAM) and os.path.isfile(path / INDEX)


def read_header(folder: Path) -> Header:
    """The header of a recording.

    Raises:
        DataError: none, damaged, or of a newer version.
    """
    path = folder / HEADER
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        version = fields.pop("version")
        fields.pop("format")
        if not isinstance(version, int) or version > VERSION:
            raise DataError(f"{folder} is of version {version!r}, and this glatd reads up to {VERSION}; upgrade glatd")
        known = {f.name for f in dataclasses.fields(Header)} - {"unknown"}
        unknown = {key: fields.pop(key) for key in list(fields) if key not in known}
        fields["sources"] = tuple(fields["sources"])
        return Header(version=version, unknown=unknown, **fields)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; is {folder} a recording of glatd's?") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is damaged ({error}); take it from a copy of the recording") from error
