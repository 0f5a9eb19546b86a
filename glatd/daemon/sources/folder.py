"""The recordings of a folder, one after the other, as one stream."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from glatd.audio import Block, decode
from glatd.daemon.sources.base import Source, pick_channel, safe_name
from glatd.errors import SourceError

log = logging.getLogger("glatd")

_BETWEEN_S = 10  # a gap of it starts the stream afresh


class FolderSource(Source):
    """Every file of a folder, in the order of their names (`10.wav` comes before `2.wav`), not of its sub-folders.

    What is not a recording that can be read is passed over with a warning, hidden files without one. Each
    recording starts 10 s behind the end of the one before it, so that none is heard together with another:
    the stream starts afresh there and a gap is told. It paces nothing; a replay does.

    Args:
        channel: 1 for the first; None for all of them.
    """

    live: ClassVar[bool] = False

    def __init__(self, folder: Path, name: str | None = None, channel: int | None = None) -> None:
        only = f"?channel={channel}" if channel else ""
        default = safe_name(folder.resolve().name, "folder")
        super().__init__(f"file:{folder}{only}", name or default, name is not None)
        self.folder = folder
        self._channel = channel

    def blocks(self) -> Iterator[Block]:
        """The blocks of `glatd.audio.decode` of one file after the other.

        Raises:
            SourceError: the folder cannot be read, or there is no recording in it.
        """
        try:
            files = sorted(file for file in self.folder.iterdir() if file.is_file() and not file.name.startswith("."))
        except OSError as error:
            raise SourceError(f"{self.folder} cannot be read: {error.strerror}; check the path") from error
        end, rate = 0, 0  # of what was given, in samples at the rate of its last recording
        for file in files:
            first: int | None = None
            try:
                for block in decode(file):
                    if self._stopped.is_set():
                        return
                    if first is None:
                        first = 0 if rate == 0 else -(-end * block.rate // rate) + _BETWEEN_S * block.rate
                    samples = pick_channel(block.samples, self._channel, str(file))
                    end, rate = first + block.start + len(samples), block.rate
                    yield replace(block, start=first + block.start, samples=samples)
            except SourceError as error:
                log.warning("%s: %s", self.name, error)
        if rate == 0 and not self._stopped.is_set():
            raise SourceError(f"{self.folder} holds no recording that can be read; give a folder with some, or a file")
