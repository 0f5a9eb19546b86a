"""One stream from samples to messages: the part that the daemon and `Tagger` share."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.announce import Announcer
from glatd.daemon.ingest import Chunk, Lost
from glatd.daemon.stream import Stream
from glatd.messages import Gap

Floats = NDArray[np.float32]


class Channel:
    """Feeds a stream piece by piece, never past the end of a window that is due.

    What waits in `_pending` is bounded by whoever fills it.
    """

    def __init__(self, stream: Stream, announcer: Announcer) -> None:
        self.stream, self.announcer = stream, announcer
        self._pending: list[Floats | Lost] = []
        self.ended = False

    def give(self, pieces: Iterable[Chunk | Lost]) -> Iterator[Gap]:
        """Take what came from the source; lost audio is told at once."""
        for piece in pieces:
            if isinstance(piece, Lost):
                start = self.stream.position + sum(self._length(waiting) for waiting in self._pending)
                self._pending.append(piece)
                yield self.announcer.gap(start, start + piece.samples, piece.cause)
                continue
            self._pending.append(piece.samples)
            if piece.arrival is not None:
                waiting = sum(self._length(part) for part in self._pending)
                self.announcer.clock.observe(self.stream.position + waiting, piece.arrival)

    def end(self) -> None:
        """No more will come."""
        self.ended = True

    def feed(self) -> bool:
        """Move audio into the stream up to its next window; whether anything moved."""
        moved = False
        while self._pending and (room := self.stream.wanted()) > 0:
            piece = self._pending.pop(0)
            moved = True
            if isinstance(piece, Lost):
                if self.stream.is_fresh_start(piece.samples) and piece.cause != _REST:
                    self.stream.restart(piece.samples)
                    continue
                self.stream.skip(min(room, piece.samples))
                if piece.samples > room:
                    self._pending.insert(0, Lost(piece.samples - room, _REST))
                continue
            self.stream.append(piece[:room])
            if len(piece) > room:
                self._pending.insert(0, piece[room:])
        if self.ended and not self._pending and not self.stream.finished:
            self.stream.finish()
            moved = True
        return moved

    @staticmethod
    def _length(piece: Floats | Lost) -> int:
        return piece.samples if isinstance(piece, Lost) else len(piece)


_REST = "the rest of a gap that was already told"
