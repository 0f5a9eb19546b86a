"""Put the parts together: `run` for live sources, `replay` for recordings."""

import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from glatd.daemon.announce import Announcer
from glatd.daemon.channel import Channel
from glatd.daemon.clock import WallClock
from glatd.daemon.loop import Loop, Sink
from glatd.daemon.publish import Publisher
from glatd.daemon.settings import Settings
from glatd.daemon.sources.base import Source, unique_names
from glatd.daemon.sources.file import FileSource
from glatd.daemon.sources.uri import parse_source
from glatd.daemon.stream import Stream
from glatd.daemon.tagging import check_crops, hop_frames, silence
from glatd.daemon.worker import Worker
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.errors import ConfigError, GlatdError, SourceError
from glatd.messages import Gap, Message, Status

log = logging.getLogger("glatd")


def make_sources(settings: Settings) -> list[Source]:
    """The sources of a configuration, not opened, with unique names.

    Raises:
        ConfigError: none, one that cannot be understood, or two of one name.
    """
    if not settings.source:
        raise ConfigError("no source to listen to; give --source mic: or a [[source]] in the configuration")
    return unique_names(
        [parse_source(f"{source.name}={source.uri}" if source.name else source.uri) for source in settings.source]
    )


def make_engine(settings: Settings) -> Engine:
    """Load the engine and check the settings against it.

    Raises:
        EngineError: it cannot be loaded.
        ConfigError: a hop or a number of crops that it cannot do.
    """
    engine = load_engine(settings.engine_folder, settings.threads)
    hop_frames(engine, settings.hop)
    check_crops(engine, settings.crops)
    return engine


class Assembly:
    """Everything that the streams of one process share."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings, self.engine = settings, engine
        self.session = uuid.uuid4().hex
        self.silence = silence(engine)

    def loop(self, sources: Sequence[Source], sinks: Sequence[Sink], speed: float | None) -> Loop:
        """A loop over `sources`; recordings among them run at `speed`, None as fast as they can."""
        ready = threading.Condition()
        workers = [Worker(source, self._channel(source), ready, speed) for source in sources]
        real_time = speed is not None or any(source.live for source in sources)
        return Loop(self.engine, workers, ready, sinks, self.settings.crops, self.settings.status_seconds, real_time)

    def _channel(self, source: Source) -> Channel:
        settings, engine = self.settings, self.engine
        return Channel(
            Stream(engine.sizes, hop_frames(engine, settings.hop), self.silence),
            Announcer(
                settings.node_name,
                self.session,
                source.name,
                source.uri,
                engine.manifest,
                WallClock(time.time(), engine.sizes.rate),
                settings.top or None,
            ),
        )


def stop_on_signals(stop: Callable[[], None]) -> None:
    """SIGTERM and SIGINT only set a flag."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def run(settings: Settings, sink: Sink | None) -> int:
    """The daemon: until a signal, or until every source has ended.

    Args:
        sink: told every message beside the publisher.

    Returns:
        Exit code: 0, or that of the first error when every source failed; each failure was logged when it came.
    """
    stopped = threading.Event()
    stop_on_signals(stopped.set)
    sources = make_sources(settings)
    publisher = Publisher(settings.publish) if settings.publish else None
    with closing(publisher) if publisher else nullcontext():
        engine = make_engine(settings)
        doing = f"{engine.manifest.model} every {settings.hop:g} s, published on {settings.publish or 'nothing'}"
        sinks: list[Sink] = [part for part in (publisher, sink, StatusLog(doing)) if part is not None]
        loop = Assembly(settings, engine).loop(sources, sinks, speed=1.0)
        stop_on_signals(loop.stop)
        if stopped.is_set():
            loop.stop()
        loop.run()
    errors = [worker.error for worker in loop.workers if worker.error is not None]
    leave_if_hung(loop)
    if len(errors) == len(loop.workers):
        return errors[0].exit_code
    return 0


def replay(
    settings: Settings,
    files: Sequence[Path],
    speed: float | None,
    wait: float,
    sink: Sink,
    told: Callable[[GlatdError], None],
) -> int:
    """Recordings, one after the other, through the daemon's own loop.

    Args:
        speed: times real time; None as fast as it goes.
        wait: seconds to wait for a first subscriber where something is published.
        sink: told every message.
        told: of the error of a file; the others go on.

    Returns:
        Exit code: 0, or that of the first file that failed or had audio that could not be used.
    """
    stopped = threading.Event()
    stop_on_signals(stopped.set)
    sources = unique_names([FileSource(path, None) for path in files])
    publisher = Publisher(settings.publish) if settings.publish else None
    code = 0
    with closing(publisher) if publisher else nullcontext():
        assembly = Assembly(settings, make_engine(settings))
        if publisher is not None and wait > 0:
            heard = publisher.wait_for_subscriber(wait, stopped)
            if not heard and not stopped.is_set():
                log.warning("nobody has subscribed to %s within %g s; replaying all the same", settings.publish, wait)
        gaps: list[Gap] = []  # of one file

        def note(message: Message) -> None:
            if isinstance(message, Gap):
                gaps.append(message)

        sinks: list[Sink] = [part for part in (publisher, sink, note) if part is not None]
        for source in sources:
            gaps.clear()
            loop = assembly.loop([source], sinks, speed)
            stop_on_signals(loop.stop)
            if stopped.is_set():
                return code
            loop.run()
            (worker,) = loop.workers
            error = worker.error or lost_audio(source, gaps)
            if error is not None:
                told(error)
                code = code or error.exit_code
            elif not worker.channel.announcer.windows and worker.channel.stream.finished:
                seconds = worker.channel.stream.received / assembly.engine.sizes.rate
                log.warning("%s has %.2f s of audio; below 1 s nothing is tagged", source.uri, seconds)
            if loop.stopping:
                break
    return code


def lost_audio(source: Source, gaps: Sequence[Gap]) -> SourceError | None:
    """What to tell of a recording that did not give all its audio; a live stream would only publish its gaps."""
    if not gaps:
        return None
    seconds = sum(gap.end - gap.start for gap in gaps) / gaps[0].rate
    causes = ", ".join(dict.fromkeys(gap.cause for gap in gaps))
    return SourceError(
        f"{source.uri}: {seconds:.2f} s of its audio cannot be used ({causes}); they were taken as silence; "
        "record or convert it again"
    )


class StatusLog:
    """A sink: sources that come, end or fail are worth a line in the log; that they go on is not.

    Args:
        doing: what is done with a source that is live.
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._states: dict[str, str] = {}

    def __call__(self, message: Message) -> None:
        if not isinstance(message, Status):
            return
        before, self._states[message.stream] = self._states.get(message.stream), message.state
        if message.state == "live" and (before != "live" or message.reason):
            log.info("%s live: %s; %s", message.stream, message.uri, message.reason or self._doing)
        elif message.state in ("failed", "ended", "stopped"):
            level = logging.ERROR if message.state == "failed" else logging.INFO
            seconds, reason = message.samples / message.rate, message.reason or "end of stream"
            log.log(level, "%s %s after %.1f s: %s", message.stream, message.state, seconds, reason)


def leave_if_hung(loop: Loop) -> None:
    """A sound server that is stopped can hang its own close, and with it the interpreter's exit."""
    if any(worker.hangs for worker in loop.workers):
        log.warning("a sound device does not answer; leaving without closing it")
        sys.stdout.flush()
        logging.shutdown()
        os._exit(0)
