"""The thread of one source: read, pace a recording, resample, and hand over without ever growing."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from glatd.audio import Block, Missing
from glatd.daemon.diagnosis import SignalMonitor
from glatd.daemon.ingest import Chunk, Ingest, Lost
from glatd.daemon.outage import Outage
from glatd.daemon.sources.base import Source
from glatd.daemon.supervise import Supervisor
from glatd.errors import GlatdError, SourceError

INBOX_SECONDS = 10.0  # of audio that may wait for the loop


class Recording(Protocol):
    """What writes down the samples of one stream as they came."""

    def take(self, block: Block) -> None:
        """A block on the stream's own sample clock."""

    def gap(self, missing: Missing) -> None:
        """Audio that did not come, where its cause is known."""

    def lose(self, block: Block, cause: str) -> None:
        """A block that came and is not part of the stream."""

    def outage(self, outage: Outage) -> None:
        """Events have ended for want of audio; in the thread of the loop."""

    def close(self) -> None:
        """The stream has ended."""


class Worker:
    """Runs a source in a thread; a live one is supervised.

    A recording waits when the loop is behind. Live audio cannot wait: what does not fit is not
    taken, the next block then starts ahead of its predecessor's end, and that is told as a gap.

    Args:
        source: not yet opened.
        rate: Hz that the loop wants.
        ready: notified when as much as `wanted`, a loss, or the end can be fetched.
        speed: of a recording, times real time; None for as fast as it goes.
        reconnect: whether a live source is opened again when it ends or fails.
        recording: told all that comes, in the thread of the source, but for outages.
    """

    def __init__(
        self,
        source: Source,
        rate: int,
        ready: threading.Condition,
        speed: float | None,
        reconnect: bool = True,
        recording: Recording | None = None,
    ) -> None:
        self.source = source
        self.monitor = SignalMonitor()
        self.supervisor = Supervisor(source, self._told) if source.live and reconnect else None
        self.error: GlatdError | None = None
        self.phase, self.reason = "starting", ""  # starting, open or reconnecting, and why
        self.heard = time.monotonic()  # when the last block came, or the last connection began
        self.muted = False
        self.wanted = 1  # samples that the loop needs to go on; set by it
        self._ready, self._speed, self._recording = ready, speed, recording
        self._ingest = Ingest(rate)
        self._inbox: deque[Chunk | Lost] = deque()
        self._waiting = 0  # samples in the inbox
        self._limit = int(INBOX_SECONDS * rate)
        self._done = self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"source {source.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the source to end; returns at once."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        if self.supervisor is not None:
            self.supervisor.stop()
        self.source.stop()

    def join(self, seconds: float) -> None:
        """Wait for the thread, not for ever: a driver may hang in its own close."""
        if self._thread.ident is not None:  # else it was never started
            self._thread.join(seconds)

    def note(self, outage: Outage) -> None:
        """Write down that events have ended for want of audio; in the thread of the loop."""
        if self._recording is not None:
            self._recording.outage(outage)

    @property
    def hangs(self) -> bool:
        """Whether the thread is still there although it was asked to stop."""
        return self._stopping and self._thread.is_alive()

    @property
    def waiting(self) -> float:
        """Seconds of audio that wait for the loop."""
        return INBOX_SECONDS * self._waiting / self._limit

    def fetch(self) -> tuple[list[Chunk | Lost], bool]:
        """What has come since the last call, and whether that was the end. Call with `ready` held."""
        if not self._inbox:
            return [], self._done
        pieces = list(self._inbox)
        self._inbox.clear()
        self._waiting = 0
        self._ready.notify_all()
        return pieces, self._done

    def _pieces(self) -> Iterator[Block | Missing]:
        return self.source.blocks() if self.supervisor is None else self.supervisor.pieces()

    def _told(self, phase: str, reason: str) -> None:
        self.phase, self.reason, self.heard = phase, reason, time.monotonic()
        with self._ready:
            self._ready.notify_all()

    def _run(self) -> None:
        try:
            began = time.monotonic()
            for piece in self._pieces():
                if isinstance(piece, Missing):
                    if self._recording is not None:
                        self._recording.gap(piece)
                elif not self._heed(piece, began):
                    continue
                if not self._hand_over(self._ingest.push(piece)):
                    break
        except GlatdError as error:
            self.error = error
        except Exception as error:  # a source's library may raise anything; one stream must not end the others
            self.error = SourceError(f"{self.source.uri}: {type(error).__name__}: {error}")
        finally:
            if self._recording is not None:
                self._recording.close()
            self._hand_over(self._ingest.finish())
            with self._ready:
                self._done = True
                self._ready.notify_all()

    def _heed(self, block: Block, began: float) -> bool:
        """Note that a block has come, and pace it; whether it is to be taken."""
        self.heard = time.monotonic()
        if self.phase == "starting":
            self.phase = "open"
        if self.muted:
            self._ingest.lose(block, "muted")
            if self._recording is not None:
                self._recording.lose(block, "muted")
            return False
        if self.source.live:  # what a replay says must not depend on when it is asked
            self.monitor.take(block.samples, block.rate)
        if self._recording is not None:
            self._recording.take(block)
        if self.source.live:
            if self._full():
                self._ingest.lose(block, "overload")
                return False
            return True
        if self._speed is not None:
            self._wait_until(began + (block.start + len(block.samples)) / (block.rate * self._speed))
        return True

    def _full(self) -> bool:
        return self._waiting >= self._limit

    def _hand_over(self, pieces: list[Chunk | Lost]) -> bool:
        with self._ready:
            while self._full() and not self.source.live and not self._stopping:
                self._ready.wait()
            self._inbox.extend(pieces)
            self._waiting += sum(len(piece.samples) for piece in pieces if isinstance(piece, Chunk))
            # Waking the loop for every block of every stream would cost more than the blocks.
            if self._waiting >= self.wanted or any(isinstance(piece, Lost) for piece in pieces):
                self._ready.notify_all()
            return not self._stopping

    def _wait_until(self, due: float) -> None:
        with self._ready:
            while not self._stopping and (left := due - time.monotonic()) > 0:
                self._ready.wait(left)
