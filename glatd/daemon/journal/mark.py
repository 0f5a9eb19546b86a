"""The high-water mark: a small file beside the journal that knows which offsets may have been given away.

It is written in place, since that needs no room on a full disk, and ahead, so that it is written seldom: no offset
above `upto` was ever given out. Where the journal itself cannot be trusted to know its last offset (it was damaged,
the disk was full, the power was lost), numbering goes on above the mark, and no offset ever names two events.
"""

import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glatd.errors import ConfigError

NAME = "journal.mark"
AHEAD = 10_000  # offsets that are reserved at once
SIZE = 160  # bytes; one sector, so that it is written whole or not at all
VERSION = "1"

# normal, full: in use, and how it is synced; trouble: in use, and what is published may not stand in the journal.
State = Literal["normal", "full", "trouble", "closed"]
STATES: tuple[State, ...] = ("normal", "full", "trouble", "closed")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the file says."""

    journal: str  # id of the numbering; it stays when a damaged journal is replaced
    upto: int  # no greater offset was ever given out
    state: State
    boot: str  # of the machine, as it was written

    @property
    def safe(self) -> bool:
        """Whether the journal's own last offset is the last that was given out."""
        return self.state in ("closed", "full") or (self.state == "normal" and self.boot == boot_id())


class MarkFile:
    """The open file.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot write {self._path}: {error.strerror}; name another journal folder") from error

    def read(self) -> Mark | None:
        """What it says; None for a new file or a damaged one."""
        with suppress(OSError, ValueError):
            return parse(os.pread(self._file, SIZE, 0))
        return None

    def write(self, journal: str, upto: int, state: State) -> None:
        """Write it, to the disk itself.

        Raises:
            OSError: it cannot be written.
        """
        os.pwrite(self._file, pack(Mark(journal, upto, state, boot_id())), 0)
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def pack(mark: Mark) -> bytes:
    """One line of SIZE bytes, with its CRC-32 in front."""
    words = f"glatd-journal {VERSION} {mark.journal} {mark.upto} {mark.state} {mark.boot or '-'}"
    text = f"{words:<{SIZE - 10}}".encode()
    return b"%08x " % zlib.crc32(text) + text + b"\n"


def parse(data: bytes) -> Mark:
    """The mark in such a line.

    Raises:
        ValueError: it is none.
    """
    text = data[9 : SIZE - 1]
    if len(data) != SIZE or data[:9] != b"%08x " % zlib.crc32(text):
        raise ValueError("damaged")
    what, version, journal, upto, state, boot = text.decode("ascii").split()
    if what != "glatd-journal" or version != VERSION:
        raise ValueError("of another kind")
    return Mark(journal, int(upto), next(known for known in STATES if known == state), boot.strip("-"))


def boot_id() -> str:
    """An id of this start of the machine; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
