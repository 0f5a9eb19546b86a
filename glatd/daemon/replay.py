"""Recordings once more, through the daemon's own loop: one stream after the other, on the sample clock.

Nothing is left out under load, as a live run would: the recording waits. Each stream has the engine for itself, so
batches are of one size, and any speed and any repetition says the same to the last digit.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glatd.config import build
from glatd.daemon.assembly import Assembly, check_engine, make_engine
from glatd.daemon.loop import Sink
from glatd.daemon.publish import Publisher
from glatd.daemon.recording.compare import StreamComparison
from glatd.daemon.recording.expected import Expected
from glatd.daemon.recording.layout import DAMAGED, HEADER, is_recording
from glatd.daemon.recording.reader import RecordingSource, open_recording
from glatd.daemon.recording.report import is_equal, report
from glatd.daemon.recording.verdict import Verdict
from glatd.daemon.security.access import make_access
from glatd.daemon.settings import Settings, read_settings
from glatd.daemon.sources.base import Source, unique_names
from glatd.daemon.sources.file import FileSource
from glatd.errors import ConfigError, GlatdError, SourceError
from glatd.messages import Gap, Message
from glatd.terminal import stop_on_signals

log = logging.getLogger("glatd")

# What decides what is said of a sample, or by whom: taken from a recording unless it is given.
RECORDED = ("node", "hop", "local", "crops", "top", "gate", "events")
# Files of a folder that are taken for recordings; any other can be named by itself.
AUDIO = frozenset(
    f".{suffix}"
    for suffix in (
        *("aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "asf", "au", "avi", "bw64", "caf", "flac", "m4a", "mka"),
        *("mkv", "mov", "mp2", "mp3", "mp4", "mpg", "oga", "ogg", "opus", "ra", "rf64", "snd", "spx", "tta", "ts"),
        *("w64", "wav", "webm", "wma", "wv"),
    )
)


@dataclass(frozen=True, slots=True)
class Part:
    """One stream to replay."""

    source: Source
    settings: Settings
    engine: str = ""  # hash of the engine that it was recorded with, if it was


def plan(paths: Sequence[Path], streams: Sequence[str], given: Mapping[str, Any]) -> list[Part]:
    """What to replay, in order: files, the files of folders, the streams of recordings.

    Args:
        streams: names of the only ones to replay; empty for all.
        given: fields of `Settings` that hold whatever was recorded; None for those that were not given.

    Raises:
        ConfigError: a setting that cannot be, or no such stream.
        DataError: a recording that cannot be read.
    """
    plain = read_settings(None, threads=0, **given)
    files: list[Source] = []
    parts: list[Part] = []
    for path in [inner for outer in paths for inner in _inside(outer)]:
        if not is_recording(path):
            files.append(FileSource(path))
            parts.append(Part(files[-1], plain))
            continue
        recording = open_recording(path)
        was = {"local": "top-k", **recording.header.settings}  # before there was a choice
        recorded = {key: was[key] for key in RECORDED if key in was}
        settings = build(Settings, recorded, str(path / HEADER))
        chosen = {key: getattr(settings, key) for key in recorded} | {"node": recording.header.node}
        chosen |= {key: value for key, value in given.items() if value is not None}
        settings = read_settings(None, threads=0, **chosen)
        parts += [Part(source, settings, recording.header.engine) for source in recording.streams]
    unique_names(files)
    if not streams:
        return parts
    known = {part.source.name for part in parts}
    for name in streams:
        if name not in known:
            raise ConfigError(f"there is no stream {name!r} to replay; there are: {', '.join(sorted(known))}")
    return [part for part in parts if part.source.name in streams]


def _inside(path: Path) -> list[Path]:
    """The recordings in a folder by name; the path itself if it is one, or if there are none."""
    if is_recording(path) or not path.is_dir():
        return [path]
    inner = [inner for inner in path.iterdir() if is_recording(inner) or inner.suffix.lower() in AUDIO]
    return sorted(inner) or [path]


class Replay:
    """Replays, and compares if asked to.

    Args:
        parts: as of `plan`.
        speed: times real time; None as fast as it goes.
        sinks: told every message.
        expected: what the replay is to say; None not to compare.
        some: whether of what is expected only some streams are replayed.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        speed: float | None,
        sinks: Sequence[Sink],
        expected: Expected | None = None,
        some: bool = False,
    ) -> None:
        self._parts, self._speed, self._sinks, self._expected, self._some = parts, speed, list(sinks), expected, some
        self._lives: Counter[str] = Counter()  # of each stream, that were replayed
        self.verdicts: dict[str, Verdict] = {}
        self.stopped = False  # by a signal

    def run(self, wait: float, told: Callable[[GlatdError], None]) -> int:
        """Replay all parts.

        Args:
            wait: seconds to wait for a first subscriber where something is published.
            told: of the error of a part; the others go on.

        Returns:
            Exit code: 0, or that of the first part that failed or had audio that could not be used.
        """
        stopped = threading.Event()
        stop_on_signals(stopped.set)
        settings = self._parts[0].settings
        access = make_access(settings.keys, settings.insecure)
        publisher = Publisher(settings.publish, access) if settings.publish else None
        code = 0
        with closing(publisher) if publisher else nullcontext():
            assemblies = self._assemblies()
            if publisher is not None:
                self._sinks.insert(0, publisher)
                if wait > 0 and not publisher.wait_for_subscriber(wait, stopped) and not stopped.is_set():
                    log.warning(
                        "nobody has subscribed to %s within %g s; replaying all the same", settings.publish, wait
                    )
            for part in self._parts:
                if stopped.is_set():
                    break
                error = self._replay(part, assemblies[part.settings], stopped)
                if error is not None:
                    told(error)
                    code = code or error.exit_code
        self.stopped = stopped.is_set()
        return code

    def judge(self, tell: Callable[[str], None]) -> int:
        """Tell line by line how the replay differs from what was expected; exit code 1 if it does."""
        if self.stopped or self._expected is None:
            tell("stopped before its end, so nothing was compared")
            return 1
        names = {part.source.name for part in self._parts}
        lacking = () if self._some else sorted(self._expected.streams - names)
        for line in report(self.verdicts, lacking):
            tell(line)
        return 0 if is_equal(self.verdicts, lacking) else 1

    def _assemblies(self) -> dict[Settings, Assembly]:
        """One for each set of settings, all of one engine and one session."""
        first = self._parts[0].settings
        engine = make_engine(first)
        assemblies = {first: Assembly(first, engine)}
        for part in self._parts:
            if part.settings not in assemblies:
                check_engine(part.settings, engine)
                assemblies[part.settings] = Assembly(part.settings, engine)
                assemblies[part.settings].session = assemblies[first].session
                assemblies[part.settings].journal = assemblies[first].journal  # one sequence of offsets
        made = {part.engine for part in self._parts} - {"", engine.manifest.hash}
        if made and self._expected is None:
            others = ", ".join(sorted(made))
            log.warning("recorded with another engine, %s; this one is %s", others, engine.manifest.hash)
        return assemblies

    def _replay(self, part: Part, assembly: Assembly, stopped: threading.Event) -> GlatdError | None:
        """One stream; its error."""
        source = part.source
        gaps: list[Gap] = []

        def note(message: Message) -> None:
            if isinstance(message, Gap):
                gaps.append(message)

        comparison = self._comparison(source.name)
        sinks: list[Sink] = [*self._sinks, note]
        if comparison is not None:
            sinks.append(comparison)
        try:
            track = assembly.track(source, self._speed)
        except GlatdError as unreadable:
            return unreadable
        loop = assembly.loop([track], sinks, live=False)

        def stop() -> None:
            stopped.set()
            loop.stop()

        stop_on_signals(stop)
        if stopped.is_set():
            return None
        loop.run()
        stop_on_signals(stopped.set)
        if comparison is not None and not stopped.is_set():
            self._judge(source, comparison)
        error = track.worker.error or lost_audio(source, gaps)
        if error is None and not track.announcer.windows and track.channel.stream.finished:
            seconds = track.channel.stream.received / assembly.engine.sizes.rate
            log.warning("%s has %.2f s of audio; below 1 s nothing is tagged", source.uri, seconds)
        return error

    def _comparison(self, name: str) -> StreamComparison | None:
        if self._expected is None:
            return None
        lives = self._expected.of(name)
        life = self._lives[name]
        self._lives[name] += 1
        return StreamComparison(
            lives[life] if life < len(lives) else [], self._expected.types, self._expected.overloaded
        )

    def _judge(self, source: Source, comparison: StreamComparison) -> None:
        verdict = comparison.finish(not isinstance(source, RecordingSource) or source.complete)
        life = self._lives[source.name]
        self.verdicts[source.name if life == 1 else f"{source.name} ({life})"] = verdict


def lost_audio(source: Source, gaps: Sequence[Gap]) -> SourceError | None:
    """What to tell of a recording that did not give all its audio; a live stream would only publish its gaps."""
    if isinstance(source, RecordingSource):  # its gaps are what was recorded
        gaps = [gap for gap in gaps if gap.cause == DAMAGED]
    if not gaps:
        return None
    seconds = sum(gap.end - gap.start for gap in gaps) / gaps[0].rate
    causes = ", ".join(dict.fromkeys(gap.cause for gap in gaps))
    return SourceError(
        f"{source.uri}: {seconds:.2f} s of its audio cannot be used ({causes}); they were taken as silence; "
        "record or convert it again"
    )
