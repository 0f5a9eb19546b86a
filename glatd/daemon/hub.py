"""Several boxes as one: what each publishes goes out at one endpoint, and who was away asks through it too.

The hub keeps nothing and changes nothing, so it can lose nothing either: what does not come through while it is down
stands in the journals of the boxes. It subscribes to everything that they publish. The subscriptions of its own
subscribers stay with it, or one of them could have the hub thrown out by every box (a box bounds the topics of a
connection), and each has to be looked at, so that a revoked key loses its connection: hence no `zmq.proxy`.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import zmq

from glatd.clients.connecting import connect
from glatd.clients.keys import Handshakes, Keys, read_keys, use_keys
from glatd.clients.waiting import readable
from glatd.config import build, read_toml
from glatd.daemon.passing import MOST_AT_ONCE, Passing
from glatd.daemon.publish import Publisher
from glatd.daemon.security.access import Access, check_reach, make_access
from glatd.daemon.systemd import Notifier
from glatd.errors import ConfigError
from glatd.messages import MAX_PAYLOAD

RECEIVE_HWM = 10_000  # messages of a box that may wait here
POLL_MS = 200  # how late a stop is seen
SILENT_S = 60.0  # without a word from a box, after which the log says so; each says how it fares every 10 s
AGAIN_S = 60.0  # until a box that refuses the hub is asked once more
MOST_NODES = 10_000  # whose names are remembered

log = logging.getLogger("glatd.hub")


@dataclass(frozen=True, slots=True)
class Box:
    """One glatd that the hub listens to."""

    publish: str  # its endpoint
    catchup: str = ""  # its endpoint; "" where it has none
    answer: str = ""  # the hub's endpoint for those who ask this box
    keys: str = ""  # the file that `glatd keys add` made on the box for the hub


@dataclass(frozen=True, slots=True)
class HubSettings:
    """What `glatd hub` is told."""

    out: str = "tcp://127.0.0.1:5555"  # the endpoint for subscribers
    keys: str = ""  # a folder made by `glatd keys init`: whose clients may connect to the hub
    insecure: bool = False  # let other machines in without keys
    box: tuple[Box, ...] = ()


def read_hub(
    path: Path | None, boxes: Sequence[str] = (), out: str | None = None, keys: str | None = None
) -> HubSettings:
    """The settings of a file, and of the command line, which wins; its boxes come to those of the file.

    Raises:
        ConfigError: no such file, an unknown key, no box, or one that is not whole.
    """
    tree = {} if path is None else read_toml(path)
    given = {name: value for name, value in (("out", out), ("keys", keys)) if value is not None}
    read = build(HubSettings, tree | given, str(path or "the command line"))
    settings = HubSettings(read.out, read.keys, read.insecure, (*read.box, *map(Box, boxes)))
    if not settings.box:
        raise ConfigError("no box to listen to; give --in tcp://HOST:5555 or a [[box]] in the configuration")
    for box in settings.box:
        if bool(box.catchup) != bool(box.answer):
            raise ConfigError(f"{box.publish}: catchup (of the box) and answer (of the hub) go together; give both")
    return settings


class Hub:
    """Made, used and closed in one thread.

    Raises:
        ConfigError: an endpoint that is none, is taken, or that others reach and there are no keys; keys that cannot
            be read.
    """

    def __init__(self, settings: HubSettings) -> None:
        access = make_access(settings.keys, settings.insecure)
        check_reach(settings.out, f"cannot publish on {settings.out}", "--out", access)
        self._origins: dict[bytes, str] = {}  # of nodes by name, where they were heard first
        self._lines: list[_Line] = []
        with ExitStack() as parts:
            self._context = parts.enter_context(zmq.Context())
            self._publisher = parts.enter_context(closing(Publisher(settings.out, access)))
            for box in settings.box:
                for make in self._makers(box, read_keys(Path(box.keys)) if box.keys else None, access):
                    self._lines.append(parts.enter_context(closing(_Line(make))))
            self._parts = parts.pop_all()

    def run(self, stopped: threading.Event) -> None:
        """Pass on what comes until `stopped` is set."""
        notifier = Notifier()
        notifier.ready()
        while not stopped.is_set():
            poller = zmq.Poller()
            for socket in (socket for line in self._lines for socket in line.sockets):
                poller.register(socket, zmq.POLLIN)
            while not stopped.is_set():
                poller.poll(POLL_MS)
                notifier.beat()
                changed = [line.turn() for line in self._lines]
                if any(changed):
                    break
        notifier.stopping()

    def close(self) -> None:
        """Let go of everybody."""
        self._parts.close()

    def _makers(self, box: Box, keys: Keys | None, access: Access) -> "list[Callable[[], _Part]]":
        makers: list[Callable[[], _Part]] = [lambda: _Hearing(self._context, box.publish, keys, self._pass_on)]
        if box.catchup:
            makers.append(lambda: Passing(self._context, box.catchup, box.answer, keys, access))
        return makers

    def _pass_on(self, topic: bytes, payload: bytes, box: str) -> None:
        node = topic.split(b"/", 2)[1:2]
        if node and self._origins.get(node[0]) != box:
            self._know(node[0], box)
        self._publisher.send(topic, payload)

    def _know(self, node: bytes, box: str) -> None:
        other = self._origins.get(node)
        if other is None and len(self._origins) < MOST_NODES:
            self._origins[node] = box
        if other:
            self._origins[node] = ""  # told once
            log.error(
                "%s and %s are both called %r: subscribers take them for one; give each a `node` of its own",
                other, box, node.decode("utf-8", "replace"),
            )  # fmt: skip


class _Part(Protocol):
    """Sockets to and from one box."""

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """To wait for."""

    def turn(self) -> None:
        """Pass on what has come, or raise ConfigError if the box refuses the hub."""

    def close(self) -> None:
        """Let go."""


class _Line:
    """A part that is made again after a while if the box refuses the hub: a key may be added there.

    Raises:
        ConfigError: when it is made the first time.
    """

    def __init__(self, make: Callable[[], _Part]) -> None:
        self._make = make
        self._part: _Part | None = make()
        self._told = ""  # why it was refused last
        self._again = 0.0  # monotonic s of the next try

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """To wait for."""
        return self._part.sockets if self._part else []

    def turn(self) -> bool:
        """Pass on what has come; whether there are other sockets to wait for now."""
        if self._part is None and time.monotonic() < self._again:
            return False
        try:
            if self._part is None:
                self._part = self._make()
                return True
            self._part.turn()
            return False
        except ConfigError as error:
            if str(error) != self._told:
                self._told = str(error)
                log.error("%s; it is asked again every %g s", error, AGAIN_S)
            self.close()
            self._again = time.monotonic() + AGAIN_S
            return True

    def close(self) -> None:
        """Let go."""
        if self._part is not None:
            self._part.close()
            self._part = None


class _Hearing:
    """What one box publishes.

    Raises:
        ConfigError: no endpoint that ZeroMQ understands.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", box: str, keys: Keys | None,
        pass_on: Callable[[bytes, bytes, str], None],
    ) -> None:  # fmt: skip
        self._box, self._pass_on = box, pass_on
        self._heard = time.monotonic()
        self._silent = False
        with ExitStack() as parts:
            self._socket: zmq.Socket[bytes] = parts.enter_context(closing(context.socket(zmq.SUB)))
            self._socket.rcvhwm, self._socket.linger, self._socket.ipv6 = RECEIVE_HWM, 0, True
            self._socket.maxmsgsize = MAX_PAYLOAD
            self._socket.subscribe(b"")
            use_keys(self._socket, keys)
            self._handshakes = parts.enter_context(closing(Handshakes(self._socket, box, keys)))
            connect(self._socket, box)
            self._parts = parts.pop_all()

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """To wait for."""
        return [self._socket, self._handshakes.monitor]

    def turn(self) -> None:
        """Pass on what has come.

        Raises:
            ConfigError: the box refuses the hub.
        """
        came = False
        for _ in range(MOST_AT_ONCE):
            if not readable(self._socket):
                break
            frames = self._socket.recv_multipart()
            if len(frames) == 2:  # a glatd says nothing else
                came = True
                self._pass_on(frames[0], frames[1], self._box)
        self._handshakes.check()
        self._tell(came, time.monotonic())

    def close(self) -> None:
        """Hear no more."""
        self._parts.close()

    def _tell(self, came: bool, now: float) -> None:
        if came:
            self._heard = now
        if came and self._silent:
            self._silent = False
            log.info("%s is heard again", self._box)
        if not self._silent and now - self._heard > SILENT_S:
            self._silent = True
            log.warning("nothing comes from %s; does glatd run there?", self._box)
