"""Network streams that FFmpeg opens: RTSP, RTMP, RTP by an SDP file, HTTP with Icecast and HLS."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from glatd.audio import Block
from glatd.daemon.sources import tls
from glatd.daemon.sources.base import Source
from glatd.daemon.sources.decoding import live_blocks
from glatd.daemon.sources.target import Target
from glatd.errors import SourceError

if TYPE_CHECKING:
    from av.container import InputContainer

_OPEN_S = 5.0  # FFmpeg may take it twice, to connect and to look for the tracks
_POLL_S = 0.1  # how late a stop is seen
_LEAVE_S = 0.2  # for the reader to end after a failure
_QUEUE_BLOCKS = 50  # 1 s and more; a reader that is further ahead waits, and the sender with it
# What comes faster than real time is a finite file: it is read at about the pace of its sound, since
# nobody can make it come later. The share above it lets a stream whose clock is fast pass at its own pace.
_AHEAD_S = 8.0
_FASTER = 1.05


class NetworkSource(Source):
    """The first audio track of a network stream at its own rate.

    FFmpeg's own reconnecting is left off: it gives torn frames and hides the loss. The index of a block
    moves on over what was lost, by the sender's time stamps; RTP tells every packet that is missing.

    Args:
        channel: 1 for the first; None for all of them.
    """

    live: ClassVar[bool] = True

    def __init__(self, target: Target, name: str, named: bool, channel: int | None = None) -> None:
        super().__init__(target.shown, name, named)
        self._target = target
        self._channel = channel
        self.jitter = target.jitter_s

    def blocks(self) -> Iterator[Block]:
        """Blocks as they are decoded; ends when the sender ends the stream.

        Raises:
            SourceError: no connection within 5 s, no audio in it, a connection that breaks, no audio for
                10 s (RTP: 1.5 s), a rate or number of channels that changes.
        """
        if self._stopped.is_set():
            return
        reader = Reader(self._target, self._channel)
        reader.start()
        try:
            yield from self._take(reader)
        finally:
            reader.leave()

    def _take(self, reader: "Reader") -> Iterator[Block]:
        heard = time.monotonic()
        paced = 0.0  # seconds of sound ahead of the clock
        while not self._stopped.is_set():
            if paced > _AHEAD_S:
                self._stopped.wait(min(_POLL_S, paced - _AHEAD_S))
            else:
                try:
                    block = reader.pieces.get(timeout=_POLL_S)
                except queue.Empty:
                    block = None
                if isinstance(block, Block):
                    paced += len(block.samples) / block.rate
                    yield block
                elif isinstance(block, End):
                    if block.error is not None:
                        raise block.error
                    return
                elif reader.hangs:
                    raise SourceError(reader.silence)
            now = time.monotonic()
            paced = max(0.0, paced - _FASTER * (now - heard))
            heard = now


@dataclass(frozen=True, slots=True)
class End:
    """The reader has closed the stream."""

    error: Exception | None


class Reader:
    """The thread in which FFmpeg opens, waits, decodes and closes.

    FFmpeg's calls cannot be interrupted from another thread, they only have time limits. So whoever takes
    the blocks waits for this thread, and not longer than it likes; a thread that hangs ends at its limit.
    """

    def __init__(self, target: Target, channel: int | None) -> None:
        self.pieces: queue.Queue[Block | End] = queue.Queue(_QUEUE_BLOCKS)
        self._target, self._channel = target, channel
        self._left = threading.Event()
        self._opened = False
        self._heard = time.monotonic()  # when a block came last
        self._thread = threading.Thread(target=self._run, name=f"read {target.shown}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def leave(self) -> None:
        """Nobody takes any more; the thread ends when its call comes back, mostly at once."""
        self._left.set()
        self._thread.join(_LEAVE_S)

    @property
    def hangs(self) -> bool:
        """Whether it is silent for longer than FFmpeg's own limits should let it be."""
        limit = self._target.silent_s + 1.0 if self._opened else 2 * _OPEN_S + 1.0
        return time.monotonic() - self._heard > limit

    @property
    def silence(self) -> str:
        """What to tell where it `hangs`."""
        if self._opened:
            return f"{self._target.shown}: no audio for {self._target.silent_s:g} s; check the sender and the network"
        return f"{self._target.shown}: no answer within {2 * _OPEN_S + 1:.0f} s; check the host and its name server"

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._read()
        except Exception as caught:  # whatever it is, it is the taker's to know
            error = caught
        self._put(End(error))

    def _read(self) -> None:
        import av

        try:
            with self._open() as container:
                self._opened = True
                self._heard = time.monotonic()
                for block in live_blocks(container, self._target.shown, self._channel, self._target.rtp):
                    self._heard = time.monotonic()
                    if not self._put(block):
                        return
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(f"{self._target.shown}: {self._why(error)}") from error

    def _open(self) -> "InputContainer":
        import av

        return av.open(
            self._target.url,
            format=self._target.format,
            options=dict(self._target.options),
            metadata_errors="replace",
            timeout=(_OPEN_S, self._target.silent_s),
        )

    def _put(self, piece: "Block | End") -> bool:
        """Hand over; False if nobody takes any more."""
        while not self._left.is_set():
            try:
                self.pieces.put(piece, timeout=_POLL_S)
            except queue.Full:
                self._heard = time.monotonic()  # the taker is slow, not the sender
                continue
            return True
        return False

    def _why(self, error: Exception) -> str:
        """What went wrong and what to do; without the address that FFmpeg names, which holds the password."""
        import av

        reason = getattr(error, "strerror", None) or type(error).__name__
        if isinstance(error, av.error.ExitError):
            if self._opened:
                return f"no audio for {self._target.silent_s:g} s; check the sender and the network"
            return f"no answer within {_OPEN_S:.0f} s; check the host and its firewall"
        if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
            return f"{reason}; check user and password"
        if isinstance(error, av.error.HTTPNotFoundError):
            return f"{reason}; check the path, and that the stream is on air"
        if isinstance(error, av.error.ConnectionRefusedError):
            return f"{reason}; check host and port, and that the sender runs"
        if isinstance(error, av.error.InvalidDataError) and not self._opened:
            return "not a stream that FFmpeg understands; check the path"
        if isinstance(error, av.error.PatchWelcomeError) and self._opened:  # Ogg, whose next piece is another
            return "the sound changes; it is opened again"
        if self._opened:
            return f"connection lost, {reason}; check the sender and the network"
        if self._target.checked:  # a certificate that is refused is an input/output error to FFmpeg, too
            return f"{reason}; check the address, the sender and its certificate: {tls.REMEDY}"
        return f"{reason}; check the address and the sender"
