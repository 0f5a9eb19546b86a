"""The loop: one thread that feeds the streams, runs the engine and hands on every message."""

import threading
import time
from collections.abc import Callable, Sequence

from glatd.daemon.tagging import Seen, step
from glatd.daemon.worker import Worker
from glatd.engines.engine import Engine
from glatd.messages import Message

IDLE_SECONDS = 0.2  # longest sleep between two looks at the stop flag
STOP_SECONDS = 1.0  # for all sources together to close

Sink = Callable[[Message], None]


class Loop:
    """Runs until every source has ended or `stop` is called.

    Args:
        engine: used from the thread of `run` only.
        workers: one a stream, not started.
        ready: the condition that the workers notify.
        sinks: called with each message, in order, in the thread of `run`.
        crops: K, None for the engine's.
        status_seconds: between two status messages of a stream.
        real_time: whether lateness means anything (not when recordings run as fast as they can).
    """

    def __init__(
        self,
        engine: Engine,
        workers: Sequence[Worker],
        ready: threading.Condition,
        sinks: Sequence[Sink],
        crops: int | None,
        status_seconds: float,
        real_time: bool,
    ) -> None:
        self.engine, self.workers, self.sinks, self.crops = engine, workers, sinks, crops
        self._ready, self._status_seconds, self._real_time = ready, status_seconds, real_time
        self._stop = threading.Event()
        self._by_stream = {id(worker.channel.stream): worker for worker in workers}
        self._late = dict.fromkeys(self._by_stream, 0.0)
        self._ended: set[int] = set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Only sets a flag, so a signal handler may call it."""
        self._stop.set()

    def run(self) -> None:
        """Start the sources and stay until the end."""
        try:
            for worker in self.workers:
                self._tell_status(worker)
                worker.start()
            self._until_the_end()
        finally:
            # Also when a sink fails: a thread that is left running would trouble the exit.
            live = self._live()
            self._stop_sources(live)
        for worker in live:
            worker.channel.announcer.state = "stopped"
            self._tell_status(worker, "the daemon stops")

    def _until_the_end(self) -> None:
        told = time.monotonic()
        while len(self._ended) < len(self.workers) and not self._stop.is_set():
            self._fetch()
            self._work()
            if time.monotonic() - told >= self._status_seconds:
                told = time.monotonic()
                for worker in self.workers:
                    if id(worker.channel.stream) not in self._ended:
                        self._tell_status(worker)

    def _fetch(self) -> None:
        """Wait for audio, and give each stream what has come."""
        with self._ready:
            fetched = [(worker, *worker.fetch()) for worker in self._live()]
            if not any(pieces or done for _, pieces, done in fetched):
                self._ready.wait(IDLE_SECONDS)
                fetched = [(worker, *worker.fetch()) for worker in self._live()]
        for worker, pieces, done in fetched:
            if pieces and worker.channel.announcer.state == "starting":
                worker.channel.announcer.state = "live"
                self._tell_status(worker)
            steps = worker.channel.announcer.clock.steps
            worker.channel.give(pieces)
            if worker.channel.announcer.clock.steps != steps:
                self._tell_status(worker, "the clock of this machine was set")
            if done:
                worker.channel.end()

    def _work(self) -> None:
        """Feed and tag until every stream needs more audio; then close those that ended."""
        live = self._live()
        streams = [worker.channel.stream for worker in live]
        moved = True
        while moved and not self._stop.is_set():
            fed = [worker.channel.feed(self._tell) for worker in live]
            moved = any(fed)
            while seen := step(self.engine, streams, self.crops):
                moved = True
                for window in seen:
                    self._publish(window)
                if self._stop.is_set():
                    return
        for worker in live:
            if worker.channel.stream.finished and not self._stop.is_set():
                announcer = worker.channel.announcer
                announcer.state = "failed" if worker.error else "ended"
                self._ended.add(id(worker.channel.stream))
                self._tell_status(worker, str(worker.error or ""))

    def _publish(self, seen: Seen) -> None:
        worker = self._by_stream[id(seen.stream)]
        announcer = worker.channel.announcer
        message = announcer.tags(seen)
        if self._real_time:
            self._late[id(seen.stream)] = max(0.0, time.time() - announcer.clock.at(seen.window.end))
        self._tell(message)

    @staticmethod
    def _stop_sources(live: Sequence[Worker]) -> None:
        for worker in live:
            worker.stop()
        until = time.monotonic() + STOP_SECONDS
        for worker in live:
            worker.join(max(0.0, until - time.monotonic()))

    def _live(self) -> list[Worker]:
        return [worker for worker in self.workers if id(worker.channel.stream) not in self._ended]

    def _tell_status(self, worker: Worker, reason: str = "") -> None:
        late = self._late[id(worker.channel.stream)]
        self._tell(worker.channel.announcer.status(worker.channel.stream, time.time(), late, reason))

    def _tell(self, message: Message) -> None:
        for sink in self.sinks:
            sink(message)
