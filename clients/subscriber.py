"""Subscribe to a glatd node: an iterator of typed messages."""

import fnmatch
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import zmq

from glatd.clients.keys import Handshakes, Keys, given_keys, use_keys
from glatd.config import check_port
from glatd.errors import ConfigError, ProtocolError
from glatd.messages import Message, Tags, Unknown, topic, unpack

RECEIVE_HWM = 10_000  # messages that may wait here; beyond, ZeroMQ drops without a word (see `Tags.seq`)

LONGEST_SECONDS = 1e6  # what ZeroMQ's milliseconds hold in 32 bits, about


class Subscriber:
    """Messages of a node, live. Made, used and closed in one thread.

    >>> with Subscriber("tcp://127.0.0.1:5555", ["tags"]) as messages:
    ...     for message in messages: ...

    Args:
        endpoint: where the daemon publishes.
        types: of messages ("tags", "event", "gap", "status"); all when empty.
        stream: a glob, for example "yard*".
        timeout: seconds of quiet after which iteration ends; None waits for ever.
        keys: of this client, or the file that `glatd keys add` made for it.

    Raises:
        ConfigError: no endpoint that ZeroMQ understands, no number of seconds, or keys that cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        types: Sequence[str] = (),
        stream: str = "*",
        timeout: float | None = None,
        keys: Keys | Path | str | None = None,
    ) -> None:
        if timeout is not None and not 0 <= timeout <= LONGEST_SECONDS:
            raise ConfigError(
                f"timeout = {timeout!r} must be seconds from 0 to {LONGEST_SECONDS:g}; leave it out to wait"
            )
        check_port(endpoint)
        keys = given_keys(keys)
        self.stream, self.missed = stream, 0
        self._timeout = -1 if timeout is None else round(1000 * timeout)
        self._next: dict[tuple[str, str, str], int] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm, self._socket.linger = RECEIVE_HWM, 0
        use_keys(self._socket, keys)
        self._handshakes = Handshakes(self._socket, endpoint, keys)
        for kind in types or ("",):
            self._socket.subscribe(topic(kind))
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(
                f"cannot connect to {endpoint!r}: {error.strerror}; give tcp://HOST:PORT or ipc:///PATH"
            ) from error

    def __iter__(self) -> Iterator[Message | Unknown]:
        """Messages as they come.

        `missed` counts windows that were dropped on the way, by the holes in `seq`.

        Raises:
            ProtocolError: bytes that are no message, or of a newer version.
            ConfigError: the node refuses this client, at once or later, when its key was revoked.
        """
        while self._handshakes.wait(self._timeout if self._timeout >= 0 else None):
            parts = self._socket.recv_multipart()
            if len(parts) != 2:
                raise ProtocolError(
                    f"a message of {len(parts)} frames, not topic and payload; is this a glatd endpoint?"
                )
            message = unpack(parts[1])
            if isinstance(message, Unknown) or fnmatch.fnmatchcase(message.stream, self.stream):
                self._count(message)
                yield message

    def _count(self, message: Message | Unknown) -> None:
        if isinstance(message, Tags):
            key = message.node, message.session, message.stream
            self.missed += max(0, message.seq - self._next.get(key, message.seq))
            self._next[key] = message.seq + 1

    def close(self) -> None:
        """Close the socket."""
        self._handshakes.close()
        self._socket.close()
        self._context.term()

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
