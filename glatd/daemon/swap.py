"""Another engine for the daemon that runs, without a window missing or coming twice.

The way of a swap:

1. Who asks: `engine` on the control socket, or a configuration that is read again (`reload`, SIGHUP) whose engine is
   not the one that runs: another folder, or the same with other contents. One swap at a time.
2. A thread of its own (`Swapper`), while the loop goes on with the old engine: the manifest is read and held against
   the settings, memory is looked at, the engine is loaded, checked, warmed up at every size, and verified: its answers
   to its own probe must be those of the network that it was built from. Until here nothing has changed, and whatever
   goes wrong is one line.
3. In the loop's thread, between two passes (`Loop.turn`): every window that is due is looked at by the old engine.
   Then, still changing nothing, each stream is made once more behind the new one (`Stream.turned`): where the front end
   is the same the frames are kept; else a new ring of frames is filled from the waveform, which is kept for a window
   and more, so that the next window is whole. It ends where it would have ended. Crops that were looked at are
   forgotten, and the rules of events are those of the new classes.
4. Only then, with nothing left that could fail: the loop has the new engine, and every stream its new half
   (`Track.turn`): events of classes that the new engine has too go on, those of others end with a cause; clips,
   recordings and the veil over speech go on with the same samples. All that is told from here on carries the new hash.
5. Back in the thread: the old engine is let go, and its memory given back.

Sources, their threads and resamplers notice nothing: they only count samples at the engine's rate, and an engine of
another rate is refused.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from glatd.daemon.assembly import Assembly
from glatd.daemon.calls import answered
from glatd.daemon.candidate import Candidate
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.gate import LevelGate
from glatd.daemon.live_rules import LiveRules
from glatd.daemon.loop import Loop
from glatd.daemon.memory import give_back
from glatd.daemon.rulebook import RuleBook
from glatd.daemon.settings import Settings
from glatd.daemon.shadow import attach, is_new
from glatd.daemon.tagging import hop_frames
from glatd.daemon.track import Track, Turn
from glatd.daemon.wanted import Wanted
from glatd.engines.manifest import Manifest
from glatd.errors import ConfigError, EngineError, GlatdError

log = logging.getLogger("glatd")

TURN_SECONDS = 60.0  # for the loop to begin with what it is asked

T = TypeVar("T")


class Swapper:
    """Changes the engine and the rules of events of a daemon that runs; from any thread but the loop's.

    Args:
        book: the rules that hold now.
        lock: held while streams or rules are changed.
    """

    def __init__(self, assembly: Assembly, loop: Loop, book: RuleBook, lock: threading.Lock) -> None:
        self._assembly, self._loop, self._book, self._lock = assembly, loop, book, lock
        self._busy = threading.Lock()
        self._wanted = Wanted(assembly.settings, assembly.engine.manifest)

    def to(self, engine: str) -> "Future[dict[str, Any]]":
        """Swap to the engine in a folder, or "auto", also where it is the one that runs.

        Raises:
            ConfigError: another is being loaded. All else is in the future.
        """

        def swap() -> dict[str, Any]:
            if engine == "auto":
                self._wanted.forget()
            return self._swap(replace(self._assembly.settings, engine=engine))

        return self._begin(swap)

    def follow(self, settings: Settings, told: dict[str, Any], failed: Sequence[str] = ()) -> "Future[dict[str, Any]]":
        """Do what a configuration says of the engine, its shadow and events, if that is new.

        Args:
            settings: of it.
            told: what is told beside that.
            failed: what of the rest of it could not be done; an error of the future names that, too.

        Raises:
            ConfigError: another engine is being loaded. All else is in the future; what could be done was done.
        """
        try:
            return self._begin(lambda: told | self._follow(settings, failed))
        except ConfigError as error:
            raise ConfigError("; ".join([*failed, str(error)])) from error

    def _begin(self, work: Callable[[], dict[str, Any]]) -> "Future[dict[str, Any]]":
        if not self._busy.acquire(blocking=False):
            raise ConfigError("another engine is being loaded; ask again when that is done")
        future: Future[dict[str, Any]] = Future()

        def run() -> None:
            try:
                told = work()
            except BaseException as error:  # it is raised again where the future is asked
                self._busy.release()
                future.set_exception(error)
            else:
                self._busy.release()
                future.set_result(told)

        threading.Thread(target=run, name="engine", daemon=True).start()
        return future

    def _follow(self, settings: Settings, failed: Sequence[str]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        errors = list(failed)
        for follow in (self._follow_engine, self._follow_shadow, self._follow_events):
            try:
                told |= follow(settings)
            except GlatdError as error:
                errors.append(str(error))
        if errors:
            raise ConfigError("; ".join(errors))
        return told

    def _follow_engine(self, settings: Settings) -> dict[str, Any]:
        if not self._is_new(settings):
            return {}
        found = self._swap(settings)
        return {"engine": f"engine {found['model']} {found['engine']}"}

    def _follow_shadow(self, settings: Settings) -> dict[str, Any]:
        if not is_new(settings, self._assembly.shadow):
            return {}
        self._assembly.settings = replace(self._assembly.settings, shadow=settings.shadow)
        attach(self._assembly, self._loop, self._assembly.settings)
        return {"shadow": f"shadow {settings.shadow or 'off'}"}

    def _follow_events(self, settings: Settings) -> dict[str, Any]:
        if settings.events == self._assembly.settings.events:
            return {}
        self._change_events(settings.events)
        return {"events": "rules of events"}

    def _is_new(self, settings: Settings) -> bool:
        """Whether settings mean another engine than the one that runs."""
        running = self._assembly
        if settings.threads != running.settings.threads:
            return True
        try:
            return self._wanted.is_new(settings, running.engine.manifest)
        except GlatdError as error:
            self._refuse(settings, error)
            raise

    def _swap(self, settings: Settings) -> dict[str, Any]:
        began, before = time.monotonic(), self._assembly.engine.manifest
        try:
            candidate = self._wanted.load(settings, before)
            loaded = time.monotonic()
            streams, held = self._hand_over(candidate)
        except GlatdError as error:
            self._refuse(settings, error)
            raise
        except Exception as error:  # what runs engines has errors of many kinds; the old one must stay whatever comes
            log.exception("an engine could not be loaded")
            told = EngineError(f"{settings.engine}: {type(error).__name__}: {error}; see the log")
            self._refuse(settings, told)
            raise told from error
        now = candidate.engine.manifest
        give_back()
        log.info(
            "engine %s %s (%s, %s) took over from %s %s between two hops, on %d streams; it was ready after %.1f s, "
            "and the loop was held for %.0f ms",
            now.model,
            now.hash,
            now.runtime.target,
            now.runtime.precision,
            before.model,
            before.hash,
            streams,
            loaded - began,
            1000 * held,
        )
        return {"engine": now.hash, "model": now.model, "before": before.hash}

    def _hand_over(self, candidate: Candidate) -> tuple[int, float]:
        """Have the loop go on with it; the streams that do, and for how many seconds that held the loop."""
        assembly, loop = self._assembly, self._loop
        engine, settings = candidate.engine, candidate.settings
        former = assembly.engine  # so that it is let go in this thread: that may take a while

        def turned(track: Track) -> Turn:
            return self._turned(candidate, track, renewed[track.name][1])

        def turn() -> float:
            began = time.monotonic()
            loop.turn(engine, turned)
            assembly.adopt(engine, candidate.silence, settings)
            loop.overload.rungs = assembly.rungs()
            loop.tell_node()
            return time.monotonic() - began

        with self._lock:
            renewed = self._renewed(settings.events, engine.manifest)
            held = self._in_loop(turn)
            self._book.adopt(settings.events, renewed)
        del former
        return len(renewed), held

    def _turned(self, candidate: Candidate, track: Track, rules: LiveRules) -> Turn:
        """What a stream goes on with. In the loop's thread."""
        engine, settings, stream = candidate.engine, candidate.settings, track.channel.stream
        hop = hop_frames(engine, settings.hop)
        same = hop == stream.hop and has_same_frames(self._assembly.engine.manifest, engine.manifest)
        return Turn(
            engine.manifest,
            stream.turned(engine.sizes, hop, candidate.silence, same),
            LevelGate(settings.gate_setting, -(-engine.sizes.window // hop)),
            rules.resolved,
            (settings.clips, settings.blank),
        )

    def _change_events(self, events: EventSettings) -> None:
        """Decide by other rules from now on, on every stream.

        Raises:
            ConfigError: rules for labels that the engine has not; nothing has changed then.
        """

        def change() -> None:
            for track in self._loop.live():
                self._loop.change(track.name, renewed[track.name][1].resolved)
            assembly.settings = replace(assembly.settings, events=events)

        assembly = self._assembly
        with self._lock:
            renewed = self._renewed(events, assembly.engine.manifest)
            self._in_loop(change)
            self._book.adopt(events, renewed)
        log.info("events are told by the rules of the configuration as it is now")
        if assembly.settings.record:
            log.warning("the recording has the rules that it began with: its replay will not know of the new ones")

    def _renewed(self, events: EventSettings, manifest: Manifest) -> dict[str, tuple[Track, LiveRules]]:
        """The rules of every stream, resolved here rather than in the loop, which has better things to do."""
        found = {}
        for track in self._in_loop(self._loop.live):
            rules = self._book.renewed(track, events, manifest)
            _ = rules.resolved
            found[track.name] = track, rules
        return found

    def _refuse(self, settings: Settings, error: GlatdError) -> None:
        running = self._assembly.engine.manifest
        log.error("the engine stays %s %s: %s", running.model, running.hash, error)
        self._assembly.refuse(f"engine {settings.engine} was refused: {error}")
        self._loop.ask(self._loop.tell_node)

    def _in_loop(self, function: Callable[[], T]) -> T:
        return answered(self._loop.ask(function), TURN_SECONDS)


def has_same_frames(one: Manifest, other: Manifest) -> bool:
    """Whether two engines have one front end and one window, so that the frames of either are those of the other; how
    many of them are kept is the stream's affair."""
    sizes, others = one.geometry, other.geometry
    keys = ("rate", "hop", "left", "right", "mels", "block", "window")
    if any(getattr(sizes, key) != getattr(others, key) for key in keys):
        return False
    files, theirs = ({file for file in each.files if file.name.startswith("frontend.")} for each in (one, other))
    return bool(files) and files == theirs and one.runtime.target == other.runtime.target
