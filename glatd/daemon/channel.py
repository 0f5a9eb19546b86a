"""One stream from samples to messages: the part that the daemon and `Tagger` share."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from glatd.daemon.announce import Announcer
from glatd.daemon.ingest import Chunk, Lost
from glatd.daemon.stream import Stream
from glatd.messages import Gap


class Channel:
    """Feeds a stream piece by piece, never past the end of a window that is due.

    A gap is told when the stream comes to it, so that messages have one order, however the audio arrived. What waits
    in `_pending` is bounded by whoever fills it.
    """

    def __init__(self, stream: Stream, announcer: Announcer) -> None:
        self.stream, self.announcer = stream, announcer
        self._pending: deque[Chunk | Lost] = deque()
        self.completed = 0.0  # monotonic seconds at which the newest sample of the stream came; 0.0 if it never did
        self._end = stream.position  # sample after what is pending
        self.ended = False

    def give(self, pieces: Iterable[Chunk | Lost]) -> None:
        """Take what came from the source."""
        for piece in pieces:
            if isinstance(piece, Lost):
                self._pending.append(piece)
                self._end += piece.samples
                self.announcer.clock.lost(piece.samples)
                continue
            self._pending.append(piece)
            self._end += len(piece.samples)
            if piece.arrival is not None:
                self.announcer.clock.observe(self._end, piece.arrival)

    @property
    def pending(self) -> int:
        """Samples that wait to be fed."""
        return self._end - self.stream.position

    def end(self) -> None:
        """No more will come."""
        self.ended = True

    def feed(self, tell: Callable[[Gap], object]) -> bool:
        """Move audio into the stream up to its next window, and `tell` the gaps in it; whether anything moved."""
        moved = False
        while self._pending and (room := self.stream.wanted()) > 0:
            piece = self._pending.popleft()
            moved = True
            if isinstance(piece, Lost):
                if piece.cause != _REST:
                    start = self.stream.position
                    tell(self.announcer.gap(start, start + piece.samples, piece.cause))
                if self.stream.is_fresh_start(piece.samples) and piece.cause != _REST:
                    self.stream.restart(piece.samples)
                    self.completed = 0.0
                    continue
                self.stream.skip(min(room, piece.samples))
                self.completed = 0.0  # a window that ends in an outage was not kept waiting for as long as that
                if piece.samples > room:
                    self._pending.appendleft(Lost(piece.samples - room, _REST))
                continue
            if piece.wall is not None:
                # Not when it is given: how much waits here depends on how busy the machine is.
                self.announcer.clock.recorded(self.stream.position + len(piece.samples), piece.wall)
            self.stream.append(piece.samples[:room])
            self.completed = piece.arrival or 0.0
            if len(piece.samples) > room:
                self._pending.appendleft(replace(piece, samples=piece.samples[room:]))
        if self.ended and not self._pending and not self.stream.finished:
            self.stream.finish()
            moved = True
        return moved


_REST = "the rest of a gap that was already told"
