"""Run the parts as a daemon: signals, sinks, and what is told of the whole process."""

import dataclasses
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from glatd.daemon.assembly import Assembly, check_guarded, make_engine, make_sources
from glatd.daemon.control import Control
from glatd.daemon.journal.keeping import TroubleTeller, kept
from glatd.daemon.loop import Loop, Sink
from glatd.daemon.manage import Manager
from glatd.daemon.memory import few_arenas
from glatd.daemon.privacy.writer import ClipWriter
from glatd.daemon.publish import Publisher
from glatd.daemon.recording.layout import Header
from glatd.daemon.recording.writer import Recorder, new_recording
from glatd.daemon.settings import Settings
from glatd.daemon.shadow import attach
from glatd.daemon.sources.base import Source
from glatd.daemon.systemd import Notifier
from glatd.daemon.tagging import first_runs
from glatd.errors import ConfigError, EngineError
from glatd.messages import Message, Node, Status
from glatd.terminal import stop_on_signals

if TYPE_CHECKING:
    from glatd.daemon.metrics.server import MetricsServer
    from glatd.daemon.web.serving import Dashboard

log = logging.getLogger("glatd")


class Teller(Protocol):
    """What has something to do at the end of a pass, if anything has changed."""

    def look(self) -> None:
        """See."""


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
    return serve_metrics(assembly, loop, subscriptions)


def make_dashboard(assembly: Assembly, loop: Loop, manager: Manager) -> "Dashboard":
    """What browsers see.

    Raises:
        ConfigError: its libraries are not installed, or the address or the token cannot be used.
    """
    try:
        from glatd.daemon.web.serving import Dashboard
    except ModuleNotFoundError as error:
        raise ConfigError(f"the dashboard needs {error.name}; pip install 'glatd[web]'") from error
    return Dashboard(assembly, loop, manager)


def warm_up(loop: Loop, steps: Iterator[None]) -> None:
    """Warm the engine up in the loop's thread while the sources open, a step between two passes."""

    def step() -> None:
        for _ in steps:
            loop.ask(step)
            return
        loop.warm = True

    loop.ask(step)


def run(settings: Settings, sink: Sink | None, read: Callable[[], Settings] | None = None) -> NoReturn:
    """The daemon: until a signal, or until every source has ended and none can be added by a control socket.

    Ends the process with the exit code 0, or with that of the first error when every source failed; each failure was
    logged when it came.

    Args:
        sink: told every message beside the publisher.
        read: reads the configuration again, as SIGHUP wants it; None where there is no file.

    Raises:
        GlatdError: it could not begin.
    """
    few_arenas()
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
        engine = make_engine(settings, settings.lanes)
        assembly = Assembly(settings, engine, access=access)
        told = (publisher, sink, StatusLog(lambda: doing(assembly)), tells_systemd(notifier))
        sinks: list[Sink] = [part for part in told if part is not None]
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
        tellers: list[Teller] = [
            TroubleTeller(part, lambda: loop.tell(assembly.node_status(loop))) for part in troubled
        ]
        loop.stays = bool(settings.control)
        stop_on_signals(loop.stop)
        if stopped.is_set():
            loop.stop()
        manager = Manager(assembly, loop, read)
        if settings.control:
            closing_down.enter_context(closing(Control(settings.control, manager.commands, access)))
        if read is not None:
            threading.Thread(target=manager.follow, args=(hung_up, notifier), name="reload", daemon=True).start()
        if settings.metrics:
            closing_down.enter_context(closing(make_metrics(assembly, loop, publisher)))
        if settings.web.address:
            dashboard = closing_down.enter_context(closing(make_dashboard(assembly, loop, manager)))
            tellers.append(dashboard.feed)

        if settings.shadow:
            threading.Thread(target=attach, args=(assembly, loop, settings), name="shadow", daemon=True).start()
        warm_up(loop, first_runs(engine, settings.local, settings.crops))
        del engine  # another may take over, and nobody is to hold this one then
        notifier.ready()
        for event in journal.end_unfinished():
            loop.tell(event)
        lost: EngineError | None = None
        try:
            loop.run()
        except EngineError as error:  # a GPU that was lost: the readers of its messages hear of it as well
            log.error("%s", error)
            lost, assembly.refused = error, str(error)
            loop.tell(assembly.node_status(loop))
        notifier.stopping()
    errors = [track.worker.error for track in loop.tracks.values() if track.worker.error is not None]
    failed = lost or (errors[0] if errors and len(errors) == len(loop.tracks) else None)
    leave(loop, failed.exit_code if failed is not None else 0)


def doing(assembly: Assembly) -> str:
    """What is done with a source that is live, by the engine that runs now."""
    settings, manifest = assembly.settings, assembly.engine.manifest
    return f"{manifest.model} every {settings.hop:g} s, published on {settings.publish or 'nothing'}"


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
        doing: says what is done with a source that is live.
    """

    def __init__(self, doing: Callable[[], str]) -> None:
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
            log.info("%s live: %s; %s", message.stream, message.uri, message.reason or self._doing(), extra=about)
        elif message.state in ("silent", "stalled", "reconnecting", "muted"):
            if before != message.state or message.reason:
                log.warning("%s %s: %s", message.stream, message.state, message.reason or message.uri, extra=about)
        elif message.state in ("failed", "ended", "stopped"):
            level = logging.ERROR if message.state == "failed" else logging.INFO
            seconds, reason = message.samples / message.rate, message.reason or "end of stream"
            log.log(level, "%s %s after %.1f s: %s", message.stream, message.state, seconds, reason, extra=about)


def leave(loop: Loop, code: int) -> NoReturn:
    """End the process, with everything closed and told.

    Not by the interpreter's own end: that waits for a sound server that is stopped and hangs its own close, and it
    pulls the floor from under threads that libraries still run (FFmpeg, PortAudio, OpenVINO): one soak in many ended
    with a segmentation fault after its last line.
    """
    if any(track.worker.hangs for track in loop.tracks.values()):
        log.warning("a sound device does not answer; leaving without closing it")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    logging.shutdown()
    os._exit(code)
