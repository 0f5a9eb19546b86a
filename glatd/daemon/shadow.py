"""An engine that runs beside the live one, on the same windows, and is only compared: before it takes over, say.

It never delays the live one. The loop hands over a copy of what is new of a stream and goes on; a thread with the least
claim to the processor makes frames of it by its own front end, in rings of its own, and looks. Where it cannot keep up,
and as long as the live engine is overloaded, windows are dropped and counted.
"""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from glatd.daemon.assembly import Assembly, Compared
from glatd.daemon.candidate import Candidate
from glatd.daemon.disagreement import Disagreement, Figures
from glatd.daemon.loop import Loop
from glatd.daemon.settings import Settings
from glatd.daemon.stream import Past, Stream
from glatd.daemon.tagging import Floats, Seen, hop_frames, looking, make_frames, see
from glatd.daemon.track import Track
from glatd.engines.manifest import Manifest, read_manifest
from glatd.errors import EngineError, GlatdError

log = logging.getLogger("glatd")

LEAST_PRIORITY = 19  # as of nice(1)
WAITING_EACH = 2  # windows of a stream that may wait, on average
FIRST_SECONDS, TOLD_SECONDS = 60.0, 600.0  # until the first line in the log, and between two
CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A window that the live engine has looked at, and what is new of its stream since the one before."""

    stream: str
    there: frozenset[str]  # streams that there are
    past: Past | None  # all that is held, where the last piece is not what came before
    samples: Floats  # [n] else
    gaps: tuple[tuple[int, int], ...]
    end: int  # sample, of the window
    scores: Floats  # [C] of the live engine
    on: Floats | None  # [C] thresholds
    live: Manifest


class Shadow:
    """Loads its engine, and compares until it is closed.

    Args:
        settings: of the daemon; `shadow` is the folder.
        live: manifest of the engine that runs.
        tracks: of the loop, by stream.
        overloaded: whether the live engine looks at less than it should.

    Attributes:
        folder: of the engine, as the settings name it.
        hash: of the engine; "" while it is loaded, or if it was refused.
        refused: why.
        figures: newest.
    """

    def __init__(
        self, settings: Settings, live: Manifest, tracks: Mapping[str, Track], overloaded: Callable[[], bool]
    ) -> None:
        self.folder, self.hash, self.refused = settings.shadow, "", ""
        self.figures = Figures()
        self._untaken = self._passed = 0  # windows; each is counted in one thread, the first in the loop's
        self._settings, self._live, self._tracks, self._overloaded = settings, live, tracks, overloaded
        self._given: dict[str, tuple[Track, int, int]] = {}  # by stream: what it was, restarts, sample up to which
        self._waiting: deque[Piece] = deque()
        self._came = threading.Condition()
        self._closed = False
        self._streams: dict[str, Stream] = {}
        self._due: dict[str, dict[int, Piece]] = {}  # by stream and end: windows that the shadow has not come to
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def offer(self, track: Track, seen: Seen) -> None:
        """Hand over a look of the live engine; returns at once. In the loop's thread."""
        if not self.hash:
            return
        for gone in self._given.keys() - self._tracks.keys():
            del self._given[gone]
        if self._overloaded() or len(self._waiting) >= max(4, WAITING_EACH * len(self._tracks)):
            self._untaken += 1
            self._given.pop(track.name, None)
            return
        stream = track.channel.stream
        known, restarts, upto = self._given.get(track.name, (None, 0, 0))
        goes_on = known is track and restarts == stream.restarts and stream.wave.start <= upto <= stream.position
        past = None
        if not goes_on:
            past = stream.past()
            past = replace(past, samples=past.samples.copy(), last_end=-1, next_end=seen.window.end)
        piece = Piece(
            track.name,
            frozenset(self._tracks),
            past,
            stream.wave.view(upto, stream.position).copy() if goes_on else np.zeros(0, np.float32),
            tuple(stream.gaps),
            seen.window.end,
            seen.scores,
            track.decider.rules.on if track.decider is not None else None,
            track.announcer.manifest,
        )
        self._given[track.name] = track, stream.restarts, stream.position
        with self._came:
            self._waiting.append(piece)
            self._came.notify()

    @property
    def dropped(self) -> int:
        """Windows that there was no time for."""
        return self._untaken + self._passed

    def close(self) -> None:
        """Compare no more."""
        with self._came:
            self._closed = True
            self._came.notify()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST_PRIORITY)
        # One thread of the processor: the others are for the live engine.
        settings = replace(self._settings, threads=1)
        try:
            candidate = Candidate.load(Path(self.folder), settings, self._live)
            self._compare(candidate)
        except GlatdError as error:
            self._refuse(str(error))
        except Exception as error:  # nothing of it may reach the live engine
            log.exception("the shadow has failed")
            self._refuse(f"{type(error).__name__}: {error}; see the log")

    def _refuse(self, why: str) -> None:
        self.hash = ""
        self.refused = f"shadow {self.folder} was refused: {why}"
        log.error("%s", self.refused)

    def _compare(self, candidate: Candidate) -> None:
        manifest = candidate.engine.manifest
        disagreement = Disagreement(self._live, manifest)
        self.hash = manifest.hash
        log.info("shadow %s %s looks beside the live engine", manifest.model, manifest.hash)
        told, every = time.monotonic(), FIRST_SECONDS
        while (piece := self._next()) is not None:
            if piece.live is not disagreement.live:  # another engine has taken over
                disagreement = Disagreement(piece.live, manifest)
            for held, scores in self._looks(candidate, piece):
                if held.live is disagreement.live:
                    disagreement.add(held.scores, scores, held.on)
            self.figures = disagreement.figures()
            if time.monotonic() - told >= every:
                told, every = time.monotonic(), TOLD_SECONDS
                log.info("shadow %s: %s; %d dropped", manifest.hash, self.figures.text(), self.dropped)

    def _next(self) -> Piece | None:
        """What comes next, as soon as it does; None when it is closed."""
        with self._came:
            while not self._waiting and not self._closed:
                self._came.wait()
            return None if self._closed else self._waiting.popleft()

    def _looks(self, candidate: Candidate, piece: Piece) -> list[tuple[Piece, Floats]]:
        """What the shadow says of the windows that a piece completes, each beside what the live one said."""
        engine, settings = candidate.engine, candidate.settings
        for gone in self._streams.keys() - piece.there:
            self._passed += len(self._due[gone])
            del self._streams[gone], self._due[gone]
        hop = hop_frames(engine, settings.hop)
        if piece.past is not None:
            stream = self._streams[piece.stream] = Stream(engine.sizes, hop, candidate.silence)
            stream.go_on(piece.past)
            self._passed += len(self._due.get(piece.stream, {}))  # what comes anew leaves them unfinished
            self._due[piece.stream] = {}
        stream, due = self._streams[piece.stream], self._due[piece.stream]
        stream.gaps = list(piece.gaps)
        due[piece.end] = piece
        looks = looking(engine, settings.local, settings.crops, hop)
        found: list[tuple[Piece, Floats]] = []
        at = 0
        while True:
            room = min(stream.wanted(), len(piece.samples) - at)
            stream.append(piece.samples[at : at + room])
            at += room
            make_frames(engine, [stream])
            while (window := stream.window_due()) is not None:
                for passed in [end for end in due if end < window.end]:
                    del due[passed]
                    self._passed += 1
                if window.end in due:
                    (seen,) = see(engine, [(stream, window)], looks)
                    found.append((due.pop(window.end), seen.scores))
            if at == len(piece.samples):
                return found


def make_shadow(loop: Loop, settings: Settings) -> Shadow | None:
    """The one that settings want."""
    if not settings.shadow:
        return None
    return Shadow(settings, loop.engine.manifest, loop.tracks, lambda: loop.overload.level > 0)


def is_new(settings: Settings, shadow: Compared | None) -> bool:
    """Whether settings mean another shadow than there is: none or another folder, what was built into it since, or one
    that was refused, which may be mended by now."""
    if shadow is None or not settings.shadow:
        return bool(settings.shadow or shadow)
    if shadow.folder != settings.shadow or shadow.refused:
        return True
    try:
        return shadow.hash not in ("", read_manifest(Path(shadow.folder)).hash)  # "": it is being loaded
    except EngineError:
        return True  # which then says so


def attach(assembly: Assembly, loop: Loop, settings: Settings) -> None:
    """Have the shadow of these settings, or none, beside the live engine from now on; the one before is let go."""

    def change() -> Compared | None:
        shadow = make_shadow(loop, settings)
        before, assembly.shadow = assembly.shadow, shadow
        loop.compare = (lambda track, seen: None) if shadow is None else shadow.offer
        return before

    before = loop.ask(change).result()
    if before is not None:
        before.close()
