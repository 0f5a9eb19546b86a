"""Recordings: any file that FFmpeg reads, as fast as it is asked for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from glatd.audio import Block, decode
from glatd.daemon.sources.base import Source, pick_channel, safe_name


class FileSource(Source):
    """The first audio track of a file. It paces nothing; a replay does.

    Args:
        channel: 1 for the first; None for all of them.
    """

    live: ClassVar[bool] = False

    def __init__(self, path: Path, name: str | None = None, channel: int | None = None) -> None:
        only = f"?channel={channel}" if channel else ""
        super().__init__(f"file:{path}{only}", name or safe_name(path.stem, "file"), name is not None)
        self.path = path
        self._channel = channel

    def blocks(self) -> Iterator[Block]:
        """The blocks of `glatd.audio.decode`, with its errors."""
        for block in decode(self.path):
            if self._stopped.is_set():
                return
            yield replace(block, samples=pick_channel(block.samples, self._channel, self.uri))
