"""Put the parts together, and run them as a daemon."""

import dataclasses
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from glatd.daemon.announce import Announcer
from glatd.daemon.channel import Channel
from glatd.daemon.clock import SystemClock, WallClock, rfc3339
from glatd.daemon.control import Control, check_private
from glatd.daemon.events.decider import make_decider
from glatd.daemon.events.rules import resolve
from glatd.daemon.gate import LevelGate
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.keeping import TroubleTeller, kept
from glatd.daemon.journal.numbering import Numbering
from glatd.daemon.loop import Loop, Sink
from glatd.daemon.manage import Manager
from glatd.daemon.metrics.address import read_address
from glatd.daemon.overload import Overload
from glatd.daemon.privacy.outlet import check_labels, make_outlet
from glatd.daemon.privacy.writer import ClipWriter
from glatd.daemon.publish import Publisher
from glatd.daemon.recording.layout import Header
from glatd.daemon.recording.writer import Recorder, new_recording
from glatd.daemon.security.access import LOCAL, Access, check_reach, make_access
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import Source, unique_names
from glatd.daemon.sources.uri import parse_source
from glatd.daemon.stream import Stream
from glatd.daemon.systemd import Notifier
from glatd.daemon.tagging import FRONTEND_ROWS, check_crops, hop_frames, silence
from glatd.daemon.track import Track
from glatd.daemon.worker import Worker
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.errors import ConfigError
from glatd.messages import Message, Node, Status

if TYPE_CHECKING:
    from glatd.daemon.metrics.server import MetricsServer

log = logging.getLogger("glatd")


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
    for source in sources:
        source.guard(access)
    return access


def make_engine(settings: Settings) -> Engine:
    """Load the engine and check the settings against it.

    Raises:
        EngineError: it cannot be loaded.
        ConfigError: a hop or a number of crops that it cannot do, or rules for labels that it has not.
    """
    engine = load_engine(settings.engine_folder, settings.threads)
    hop_frames(engine, settings.hop)
    check_crops(engine, settings.crops)
    resolve(settings.events, engine.manifest.labels, engine.sizes, 1, "")  # unknown labels
    check_labels(settings.clips, settings.blank, engine.manifest.labels)
    return engine


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
            Overload(settings.crops, settings.hop, active=live and settings.overload),
            self.clock,
            settings.latency if live else 0.0,
            settings.status_seconds,
            self.node_status if live else None,
            every_pass,
            self.journal,
        )

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
            trouble="; ".join(filter(None, [self.journal.trouble, self.clips.trouble if self.clips else ""])),
            memory_mb=resident_mb(),
            uptime=round(time.monotonic() - self.began, 1),
        )


def resident_mb() -> float:
    """Resident memory of this process in MB; 0.0 where the system does not tell it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def make_recorder(assembly: Assembly, sources: Sequence[Source]) -> Recorder:
    """What writes down all that a process hears and says, as its settings want it.

    Raises:
        ConfigError: the folder cannot be written.
    """
    settings, manifest = assembly.settings, assembly.engine.manifest
    told = dataclasses.asdict(settings)
    del told["source"]  # as they were written, with passwords
    recorder = Recorder(
        new_recording(Path(settings.record)),
        Header(
            session=assembly.session,
            node=settings.node_name,
            engine=manifest.hash,
            model=manifest.model,
            began=time.time(),
            settings=told,
            sources=tuple({"name": source.name, "uri": source.uri} for source in sources),
        ),
    )
    log.info("recording into %s", recorder.folder)
    return recorder


def make_clips(settings: Settings) -> ClipWriter:
    """What keeps the clips of events, as the settings want it.

    Raises:
        ConfigError: the folder cannot be used, or others may look into it.
    """
    kept = settings.clips
    return ClipWriter(Path(kept.folder), kept.days, kept.megabytes)


def make_metrics(assembly: Assembly, loop: Loop, publisher: Publisher | None) -> "MetricsServer":
    """What Prometheus scrapes.

    Raises:
        ConfigError: its library is not installed, or the address cannot be used.
    """
    try:
        from glatd.daemon.metrics.serving import serve_metrics
    except ModuleNotFoundError as error:
        raise ConfigError(f"metrics need {error.name}; pip install 'glatd[metrics]'") from error
    subscriptions = (lambda: publisher.subscriptions) if publisher is not None else lambda: 0
    return serve_metrics(assembly.settings, loop, assembly.node_status, subscriptions, assembly.journal)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """SIGTERM and SIGINT only set a flag."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def run(settings: Settings, sink: Sink | None, read: Callable[[], Settings] | None = None) -> int:
    """The daemon: until a signal, or until every source has ended and none can be added by a control socket.

    Args:
        sink: told every message beside the publisher.
        read: reads the configuration again, as SIGHUP wants it; None where there is no file.

    Returns:
        Exit code: 0, or that of the first error when every source failed; each failure was logged when it came.
    """
    stopped = threading.Event()
    stop_on_signals(stopped.set)
    hung_up = threading.Event()
    if read is not None:
        signal.signal(signal.SIGHUP, lambda *_: hung_up.set())
    sources = make_sources(settings)
    access = check_guarded(settings, sources)  # before anything is loaded
    with ExitStack() as closing_down:
        notifier = closing_down.enter_context(closing(Notifier()))
        publisher = (
            closing_down.enter_context(closing(Publisher(settings.publish, access))) if settings.publish else None
        )
        journal = closing_down.enter_context(kept(settings, access))
        if publisher is not None:
            publisher.packed = journal.packed
        clips = closing_down.enter_context(closing(make_clips(settings))) if settings.clips.folder else None
        engine = make_engine(settings)
        doing = f"{engine.manifest.model} every {settings.hop:g} s, published on {settings.publish or 'nothing'}"
        told = (publisher, sink, StatusLog(doing), tells_systemd(notifier))
        sinks: list[Sink] = [part for part in told if part is not None]
        assembly = Assembly(settings, engine, access=access)
        assembly.journal, assembly.clips = journal, clips
        if settings.record:
            assembly.recorder = recorder = make_recorder(assembly, sources)
            sinks.append(recorder)
            closing_down.callback(recorder.close)
        tracks = [assembly.track(source, 1.0, of) for source, of in zip(sources, settings.source, strict=True)]

        def every_pass() -> None:
            notifier.beat()
            for teller in tellers:
                teller.look()

        loop = assembly.loop(tracks, sinks, live=True, every_pass=every_pass)
        troubled = (journal,) if clips is None else (journal, clips)
        tellers = [TroubleTeller(part, lambda: loop.tell(assembly.node_status(loop))) for part in troubled]
        loop.stays = bool(settings.control)
        stop_on_signals(loop.stop)
        if stopped.is_set():
            loop.stop()
        manager = Manager(loop, lambda source, of: assembly.track(source, 1.0, of), settings, read)
        if settings.control:
            closing_down.enter_context(closing(Control(settings.control, manager.commands, access)))
        if read is not None:
            threading.Thread(target=manager.follow, args=(hung_up, notifier), name="reload", daemon=True).start()
        if settings.metrics:
            closing_down.enter_context(closing(make_metrics(assembly, loop, publisher)))

        def warm_up() -> None:
            engine.warm_up(FRONTEND_ROWS, settings.crops)
            loop.warm = True

        loop.ask(warm_up)  # in the loop's thread, while the sources open
        notifier.ready()
        for event in journal.end_unfinished():
            loop.tell(event)
        loop.run()
        notifier.stopping()
    errors = [track.worker.error for track in loop.tracks.values() if track.worker.error is not None]
    leave_if_hung(loop)
    return errors[0].exit_code if errors and len(errors) == len(loop.tracks) else 0


def tells_systemd(notifier: Notifier) -> Sink:
    """A sink: what `systemctl status` shows."""

    def tell(message: Message) -> None:
        if isinstance(message, Node):
            notifier.status(
                f"{message.live} of {message.streams} streams live, {message.windows} windows, "
                f"{message.late_ms:.0f} ms late; overload policy: {message.policy}"
            )

    return tell


class StatusLog:
    """A sink: sources that come, end or fail are worth a line in the log; that they go on is not.

    Args:
        doing: what is done with a source that is live.
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._states: dict[str, str] = {}
        self._policy = 0

    def __call__(self, message: Message) -> None:
        if isinstance(message, Node) and message.level != self._policy:
            level = logging.WARNING if message.level else logging.INFO
            log.log(level, "overload policy: %s; windows are up to %.0f ms late", message.policy, message.late_ms)
            self._policy = message.level
        if not isinstance(message, Status):
            return
        before, self._states[message.stream] = self._states.get(message.stream), message.state
        about = {"stream": message.stream}  # for a log in JSON
        if message.state == "live" and (before != "live" or message.reason):
            log.info("%s live: %s; %s", message.stream, message.uri, message.reason or self._doing, extra=about)
        elif message.state in ("silent", "stalled", "reconnecting", "muted"):
            if before != message.state or message.reason:
                log.warning("%s %s: %s", message.stream, message.state, message.reason or message.uri, extra=about)
        elif message.state in ("failed", "ended", "stopped"):
            level = logging.ERROR if message.state == "failed" else logging.INFO
            seconds, reason = message.samples / message.rate, message.reason or "end of stream"
            log.log(level, "%s %s after %.1f s: %s", message.stream, message.state, seconds, reason, extra=about)


def leave_if_hung(loop: Loop) -> None:
    """A sound server that is stopped can hang its own close, and with it the interpreter's exit."""
    if any(track.worker.hangs for track in loop.tracks.values()):
        log.warning("a sound device does not answer; leaving without closing it")
        sys.stdout.flush()
        logging.shutdown()
        os._exit(0)
