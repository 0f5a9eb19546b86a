"""The thread of one source: read, pace a recording, resample, and hand over without ever growing."""

import threading
import time
from collections import deque

from glatd.daemon.channel import Channel
from glatd.daemon.ingest import Chunk, Ingest, Lost
from glatd.daemon.sources.base import Source
from glatd.errors import GlatdError, SourceError

INBOX_SECONDS = 10.0  # of audio that may wait for the loop


class Worker:
    """Runs `source.blocks()` in a thread.

    A recording waits when the loop is behind. Live audio cannot wait: what does not fit is not
    taken, the next block then starts ahead of its predecessor's end, and that is told as a gap.

    Args:
        source: not yet opened.
        channel: where the audio goes; touched by the loop's thread only.
        ready: notified whenever there is something to fetch.
        speed: of a recording, times real time; None for as fast as it goes.
    """

    def __init__(self, source: Source, channel: Channel, ready: threading.Condition, speed: float | None) -> None:
        self.source, self.channel = source, channel
        self.error: GlatdError | None = None
        self.opened = False
        self._ready, self._speed = ready, speed
        self._ingest = Ingest(channel.stream.sizes.rate)
        self._inbox: deque[Chunk | Lost] = deque()
        self._waiting = 0  # samples in the inbox
        self._limit = int(INBOX_SECONDS * channel.stream.sizes.rate)
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
        self.source.stop()

    def join(self, seconds: float) -> None:
        """Wait for the thread, not for ever: a driver may hang in its own close."""
        if self._thread.ident is not None:  # else it was never started
            self._thread.join(seconds)

    @property
    def hangs(self) -> bool:
        """Whether the thread is still there although it was asked to stop."""
        return self._stopping and self._thread.is_alive()

    def fetch(self) -> tuple[list[Chunk | Lost], bool]:
        """What has come since the last call, and whether that was the end. Call with `ready` held."""
        pieces = list(self._inbox)
        self._inbox.clear()
        self._waiting = 0
        self._ready.notify_all()
        return pieces, self._done

    def _run(self) -> None:
        try:
            began = time.monotonic()
            for block in self.source.blocks():
                self.opened = True
                if not self.source.live and self._speed is not None:
                    due = began + (block.start + len(block.samples)) / (block.rate * self._speed)
                    if not self._wait_until(due):
                        break
                if self.source.live and self._full():
                    self._ingest.lose(block, "overload")
                elif not self._hand_over(self._ingest.push(block)):
                    break
        except GlatdError as error:
            self.error = error
        except Exception as error:  # a source's library may raise anything; one stream must not end the others
            self.error = SourceError(f"{self.source.uri}: {type(error).__name__}: {error}")
        finally:
            self._hand_over(self._ingest.finish())
            with self._ready:
                self._done = True
                self._ready.notify_all()

    def _full(self) -> bool:
        return self._waiting >= self._limit

    def _hand_over(self, pieces: list[Chunk | Lost]) -> bool:
        with self._ready:
            while self._full() and not self.source.live and not self._stopping:
                self._ready.wait()
            self._inbox.extend(pieces)
            self._waiting += sum(len(piece.samples) for piece in pieces if isinstance(piece, Chunk))
            self._ready.notify_all()
            return not self._stopping

    def _wait_until(self, due: float) -> bool:
        with self._ready:
            while not self._stopping and (left := due - time.monotonic()) > 0:
                self._ready.wait(left)
            return not self._stopping
