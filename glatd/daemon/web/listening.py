"""Live listening: the audio of a stream as an endless WAV, for those with the token where it is switched on."""

import asyncio
import struct
from collections.abc import AsyncIterator

from glatd.daemon.privacy.clipfile import as_int16
from glatd.daemon.web.feed import Feed, Sound

MOST_LISTENERS = 4
MOST_WAITING = 16  # pieces, of about a second; who is slower than that is hung up on
ENDLESS = 0xFFFFFFFF  # bytes: not known


def wav_head(rate: int) -> bytes:
    """Of 16 bit mono PCM without an end."""
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", ENDLESS)
        + b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + (b"data" + struct.pack("<I", ENDLESS))
    )


class Listeners:
    """Who listens to which stream. In the dashboard's thread."""

    def __init__(self, feed: Feed, rate: int) -> None:
        self._feed, self._rate = feed, rate
        self._of: dict[str, set[asyncio.Queue[bytes | None]]] = {}

    @property
    def count(self) -> int:
        """Of all streams."""
        return sum(map(len, self._of.values()))

    def take(self, sound: Sound) -> None:
        """More of a stream's audio."""
        if queues := self._of.get(sound.stream):
            data = as_int16(sound.samples).tobytes()
            for queue in queues:
                _put(queue, data)

    def end(self, stream: str) -> None:
        """The stream gives nothing more."""
        for queue in self._of.get(stream, ()):
            _put(queue, None)

    def close(self) -> None:
        """Nothing gives more."""
        for stream in self._of:
            self.end(stream)

    async def listen(self, stream: str) -> AsyncIterator[bytes]:
        """The audio of a stream from now on, until it ends or whoever asks does."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)
        self._of.setdefault(stream, set()).add(queue)
        self._tell()
        try:
            yield wav_head(self._rate)
            while (piece := await queue.get()) is not None:
                yield piece
        finally:
            self._of[stream].discard(queue)
            if not self._of[stream]:
                del self._of[stream]
            self._tell()

    def _tell(self) -> None:
        self._feed.listened = frozenset(self._of)


def _put(queue: asyncio.Queue[bytes | None], piece: bytes | None) -> None:
    if queue.full():  # too slow: the end comes next
        while not queue.empty():
            queue.get_nowait()
        piece = None
    queue.put_nowait(piece)
