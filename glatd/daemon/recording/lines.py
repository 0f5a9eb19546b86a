"""A file of JSON lines that is only appended to, and in which no line is ever cut short by a full disk."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


class LineFile:
    """Appends whole lines.

    Args:
        path: made if it is not there.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._bytes = os.fstat(self._file).st_size

    def append(self, lines: Sequence[str]) -> None:
        """Write lines, all or none.

        Raises:
            OSError: there is no room; the file is as it was.
        """
        data = memoryview("".join(f"{line}\n" for line in lines).encode())
        size = len(data)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:
            os.ftruncate(self._file, self._bytes)
            raise
        self._bytes += size

    def sync(self) -> None:
        """What was appended survives a loss of power from here on."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Once; nothing can be appended any more."""
        os.close(self._file)


def sync_folder(folder: Path) -> None:
    """New files of a folder survive a loss of power from here on.

    Raises:
        OSError: they may not.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def as_line(fields: dict[str, Any]) -> str:
    """One line of JSON, without its end."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The maps in a file of JSON lines. What is no map, such as a last line that a kill has cut short, is left out.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        for line in file:
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError):  # also of bytes that are no UTF-8
                continue
            if isinstance(fields, dict):
                yield fields
