"""The loop: one thread that feeds the streams, runs the engine and hands on every message."""

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.batching import choose, sleep_until
from glatd.daemon.calls import Calls
from glatd.daemon.clock import SystemClock
from glatd.daemon.events.rules import Rules
from glatd.daemon.journal.numbering import Numbering
from glatd.daemon.overload import Overload
from glatd.daemon.tagging import Seen, look, make_frames
from glatd.daemon.track import BUSY_SCORE, Track, Turn
from glatd.engines.engine import Engine
from glatd.errors import ConfigError
from glatd.messages import Event, Gap, Message

IDLE_SECONDS = 0.2  # longest sleep between two looks at the stop flag and at the health of the sources
STOP_SECONDS = 1.0  # for all sources together to close

Sink = Callable[[Message], None]
T = TypeVar("T")


class Offsets(Protocol):
    """What gives events their offsets: a journal, which has them on the disk then, or a count."""

    def append(self, events: Sequence[Event]) -> list[Event]:
        """The events with their offsets, in order."""


class Loop:
    """Runs until every source has ended or `stop` is called.

    Args:
        engine: used from the thread of `run` only.
        tracks: one a stream, not started.
        ready: the condition that their workers notify.
        sinks: called with each message, in order, in the thread of `run`.
        overload: decides how much is looked at.
        clock: of the machine.
        patience: seconds that a window may wait for companions.
        status_seconds: between two status messages of a stream.
        node_status: makes the node's own message; None for none.
        every_pass: called in each pass, at least every 0.2 s; a watchdog lives on it.
        journal: gives events their offsets before they are told; counts from 1 when None.
    """

    def __init__(
        self,
        engine: Engine,
        tracks: Sequence[Track],
        ready: threading.Condition,
        sinks: Sequence[Sink],
        overload: Overload,
        clock: SystemClock,
        patience: float,
        status_seconds: float,
        node_status: "Callable[[Loop], Message] | None" = None,
        every_pass: Callable[[], None] = lambda: None,
        journal: Offsets | None = None,
    ) -> None:
        self.engine, self.sinks, self.overload = engine, sinks, overload
        self._journal = journal or Numbering()
        self.stays = False  # whether it goes on without streams: more may be added
        self.warm = False  # whether every size has been run once; set by who has it warmed up
        self.timed: Callable[[str, float], None] = lambda stage, seconds: None  # told how long each stage takes
        self.saw: Callable[[Track, Seen], None] = lambda track, seen: None  # told what each look has seen
        self.turned: Callable[[Engine], None] = lambda engine: None  # told of another engine before it takes over
        self.compare: Callable[[Track, Seen], None] = lambda track, seen: None  # so is a shadow of the engine
        self.tracks = {track.name: track for track in tracks}
        self.late: deque[float] = deque(maxlen=10_000)  # s, of the windows since the last message of the node
        self._clock = clock
        self._ready, self._patience, self._status_seconds = ready, patience, status_seconds
        self._node_status, self._every_pass = node_status, every_pass
        self._sounds = sounds(engine)
        self._stop = threading.Event()
        self._calls = Calls()
        self._looked = self._told = 0.0  # monotonic s

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Only sets a flag, so a signal handler may call it."""
        self._stop.set()

    def live(self) -> list[Track]:
        """The streams that have not ended."""
        return [track for track in self.tracks.values() if not track.ended]

    def ask(self, function: Callable[[], T]) -> "Future[T]":
        """Have a function called in the loop's thread, between two passes; from any thread."""
        return self._calls.ask(function)

    def add(self, track: Track) -> None:
        """Start one more stream. In the loop's thread (`ask`).

        Raises:
            ConfigError: there is a stream of that name.
        """
        before = self.tracks.get(track.name)
        if before is not None and not before.ended:
            raise ConfigError(f"there is a stream {track.name!r} already; remove it first or choose another name")
        self.tracks[track.name] = track
        self._start(track)

    def remove(self, name: str) -> None:
        """Ask a stream to end; its last window is still looked at. In the loop's thread (`ask`).

        Raises:
            ConfigError: there is no such stream.
        """
        track = self.track(name)
        track.left = time.monotonic()
        track.worker.stop()

    def mute(self, name: str, muted: bool) -> None:
        """Throw the audio of a stream away as it comes, or take it again. In the loop's thread (`ask`).

        Raises:
            ConfigError: there is no such stream.
        """
        self.track(name).worker.muted = muted

    def change(self, name: str, rules: Rules) -> Track:
        """Decide on the events of a stream by other rules from now on; the stream. In the loop's thread (`ask`).

        Raises:
            ConfigError: there is no such stream.
        """
        track = self.track(name)
        self.tell_events(track.change(rules))
        return track

    def turn(self, engine: Engine, turned: Callable[[Track], Turn]) -> None:
        """Look by another engine from now on, between two hops. In the loop's thread (`ask`).

        What is due is looked at by the former one first. Whatever is raised here, that one stays.

        Args:
            turned: what a stream goes on with; changes nothing of it.

        Raises:
            ConfigError: the loop ends.
        """
        if self.stopping:
            raise ConfigError("glatd ends; the engine stays as it is")
        self._work(self.live(), patience=0.0)
        live = self.live()
        turns = [turned(track) for track in live]
        for turn in turns:  # one by one: the frames of a window of each, before they are put into the rings, are 0.5 MB
            make_frames(engine, [turn.stream])
        can_go_on = sounds(engine)
        self.turned(engine)  # the last that may fail
        self.engine, self._sounds = engine, can_go_on
        for track, turn in zip(live, turns, strict=True):
            self.tell_events(track.turn(turn))
            self.tell(track.status(time.time()))

    def run(self) -> None:
        """Start the sources and stay until the end."""
        live: list[Track] = []
        try:
            for track in self.live():
                self._start(track)
            self._told = time.monotonic()
            self._until_the_end()
        finally:
            # Also when a sink fails: a thread that is left running would trouble the exit.
            live = self.live()
            self._stop_sources(live)
        for track in live:
            self.tell_events(track.close("stopped"))
            track.announcer.state = "stopped"
            self.tell(track.status(time.time(), "the daemon stops"))

    def tell(self, message: Message) -> None:
        """Hand a message to every sink."""
        for sink in self.sinks:
            sink(message)

    def tell_events(self, events: Sequence[Event]) -> None:
        """Hand events to every sink, once they stand in the journal."""
        if events:
            for event in self._journal.append(events):
                self.tell(event)

    def tell_node(self) -> None:
        """Tell how the node fares, when it is time or before. In the loop's thread (`ask`)."""
        if self._node_status is not None:
            self.tell(self._node_status(self))
        self.late.clear()

    def _until_the_end(self) -> None:
        while (self.stays or self.live()) and not self._stop.is_set():
            self._calls.answer()
            live = self.live()
            self._fetch(live)
            self._work(live)
            self._look_after()
            self._every_pass()

    def _fetch(self, live: Sequence[Track]) -> None:
        """Wait for audio, and give each stream what has come."""
        due = [track.due for track in live if track.due is not None]
        until = sleep_until(due, self._patience)
        if until is not None:
            # What comes meanwhile can wait until the oldest window can't.
            self._stop.wait(max(0.0, min(until - time.monotonic(), IDLE_SECONDS)))
        with self._ready:
            came = [track.fetch() for track in live]
            if not any(came) and not due and not self._calls:
                self._ready.wait(IDLE_SECONDS)
                came = [track.fetch() for track in live]
        for track, has_come in zip(live, came, strict=True):
            if has_come and track.announcer.state != "live":
                self._check(track)

    def _work(self, live: Sequence[Track], patience: float | None = None) -> None:
        """Feed and look until every stream needs more audio or waits for companions; then close those that ended.

        Args:
            patience: seconds that a window may wait for companions; that of the loop when None.
        """
        patience = self._patience if patience is None else patience
        while not self._stop.is_set():
            free = [track for track in live if track.due is None]
            fed = [track.channel.feed(functools.partial(self._tell_gap, track)) for track in free]
            began = time.monotonic()
            make_frames(self.engine, [track.channel.stream for track in free])
            if any(fed):
                self.timed("frontend", time.monotonic() - began)
            for track in free:
                while (quiet := track.look(self.overload.rung)) is not None:
                    message, events = quiet
                    self.tell(message)
                    self.tell_events(events)
            if not self._look(live, patience) and not any(fed):
                break
        for track in live:
            track.hint()
            if track.channel.stream.finished and track.due is None and not self._stop.is_set():
                self._end(track)

    def _look(self, live: Sequence[Track], patience: float) -> bool:
        """Look at one batch of the windows that are due, if it is time; whether it was."""
        due = [track.due for track in live if track.due is not None]
        others = sum(track.due is None and track.may_join(patience) for track in live)
        began = time.monotonic()
        batch = choose(due, began, patience, others, self.engine.most_windows, self.engine.lanes.beside)
        if not batch:
            return False
        pairs = [(item.of.channel.stream, item.window) for item in batch]
        looked, spent = look(self.engine, pairs, self.overload.rung.looks), 0.0
        for item in batch:  # each is told while those behind it are looked at
            then = time.monotonic()
            seen = next(looked)
            spent += time.monotonic() - then
            self._publish(item.of, seen, item.since, began)
            item.of.due = None
        self.timed("look", spent)
        return True

    def _publish(self, track: Track, seen: Seen, since: float, began: float) -> None:
        then = time.monotonic()
        self.tell(track.announcer.tags(seen))
        self.tell_events(track.decide(seen))
        track.busy = bool(seen.scores[self._sounds].max() >= BUSY_SCORE)
        now = time.monotonic()
        track.counts.late = now - since
        self.late.append(now - since)
        for stage, seconds in (("wait", began - since), ("publish", now - then), ("late", now - since)):
            self.timed(stage, seconds)
        self.saw(track, seen)
        self.compare(track, seen)
        if self.overload.observe(began - since, now):
            self.tell_node()

    def _look_after(self) -> None:
        """The health of every source, and the messages that come every few seconds."""
        now = time.monotonic()
        if now - self._looked < IDLE_SECONDS:
            return
        self._looked = now
        clock_was_set = self._clock.look() != 0.0
        told = now - self._told >= self._status_seconds
        for track in self.live():
            self._check(track)
            self.tell_events(track.lost())
            if told or clock_was_set:
                self.tell(track.status(time.time(), "the clock of this machine was set" if clock_was_set else ""))
        if told:
            self._told = now
            self.tell_node()

    def _check(self, track: Track) -> None:
        if (status := track.check(time.time())) is not None:
            self.tell(status)

    def _tell_gap(self, track: Track, gap: Gap) -> None:
        self.tell(gap)
        self.tell_events(track.gap(gap))

    def _start(self, track: Track) -> None:
        self.tell(track.status(time.time()))
        track.worker.start()

    def _end(self, track: Track) -> None:
        self.tell_events(track.close("removed" if track.left is not None else "end of stream"))
        track.ended = True
        track.announcer.state = "failed" if track.worker.error else "ended"
        removed = "removed" if track.left is not None else ""
        self.tell(track.status(time.time(), removed or str(track.worker.error or "")))
        if removed:
            del self.tracks[track.name]

    def track(self, name: str) -> Track:
        """A stream that has not ended. In the loop's thread (`ask`).

        Raises:
            ConfigError: there is no such stream.
        """
        track = self.tracks.get(name)
        if track is None or track.ended:
            known = ", ".join(sorted(track.name for track in self.live())) or "none"
            raise ConfigError(f"there is no stream {name!r}; there are: {known}")
        return track

    @staticmethod
    def _stop_sources(live: Sequence[Track]) -> None:
        for track in live:
            track.worker.stop()
        until = time.monotonic() + STOP_SECONDS
        for track in live:
            track.worker.join(max(0.0, until - time.monotonic()))


def sounds(engine: Engine) -> NDArray[np.bool_]:
    """[C] whether a class is something that may go on; "Silence" is one of AudioSet's."""
    return np.array([label.name != "Silence" for label in engine.manifest.labels])
