"""Put the parts together that the streams of one process share: what `glatd run` and `glatd replay` are made of."""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from glatd.daemon.announce import Announcer
from glatd.daemon.channel import Channel
from glatd.daemon.clock import SystemClock, WallClock, rfc3339
from glatd.daemon.control import check_private
from glatd.daemon.disagreement import Figures
from glatd.daemon.events.decider import make_decider
from glatd.daemon.events.rules import resolve
from glatd.daemon.gate import LevelGate
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.numbering import Numbering
from glatd.daemon.loop import Loop, Sink
from glatd.daemon.metrics.address import read_address
from glatd.daemon.overload import Overload, Rung, ladder, ladder_everywhere
from glatd.daemon.privacy.outlet import check_labels, make_outlet
from glatd.daemon.privacy.writer import ClipWriter
from glatd.daemon.recording.writer import Recorder
from glatd.daemon.security.access import LOCAL, Access, check_reach, make_access
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import Source, unique_names
from glatd.daemon.sources.uri import parse_source
from glatd.daemon.stream import Stream
from glatd.daemon.tagging import Floats, check_crops, hop_frames, silence
from glatd.daemon.track import Track
from glatd.daemon.worker import Worker
from glatd.engines.choose import folders_of, load_best
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.machine import resident_mb
from glatd.errors import ConfigError
from glatd.messages import Node


def make_sources(settings: Settings) -> list[Source]:
    """The sources of a configuration, not opened, with unique names.

    Raises:
        ConfigError: none, one that cannot be understood, or two of one name.
    """
    if not settings.source and not settings.control:
        raise ConfigError("no source to listen to; give --source mic: or a [[source]] in the configuration")
    return unique_names(
        [parse_source(f"{source.name}={source.uri}" if source.name else source.uri) for source in settings.source]
    )


def check_guarded(settings: Settings, sources: Sequence[Source]) -> Access:
    """The keys, and that nobody is let in without them who should not be.

    Raises:
        ConfigError: the keys cannot be read, or others could; a socket or source that other machines reach without.
    """
    access = make_access(settings.keys, settings.insecure)
    if settings.publish:
        check_reach(settings.publish, f"cannot publish on {settings.publish}", "--publish", access)
    if settings.catchup:
        check_reach(settings.catchup, f"cannot answer on {settings.catchup}", "catchup", access)
    if settings.control:
        check_private(settings.control, access)
    if settings.metrics:
        read_address(settings.metrics, settings.insecure)
    if settings.web.address:
        read_address(settings.web.address, settings.insecure, "web.address", 8080)
    for source in sources:
        source.guard(access)
    return access


def make_engine(settings: Settings, lanes: int = 1) -> Engine:
    """Load the engine and check the settings against it.

    Args:
        lanes: windows of several streams that it looks at side by side; 1 gives a window all `threads`.

    Raises:
        EngineError: it cannot be loaded.
        ConfigError: a hop or a number of crops that it cannot do, or rules for labels that it has not.
    """
    if settings.engine == "auto":
        engine, _ = load_best(folders_of(settings.engines), settings.threads, settings.incremental, lanes)
    else:
        engine = load_engine(Path(settings.engine), settings.threads, settings.incremental, lanes)
    check_engine(settings, engine)
    return engine


def check_engine(settings: Settings, engine: Engine) -> None:
    """Check the settings against an engine; nothing of it is run.

    Raises:
        ConfigError: a hop or a number of crops that it cannot do, or rules for labels that it has not.
    """
    hop_frames(engine, settings.hop)
    check_crops(engine, settings.local, settings.crops)
    resolve(settings.events, engine.manifest.labels, engine.sizes, 1, "")  # unknown labels
    check_labels(settings.clips, settings.blank, engine.manifest.labels)


class Compared(Protocol):
    """What an engine beside the live one says of itself."""

    folder: str  # of it, as the settings name it
    hash: str  # "" until it is loaded
    refused: str  # why it is not
    figures: Figures

    @property
    def dropped(self) -> int:
        """Windows that there was no time for."""

    def close(self) -> None:
        """Compare no more."""


class Assembly:
    """Everything that the streams of one process share.

    Args:
        access: how the sockets are guarded that programs push audio into.
    """

    def __init__(
        self, settings: Settings, engine: Engine, clock: SystemClock | None = None, access: Access = LOCAL
    ) -> None:
        self.settings, self.engine, self.access = settings, engine, access
        self.session = uuid.uuid4().hex
        self.recorder: Recorder | None = None  # of every stream that is made from now on
        self.journal: Journal | Numbering = Numbering()  # of the loop that is made from now on
        self.clips: ClipWriter | None = None  # of the events of every stream that is made from now on
        self.silence = silence(engine)
        self.swaps = self.refusals = 0  # engines that took over since the start, and that were not let to
        self.refused = ""  # why the engine that was asked for last is not the one that runs
        self.shadow: Compared | None = None  # an engine beside it
        self.clock = clock or SystemClock()
        self.began = time.monotonic()
        self._ready = threading.Condition()

    def loop(
        self, tracks: Sequence[Track], sinks: Sequence[Sink], live: bool, every_pass: Callable[[], None] = lambda: None
    ) -> Loop:
        """A loop over `tracks`.

        Args:
            live: whether it cannot wait: overload is met by looking at less, and the node tells how it fares.
        """
        settings = self.settings
        return Loop(
            self.engine,
            tracks,
            self._ready,
            sinks,
            Overload(self.rungs(), settings.hop, active=live and settings.overload),
            self.clock,
            settings.latency if live else 0.0,
            settings.status_seconds,
            self.node_status if live else None,
            every_pass,
            self.journal,
        )

    def rungs(self) -> tuple[Rung, ...]:
        """What is looked at, and by and by left out under overload."""
        settings, engine = self.settings, self.engine
        if settings.local == "all":
            return ladder_everywhere(hop_frames(engine, settings.hop), engine.sizes)
        return ladder(settings.crops)

    def adopt(self, engine: Engine, silent: Floats, settings: Settings) -> None:
        """Make streams for another engine from now on. In the loop's thread."""
        self.engine, self.silence, self.settings = engine, silent, settings
        self.swaps += 1
        self.refused = ""

    def refuse(self, why: str) -> None:
        """The engine that was asked for is not taken; from any thread."""
        self.refusals += 1
        self.refused = why

    def track(self, source: Source, speed: float | None, of: SourceSettings | None = None) -> Track:
        """A stream, not started; a recording runs at `speed`, None as fast as it can.

        Raises:
            ConfigError: others could push audio into it, and there are no keys.
        """
        settings, engine = self.settings, self.engine
        source.guard(self.access)
        of = of or SourceSettings(source.uri)
        hop = hop_frames(engine, settings.hop)
        announcer = Announcer(
            settings.node_name,
            self.session,
            source.name,
            source.uri,
            engine.manifest,
            WallClock(time.time(), engine.sizes.rate, self.clock),
            settings.top or None,
        )
        stream = Stream(engine.sizes, hop, self.silence)
        recorded = self.recorder.stream(source.name, source.uri) if self.recorder else None
        rules = settings.clips, settings.blank
        outlet, recording = make_outlet(stream, source.name, engine.manifest, rules, self.clips, recorded)
        worker = Worker(source, engine.sizes.rate, self._ready, speed, of.reconnect, recording)
        worker.muted = of.muted
        gate = LevelGate(settings.gate_setting, -(-engine.sizes.window // hop))
        decider = make_decider(announcer, settings.events, hop)
        return Track(worker, Channel(stream, announcer), gate, decider, outlet)

    def node_status(self, loop: Loop) -> Node:
        """How the node fares."""
        live = loop.live()
        tracks = loop.tracks.values()
        shadow = self.shadow
        figures = shadow.figures if shadow is not None else Figures()
        troubles = (
            self.journal.trouble,
            self.clips.trouble if self.clips else "",
            self.refused,
            shadow.refused if shadow is not None else "",
        )
        late = sorted(loop.late)
        rung = loop.overload.rung
        return Node(
            self.settings.node_name,
            self.session,
            "",
            rfc3339(time.time()),
            engine=self.engine.manifest.hash,
            streams=len(live),
            live=sum(track.announcer.state == "live" for track in live),
            windows=sum(track.announcer.windows for track in tracks),
            late_ms=round(1000 * late[int(0.99 * (len(late) - 1))], 1) if late else 0.0,
            policy=rung.name,
            level=loop.overload.level,
            steps=loop.overload.steps,
            crops=rung.crops,
            hops=rung.every,
            skipped=sum(track.counts.skipped for track in tracks),
            dropped=sum(track.counts.dropped for track in tracks),
            quiet=sum(track.counts.quiet for track in tracks),
            looked=sum(track.channel.stream.local.computed for track in tracks),
            known=sum(track.channel.stream.local.known for track in tracks),
            trouble="; ".join(filter(None, troubles)),
            swaps=self.swaps,
            shadow=shadow.hash if shadow is not None else "",
            shadow_windows=figures.windows,
            shadow_dropped=shadow.dropped if shadow is not None else 0,
            shadow_top5=round(figures.top5, 4),
            shadow_mean=round(figures.mean, 6),
            shadow_max=round(figures.max, 6),
            shadow_decisions=figures.decisions,
            memory_mb=resident_mb(),
            uptime=round(time.monotonic() - self.began, 1),
        )
