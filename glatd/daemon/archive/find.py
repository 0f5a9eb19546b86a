"""What there is to tag: files, folders with all that is in them, globs, recordings of glatd's, and URLs of fsspec.

Whatever is left out is counted or told: a folder that cannot be read, a name that meets another one, files that are
no audio by their suffix.
"""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from glatd.daemon.archive.layout import FILE
from glatd.daemon.archive.store import filesystem
from glatd.daemon.recording.layout import HEADER
from glatd.daemon.recording.reader import open_recording
from glatd.daemon.replay import AUDIO
from glatd.errors import ConfigError, DataError, SourceError
from glatd.redact import redact

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|memory:")


@dataclass(frozen=True, slots=True)
class Input:
    """One recording: a file, one stream of a recording of glatd's (its folder), or a URL."""

    file: str  # absolute path, as the system spells it, or URL
    size: int  # bytes
    stamp: str  # changes when the recording does: ns of its last change, or the store's tag of it

    @property
    def name(self) -> str:
        """As it stands in the tables: bytes that are no UTF-8 are written as `\\xff`."""
        return as_text(self.file)

    @property
    def suffix(self) -> str:
        """In small letters, ".wav"; of a recording of glatd's ".flac"."""
        return os.path.splitext(self.file)[1].lower() or ".flac"


@dataclass(slots=True)
class Found:
    """What was found."""

    inputs: list[Input] = field(default_factory=list)  # by name, each once
    bad: dict[str, str] = field(default_factory=dict)  # what cannot even be listed, and why
    others: Counter[str] = field(default_factory=Counter)  # files of folders that are no audio, by suffix
    twice: int = 0  # names that lead to a recording that is there already


def as_text(name: str) -> str:
    """A name as text that any table holds."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_url(text: str) -> bool:
    """Whether it is for fsspec."""
    return _URL.match(text) is not None and not text.startswith("file:")


def find(paths: Iterable[str]) -> Found:
    """List all recordings of `paths`, by name.

    Raises:
        SourceError: a path or glob at which there is nothing: mostly a slip, better told before hours than after.
        ConfigError: a URL with a password in it, or that no installed package can read.
    """
    found = Found()
    known: dict[str, Input] = {}
    links: list[Input] = []
    seen: set[tuple[int, int]] = set()
    for text in paths:
        if is_url(text):
            each: Iterable[Input] = _of_url(text, found, seen)
        else:
            path = unquote(urlsplit(text).path) if text.startswith("file://") else text
            each = _of_path(path, found, seen)
        for item in each:
            if item.name in known:
                found.twice += 1
            elif not is_url(item.file) and os.path.islink(item.file):
                links.append(item)
            else:
                known[item.name] = item
    targets = {os.path.realpath(item.file) for item in known.values() if not is_url(item.file)} if links else set()
    for item in sorted(links, key=lambda item: item.name):
        target = os.path.realpath(item.file)
        if target in targets:
            found.twice += 1
        else:
            targets.add(target)
            known[item.name] = item
    found.inputs = sorted(known.values(), key=lambda item: item.name)
    return found


def _of_path(text: str, found: Found, seen: set[tuple[int, int]]) -> Iterator[Input]:
    if os.path.isdir(text):
        yield from _of_folder(text, found, seen)
    elif os.path.lexists(text):
        yield _of_file(text)
    elif glob.has_magic(text):
        matches = sorted(glob.glob(text, recursive=True))
        if not matches:
            raise SourceError(f"nothing fits {as_text(text)}; check the path and the glob")
        for match in matches:
            if not os.path.isdir(match):
                yield _of_file(match)  # also what is no audio by its name
            elif "**" not in text:  # whose files fit by themselves
                yield from _of_folder(match, found, seen)
    else:
        raise SourceError(f"{as_text(text)}: no such file or folder; check the path")


def _of_folder(top: str, found: Found, seen: set[tuple[int, int]]) -> Iterator[Input]:
    """The recordings in a folder and below; links to folders are followed, each folder is entered once."""
    stack, links = [top], list[str]()
    while stack or links:
        folder = stack.pop() if stack else links.pop(0)
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError as error:
            found.bad[as_text(os.path.abspath(folder))] = f"the folder cannot be read: {error.strerror}"
            continue
        names = {entry.name for entry in entries}
        if FILE in names:  # an archive, perhaps the very one that is being made
            continue
        if HEADER in names:
            yield from _of_recording(folder, found)
            continue
        for entry in entries:
            try:
                is_folder = entry.is_dir()
            except OSError:  # a link to itself
                is_folder = False
            if is_folder:
                (links if entry.is_symlink() else stack).append(entry.path)
            elif (suffix := os.path.splitext(entry.name)[1].lower()) in AUDIO:
                yield _of_file(entry.path)
            else:
                found.others[suffix] += 1


def _of_file(path: str) -> Input:
    """What cannot be read is told when it is tagged."""
    try:
        status = os.stat(path)
    except OSError:
        return Input(os.path.abspath(path), 0, "")
    return Input(os.path.abspath(path), status.st_size, str(status.st_mtime_ns))


def _of_recording(folder: str, found: Found) -> Iterator[Input]:
    try:
        streams = open_recording(Path(folder)).streams
    except (DataError, OSError) as error:
        found.bad[as_text(os.path.abspath(folder))] = str(error)
        return
    for stream in streams:
        parts = [part.stat() for part in stream.folder.iterdir()]
        newest = max((part.st_mtime_ns for part in parts), default=0)
        yield Input(os.path.abspath(stream.folder), sum(part.st_size for part in parts), str(newest))


def _of_url(url: str, found: Found, seen: set[tuple[int, int]]) -> Iterator[Input]:
    if redact(url) != url or urlsplit(url).password:
        raise ConfigError(
            f"{redact(url)} has a password or token in it, which would stand in every row; "
            "give it by the environment or fsspec's configuration"
        )
    if "::" in url:
        raise ConfigError(f"{url} is a chain of file systems; unpack or mount it, and name the recordings")
    store, path = filesystem(url)
    if store.protocol == "file" or "file" in store.protocol:
        yield from _of_path(path, found, seen)
        return
    try:
        if glob.has_magic(path):
            listed = store.glob(path, detail=True)
            chosen = {name: about for name, about in listed.items() if about["type"] == "file"}
        elif store.isfile(path):
            listed = chosen = {path: store.info(path)}
        else:
            listed = store.find(path, detail=True)
            chosen = {name: about for name, about in listed.items() if os.path.splitext(name)[1].lower() in AUDIO}
            found.others.update(os.path.splitext(name)[1].lower() for name in listed.keys() - chosen.keys())
            for name in [name for name in listed if name.endswith(f"/{HEADER}")]:
                folder = name.removesuffix(HEADER)
                chosen = {name: about for name, about in chosen.items() if not name.startswith(folder)}
                found.bad[store.unstrip_protocol(folder)] = "a recording of glatd's; copy it to a disk and name that"
    except Exception as error:  # each store has errors of its own
        raise SourceError(f"{url} cannot be listed: {redact(str(error) or type(error).__name__)}") from error
    if not listed:
        raise SourceError(f"there is nothing at {url}; check the address")
    for name, about in chosen.items():
        yield Input(store.unstrip_protocol(name), int(about.get("size") or 0), _stamp(about))


def _stamp(about: Mapping[str, Any]) -> str:
    """What the store says that changes with a file; stores spell it in their own ways."""
    for key in ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "updated", "modified", "created"):
        if about.get(key):
            return str(about[key])
    return ""
