"""Recordings: any file that FFmpeg reads, as fast as it is asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from glatd.audio import Block, decode
from glatd.daemon.sources.base import Source, safe_name


class FileSource(Source):
    """The first audio track of a file. It paces nothing; a replay does."""

    live: ClassVar[bool] = False

    def __init__(self, path: Path, name: str | None = None) -> None:
        super().__init__(f"file:{path}", name or safe_name(path.stem, "file"), name is not None)
        self.path = path

    def blocks(self) -> Iterator[Block]:
        """The blocks of `glatd.audio.decode`, with its errors."""
        for block in decode(self.path):
            if self._stopped.is_set():
                return
            yield block
