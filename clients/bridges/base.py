"""What all bridges share: events, in order, for something that may be away for days.

An event has been dealt with when the far side has said that it has it; the cursor moves then, and not before. So a
kill, a restart or a cut costs a repeat at most (at least once), and what cannot be handed over waits where it is safe:
in the journal of the node. Nothing is kept here but the few events that are on their way.
"""

import fcntl
import logging
import os
import random
import select
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from glatd.clients.bridges.behind import Behind
from glatd.clients.cursor import Cursor, FileCursor
from glatd.clients.events import EventStream
from glatd.clients.joining import Loss
from glatd.config import build, read_toml
from glatd.errors import ConfigError, GlatdError
from glatd.messages import Event
from glatd.terminal import stop_on_signals

FIRST_WAIT_S = 1.0  # after a failure; doubled with each further one
LONGEST_WAIT_S = 60.0
TURN_S = 1.0  # at most between two calls of `Bridge.turn`

log = logging.getLogger("glatd.bridge")


class Away(GlatdError):
    """The far side cannot take an event now; it is tried again, for ever."""

    def __init__(self, reason: str, least: float = 0.0) -> None:
        super().__init__(reason)
        self.least = least  # s that it wants to be left alone


class Unwanted(GlatdError):
    """The far side will never take this one event, whatever becomes of the others; it is told as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSettings:
    """What every bridge is told, by a TOML file and the command line; each has its own beside it."""

    publish: tuple[str, ...] = ("tcp://127.0.0.1:5555",)  # where the nodes publish
    catchup: tuple[str, ...] = ()  # where they answer who was away; without it, what is missed meanwhile is lost
    cursor: str = ""  # file that remembers what was handed over; "": ~/.local/state/glatd/NAME.cursor, or systemd's
    keys: str = ""  # file that `glatd keys add` made for this bridge
    stream: str = "*"  # glob of the streams that are wanted
    label: tuple[str, ...] = ()  # classes or groups that are wanted; all when empty
    phase: tuple[str, ...] = ()  # "start", "update", "end", "retract"; all when empty
    least: float = 0.0  # score from which events are wanted
    fresh: Literal["first", "now"] = "now"  # where it begins: with all that the journal keeps, or with what comes


Settings = TypeVar("Settings", bound=BridgeSettings)


def read_bridge_settings(cls: type[Settings], path: Path | None, **given: Any) -> Settings:
    """Settings of a file, with the options of the command line in their place.

    Args:
        given: fields of `cls`; None, or an empty tuple, means that the option was not given.

    Raises:
        ConfigError: unreadable, not TOML, unknown or misspelt keys, values of a wrong type.
    """
    tree = {} if path is None else read_toml(path)
    tree |= {name: value for name, value in given.items() if value is not None and value != ()}
    settings = build(cls, tree, str(path) if path else "command line")
    return replace(settings, cursor=os.path.expanduser(settings.cursor)) if settings.cursor else settings


def cursor_path(settings: BridgeSettings, name: str) -> Path:
    """Where a bridge remembers what it has handed over, its folder made.

    Raises:
        ConfigError: the folder cannot be made.
    """
    if settings.cursor:
        return Path(settings.cursor)
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]  # systemd's StateDirectory=
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    folder = Path(state) if state else Path(home, "glatd")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {folder} for the cursor: {error.strerror}; give --cursor FILE") from error
    return folder / f"{name}.cursor"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a cursor for oneself: two bridges that move one would lose events for both.

    Raises:
        ConfigError: another bridge has it, or its folder cannot be written to.
    """
    try:
        file = os.open(f"{path}.lock", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"cannot write the cursor {path}: {error.strerror}; name another file") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another bridge uses the cursor {path}; give each its own (--cursor FILE)") from None
        yield
    finally:
        os.close(file)


class Stop:
    """Whether to stop, and a sleep that ends when it is time to. A signal handler may call `set`, which takes no lock;
    any number of threads may wait."""

    def __init__(self) -> None:
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)
        self._also: list[Callable[[], None]] = []
        self._set = False

    def is_set(self) -> bool:
        """Whether it is time to stop."""
        return self._set

    def also(self, stop: Callable[[], None]) -> None:
        """Have something else stopped too, by a call that a signal handler may make."""
        self._also.append(stop)

    def set(self) -> None:
        """Stop."""
        self._set = True
        with suppress(OSError):  # full: told already
            os.write(self._told, b"\0")
        for stop in self._also:
            stop()

    def wait(self, seconds: float) -> bool:
        """Sleep for so long, or until it is time to stop; whether it is."""
        if not self._set:
            select.select([self._heard], [], [], seconds)
        return self._set

    def on_signals(self) -> None:
        """SIGTERM and SIGINT stop. In the main thread."""
        stop_on_signals(self.set)


class Patience:
    """How long to wait before the next try, and what the log says: once when the far side goes, once when it is back.

    Args:
        far: what the far side is called in the log; without a password.
    """

    def __init__(self, far: str) -> None:
        self._far, self._since, self._tries = far, 0.0, 0

    def failed(self, reason: str) -> float:
        """One more try has failed; seconds to wait before the next.

        Args:
            reason: one line, without a password.
        """
        if not self._tries:
            self._since = time.monotonic()
            log.warning("%s is away: %s; events wait in the node's journal, and it is tried again", self._far, reason)
        wait: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._tries, 16))
        self._tries += 1
        return wait * random.uniform(0.75, 1.0)  # so that many who lost the same server do not come back at once

    def worked(self) -> None:
        """A try has worked."""
        if self._tries:
            log.info("%s is back after %.0f s", self._far, time.monotonic() - self._since)
        self._tries = 0


class Bridge(ABC):
    """Hands the events of nodes over, until it is stopped. Made and run in one thread.

    Args:
        settings: what is wanted, and of whom.
        name: of the kind of bridge, for the default name of its cursor.

    Attributes:
        stop: ends `run`.
    """

    def __init__(self, settings: BridgeSettings, name: str) -> None:
        self.settings, self.stop = settings, Stop()
        self.cursor = cursor_path(settings, name)

    @abstractmethod
    def send(self, event: Event, done: Callable[[], None]) -> None:
        """Hand an event over, and call `done` (from any thread, now or later) once the far side has it for good.

        It may wait for as long as the far side takes nothing, but not longer than until `stop`; an event whose `done`
        was not called comes again when the bridge is started the next time.

        Raises:
            ConfigError: the far side will never take anything from this bridge.
        """

    def make_cursor(self) -> Cursor:
        """Where it remembers what was handed over; for one that remembers more."""
        return FileCursor(self.cursor)

    def turn(self) -> None:  # noqa: B027  most have nothing to do
        """Called at least every second, in the thread of `run`, between two events."""

    def lost(self, loss: Loss) -> None:
        """Told of events that will not come, in their place in the order."""
        if loss.start == loss.stop:
            log.warning("%s: %s; what it has now is heard from its beginning", loss.node, loss.cause)
        else:
            log.warning("%s: events %d to %d are lost: %s", loss.node, loss.start, loss.stop - 1, loss.cause)

    def open(self) -> None:  # noqa: B027  most have nothing to do
        """Called before the first event."""

    def close(self) -> None:  # noqa: B027  most have nothing to do
        """Called after the last one, whatever ended it; the cursor is saved after it."""

    def run(self) -> int:
        """Until `stop`; the exit code.

        Raises:
            GlatdError: what cannot be mended by trying again.
        """
        wanted = self.settings
        with alone(self.cursor):
            behind = Behind(self.make_cursor())
            with EventStream(
                wanted.publish,
                wanted.catchup,
                behind,
                stream=wanted.stream,
                label=wanted.label,
                phase=wanted.phase,
                least=wanted.least,
                fresh=wanted.fresh,
                lost=self.lost,
                timeout=TURN_S,
                keys=wanted.keys or None,
            ) as events:
                self.stop.also(events.stop)
                try:
                    self.open()
                    self._until_stopped(events, behind)
                finally:
                    self.close()
                    events.save()  # the last one too, if it was acknowledged: it need not come again
                    behind.flush()
        return 0

    def _until_stopped(self, events: EventStream, behind: Behind) -> None:
        turned = 0.0
        while not self.stop.is_set():
            for event in events:
                self.send(event, partial(behind.done, behind.ticket()))
                if self.stop.is_set() or time.monotonic() - turned > TURN_S:
                    break
            behind.flush()
            self.turn()
            turned = time.monotonic()


class PatientBridge(Bridge):
    """Hands over one event at a time, and each for as long as it takes.

    Args:
        far: what the far side is called in the log; without a password.
    """

    def __init__(self, settings: BridgeSettings, name: str, far: str) -> None:
        super().__init__(settings, name)
        self._patience = Patience(far)

    @abstractmethod
    def deliver(self, event: Event) -> None:
        """Hand an event over, and wait until the far side has it for good; for seconds at most.

        Raises:
            Away: not now.
            Unwanted: never this one.
            ConfigError: never any.
        """

    def send(self, event: Event, done: Callable[[], None]) -> None:
        """Deliver, and try again until it works, it cannot ever, or it is time to stop."""
        while not self.stop.is_set():
            try:
                self.deliver(event)
            except Away as error:
                self.stop.wait(max(self._patience.failed(str(error)), error.least))
                continue
            except Unwanted as error:
                log.error("%s: event %d is not taken, and left out: %s", event.node, event.offset, error)
            self._patience.worked()
            done()
            return
