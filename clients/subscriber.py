"""Subscribe to a glatd node: an iterator of typed messages."""

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import zmq

from glatd.clients.connecting import connect
from glatd.clients.filters import several, wanted
from glatd.clients.keys import Handshakes, Keys, given_keys, use_keys
from glatd.clients.waiting import LONGEST_SECONDS, Waiting, check_timeout, drive
from glatd.errors import ConfigError, ProtocolError
from glatd.messages import Message, Tags, Unknown, topic, unpack

RECEIVE_HWM = 10_000  # messages that may wait here; beyond, ZeroMQ drops without a word (see `Tags.seq`)
PATIENCE_S = 10.0  # without anybody who publishes, after which the log says so

log = logging.getLogger("glatd.clients")


class Subscribing:
    """What `Subscriber` and `AsyncSubscriber` share, all but the waiting; its arguments are those of `Subscriber`."""

    def __init__(
        self,
        endpoint: str,
        types: str | Sequence[str] = (),
        stream: str | Sequence[str] = "*",
        timeout: float | None = None,
        keys: Keys | Path | str | None = None,
        *,
        label: str | Sequence[str] = (),
        phase: str | Sequence[str] = (),
        least: float = 0.0,
    ) -> None:
        check_timeout(timeout)
        keys = given_keys(keys)
        self.timeout, self.missed = timeout, 0
        self._wanted = wanted(stream, label, phase, least)
        self._next: dict[tuple[str, str, str], int] = {}
        self._stopped = False
        self._endpoint, self._alone = endpoint, time.monotonic() + PATIENCE_S
        self._waiting = Waiting()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm, self._socket.linger, self._socket.ipv6 = RECEIVE_HWM, 0, True
        use_keys(self._socket, keys)
        self._handshakes = Handshakes(self._socket, endpoint, keys)
        for kind in several(types) or ("",):
            self._socket.subscribe(topic(kind))
        try:
            connect(self._socket, endpoint)
        except ConfigError:
            self.close()
            raise
        self._waiting.add(self._socket, self._handshakes.monitor)

    def stop(self) -> None:
        """End the iteration, from any thread or a signal handler."""
        self._stopped = True
        self._waiting.wake()

    def close(self) -> None:
        """Close the socket."""
        self._waiting.close()
        self._handshakes.close()
        self._socket.close()
        self._context.term()

    def _turns(self) -> Generator[float, None, Message | Unknown | None]:
        """Until there is a wanted message, or None at the end: seconds for which to wait before the next turn."""
        quiet_until = self._quiet_until()
        while not self._stopped:
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                self._handshakes.check()  # what has come was read before a refusal is told
                now = time.monotonic()
                if now >= quiet_until:
                    break
                yield min(quiet_until, self._look_for_anybody(now)) - now
                continue
            message = self._read(parts)
            if message is not None:
                return message
            quiet_until = self._quiet_until()
            yield 0.0
        return None

    def _look_for_anybody(self, now: float) -> float:
        """Say once that nobody is there; when to look again (monotonic s)."""
        if self._handshakes.met:
            self._alone = float("inf")
        elif now >= self._alone:
            log.warning("nobody publishes on %s; is that what glatd.toml has under publish?", self._endpoint)
            self._alone = float("inf")
        return self._alone

    def _quiet_until(self) -> float:
        return time.monotonic() + (LONGEST_SECONDS if self.timeout is None else self.timeout)

    def _read(self, parts: list[bytes]) -> Message | Unknown | None:
        if len(parts) != 2:
            raise ProtocolError(f"a message of {len(parts)} frames, not topic and payload; is this a glatd endpoint?")
        message = unpack(parts[1])
        if isinstance(message, Tags) and self._wanted.stream(message.stream):
            key = message.node, message.session, message.stream
            self.missed += max(0, message.seq - self._next.get(key, message.seq))
            self._next[key] = message.seq + 1
        return self._wanted.message(message)


class Subscriber(Subscribing):
    """Messages of a node, live. Made, used and closed in one thread.

    >>> with Subscriber("tcp://127.0.0.1:5555", ["tags"]) as messages:
    ...     for message in messages: ...

    `aio.AsyncSubscriber` is the same for asyncio.

    Args:
        endpoint: where the daemon publishes.
        types: of messages ("tags", "event", "gap", "status", "node"), one or several; all when empty.
        stream: a glob, for example "yard*", or several.
        timeout: seconds of quiet after which iteration ends; None waits for ever.
        keys: of this client, or the file that `glatd keys add` made for it.
        label: a class or a group of AudioSet's ontology, or several: "Vehicle" brings "Truck". Of tags only those
            that fit are given, and no message of a window without any; of events those that fit. Messages that have
            no class come as ever: `types` leaves them out.
        phase: of events: "start", "update", "end" or "retract", or several; all when empty.
        least: score of a tag, or `peak` of an event, 0 to 1.

    Attributes:
        missed: windows of these streams that were dropped on the way, by the holes in `seq`.

    Raises:
        ConfigError: no endpoint that ZeroMQ understands, no number of seconds, keys that cannot be used, a class,
            phase or score that cannot be.
    """

    def __iter__(self) -> Iterator[Message | Unknown]:
        return self

    def __next__(self) -> Message | Unknown:
        """The next message that is wanted.

        Raises:
            StopIteration: `stop` was called, or it was quiet for too long.
            ProtocolError: bytes that are no message, or of a newer version.
            ConfigError: the node refuses this client, at once or later, when its key was revoked.
        """
        message = drive(self._turns(), self._waiting)
        if message is None:
            raise StopIteration
        return message

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
