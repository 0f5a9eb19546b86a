"""A daemon that runs is told otherwise: by the control socket, or as its configuration is read again."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

import glatd
from glatd.daemon.assembly import Assembly
from glatd.daemon.calls import answered
from glatd.daemon.control import Command
from glatd.daemon.live_rules import LiveRules
from glatd.daemon.loop import Loop
from glatd.daemon.reload import WITH_THE_ENGINE, named, plan
from glatd.daemon.rulebook import RuleBook
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import Source
from glatd.daemon.sources.uri import parse_source
from glatd.daemon.swap import Swapper
from glatd.daemon.systemd import Notifier
from glatd.daemon.track import Track
from glatd.errors import ConfigError, GlatdError

ANSWER_SECONDS = 10.0  # for the loop, which may be in the middle of a batch
LEAVE_SECONDS = 5.0  # for a stream to end
LOOK_SECONDS = 0.05

T = TypeVar("T")

log = logging.getLogger("glatd")


class Manager:
    """Adds, removes and mutes streams of a loop, changes rules, and has the engine changed.

    From any thread but the loop's, one request at a time.

    Args:
        assembly: makes streams; has the settings that hold now.
        read: reads the configuration again; None where there is no file.
    """

    def __init__(self, assembly: Assembly, loop: Loop, read: Callable[[], Settings] | None) -> None:
        self._assembly, self._loop, self._read = assembly, loop, read
        self._source = assembly.settings.source  # as the file had it last
        self._lock = threading.Lock()
        self._book = RuleBook(assembly.settings.events)
        self._swapper = Swapper(assembly, loop, self._book, self._lock)

    @property
    def commands(self) -> Mapping[str, Command]:
        """For the control socket."""
        return {
            "version": lambda: {"glatd": glatd.__version__, "node": self._assembly.settings.node_name},
            "list": self.streams,
            "add": self.add,
            "remove": self.remove,
            "mute": lambda name: self.mute(name, True),
            "unmute": lambda name: self.mute(name, False),
            "reload": self.reload,
            "rules": self.rules,
            "set": self.set_rule,
            "engine": self._swapper.to,
        }

    def streams(self) -> dict[str, Any]:
        """How every stream fares."""
        return {"streams": self._in_loop(lambda: [described(track) for track in self._loop.tracks.values()])}

    def add(self, text: str) -> dict[str, Any]:
        """Start the stream of `[NAME=]URI`; the reply has its name.

        Raises:
            ConfigError: a source that cannot be understood, or a name that is taken.
        """
        source = parse_source(text)
        with self._lock:
            self._in_loop(lambda: self._start(source, SourceSettings(text)))
        log.info("%s added: %s", source.name, source.uri, extra={"stream": source.name})
        return {"stream": source.name}

    def remove(self, name: str) -> dict[str, Any]:
        """End a stream, and wait until it has ended.

        Raises:
            ConfigError: there is none of that name.
        """
        with self._lock:
            self._end(name)
        log.info("%s removed", name, extra={"stream": name})
        return {"stream": name}

    def mute(self, name: str, muted: bool) -> dict[str, Any]:
        """Throw the audio of a stream away as it comes, or take it again.

        Raises:
            ConfigError: there is none of that name.
        """
        with self._lock:
            self._in_loop(lambda: self._loop.mute(name, muted))
        return {"stream": name}

    def rules(self, name: str, label: str) -> dict[str, Any]:
        """What holds now for a class, or for a group and all below it, on a stream.

        Raises:
            ConfigError: there is no such stream, or no such class.
        """
        with self._lock:
            return self._book.of(self._track(name)).told(label)

    def set_rule(self, name: str, label: str, key: str, value: str) -> dict[str, Any]:
        """Change one key of the rules for a class or group on a stream, until glatd ends or the stream is removed.

        Raises:
            ConfigError: there is no such stream or class, or what is no rule.
        """
        with self._lock:
            rules = self._book.of(self._track(name)).with_one(label, key, value)
            self._book.keep(self._in_loop(lambda: self._loop.change(name, rules.resolved)), rules)
        log.info("%s: %s of %s is %s from now on", name, key, label, value, extra={"stream": name})
        if self._assembly.settings.record:
            log.warning("the recording has the rules of the configuration: its replay will not know of this one")
        return rules.told(label)

    def live_rules(self, name: str) -> LiveRules:
        """The rules of a stream as they are now, to be tried with a change.

        Raises:
            ConfigError: there is no such stream.
        """
        with self._lock:
            return self._book.of(self._track(name))

    def reload(self) -> "Future[dict[str, Any]]":
        """Read the configuration again, and do what it says of the sources, the engine and events.

        Streams whose source is the same are not disturbed, whatever happens to the engine.

        Raises:
            ConfigError: it cannot be read, and everything stays as it is; or another engine is being loaded, and
                of the sources all was done that can be. What becomes of the rest is in the future: when something
                could not be done, all else was, and each is named.
        """
        if self._read is None:
            raise ConfigError("there is no configuration to read again; start glatd with --config")
        with self._lock:
            try:
                new = self._read()
                steps = plan(replace(self._assembly.settings, source=self._source), new)
            except GlatdError as error:
                log.error("the configuration stays as it was: %s", error)
                raise
            running = self._in_loop(lambda: set(self._loop.tracks))  # also those that have ended
            for name in steps.removed:
                if name in running:
                    self._end(name)
            # Whoever removed a stream by the control socket gets it back: the file wins.
            lost = [one for name, one in named(new.source).items() if name in steps.kept and name not in running]
            errors = [text for one in [*lost, *steps.added] if (text := self._try_start(one))]
            self._source = new.source
        log.info("configuration read again: %s", steps.text)
        if steps.needs_restart:
            log.warning("these settings need a restart to change: %s", ", ".join(steps.needs_restart))
        restart = [f"needs a restart: {', '.join(steps.needs_restart)}"] if steps.needs_restart else []
        now = self._assembly.settings
        wanted = replace(now, **{name: getattr(new, name) for name in WITH_THE_ENGINE})
        return self._swapper.follow(wanted, {"sources": steps.text, "needs_restart": restart}, errors)

    def follow(self, asked: threading.Event, notifier: Notifier) -> None:
        """Reload whenever `asked` is set, as a signal handler does; for a thread of its own, which never ends."""
        terminal = os.isatty(sys.stderr.fileno())
        while True:
            asked.wait()
            asked.clear()
            if terminal and not os.isatty(sys.stderr.fileno()):  # it hung up, which is told by the same signal
                self._loop.stop()
                return
            notifier.reloading()
            try:
                self.reload().result()
            except GlatdError as error:
                log.error("reload: %s", error)
            except Exception:  # the next signal must find this thread
                log.exception("reload failed")
            notifier.ready()

    def _try_start(self, one: SourceSettings) -> str:
        try:
            source = parse_source(f"{one.name}={one.uri}")
            self._in_loop(lambda: self._start(source, one))
        except GlatdError as error:
            log.error("%s was not added: %s", one.name, error, extra={"stream": one.name})
            return str(error)
        return ""

    def _start(self, source: Source, of: SourceSettings) -> None:
        """In the loop's thread."""
        if not source.named:
            source.name = free_name(source.name, self._loop.tracks)
        self._loop.add(self._assembly.track(source, 1.0, of))

    def _track(self, name: str) -> Track:
        return self._in_loop(lambda: self._loop.track(name))

    def _end(self, name: str) -> None:
        self._in_loop(lambda: self._ask_to_end(name))
        self._book.forget(name)
        until = time.monotonic() + LEAVE_SECONDS
        while self._in_loop(lambda: name in self._loop.tracks):
            if time.monotonic() > until:
                raise ConfigError(f"the stream {name!r} has not ended within {LEAVE_SECONDS:g} s; see list")
            time.sleep(LOOK_SECONDS)

    def _ask_to_end(self, name: str) -> None:
        """In the loop's thread."""
        track = self._loop.tracks.get(name)
        if track is not None and track.ended:
            del self._loop.tracks[name]
        else:
            self._loop.remove(name)

    def _in_loop(self, function: Callable[[], T]) -> T:
        return answered(self._loop.ask(function), ANSWER_SECONDS)


def described(track: Track) -> dict[str, Any]:
    """A stream in a list. In the loop's thread."""
    stream = track.channel.stream
    return {
        "stream": track.name,
        "state": track.announcer.state,
        "uri": track.worker.source.uri,
        "seconds": round(stream.received / stream.sizes.rate, 1),
        "windows": track.announcer.windows,
    }


def free_name(name: str, taken: Mapping[str, object]) -> str:
    """`name`, or with the first of -2, -3 and so on that nobody has."""
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name[: 63 - len(str(count))]}-{count}"
    return free
