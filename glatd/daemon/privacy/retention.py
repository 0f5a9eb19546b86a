"""Which clips there are, and which of them go: those that are too old, and the oldest of what is too much."""

import re
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".flac"
UNFINISHED = ".part"  # behind the suffix, of a clip that is being written
NAME = re.compile(rf"[0-9a-f]{{20}}{re.escape(SUFFIX)}")  # no other file is ever touched


class Kept(NamedTuple):
    """A clip that is complete."""

    at: float  # UNIX seconds at which it was completed
    bytes: int
    name: str


class Retention:
    """The clips of a folder, oldest first. One thread; any of its calls may raise OSError.

    Args:
        folder: of the clips.
        days: that a clip is kept; 0 for ever.
        megabytes: of all clips; 0 for any.
    """

    def __init__(self, folder: Path, days: float, megabytes: float) -> None:
        self._folder, self._days, self._bytes = folder, days, megabytes * 1e6
        self._kept: deque[Kept] = deque()
        self._held = 0  # bytes of them

    def look(self) -> None:
        """See what is there: at the start, and now and then, for others may remove clips too.

        Raises:
            OSError: the folder cannot be read.
        """
        found = []
        with suppress(FileNotFoundError):  # the folder; it is made again for the next clip
            for path in self._folder.iterdir():
                if NAME.fullmatch(path.name):
                    state = path.stat()
                    found.append(Kept(state.st_mtime, state.st_size, path.name))
        self._kept = deque(sorted(found))
        self._held = sum(clip.bytes for clip in found)

    def add(self, clip: Kept) -> None:
        """One more, newer than all others."""
        self._kept.append(clip)
        self._held += clip.bytes

    def apply(self, now: float) -> int:
        """Remove what must go; how many clips.

        Args:
            now: UNIX seconds.

        Raises:
            OSError: one cannot be removed; it is tried again the next time.
        """
        removed = 0
        while self._kept and self._must_go(self._kept[0], now):
            (self._folder / self._kept[0].name).unlink(missing_ok=True)
            self._held -= self._kept.popleft().bytes
            removed += 1
        return removed

    def _must_go(self, clip: Kept, now: float) -> bool:
        too_old = bool(self._days) and clip.at < now - 86_400 * self._days
        return too_old or (bool(self._bytes) and self._held > self._bytes)
