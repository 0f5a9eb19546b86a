"""The ZeroMQ publisher. Made, used and closed in the loop's thread."""

import fcntl
import threading
import time
from pathlib import Path
from typing import IO

import zmq

from glatd.config import check_port
from glatd.errors import ConfigError
from glatd.messages import Message, pack

SEND_HWM = 10_000  # messages that may wait for one subscriber; beyond, that one loses (see `seq`)
LINGER_MS = 1000  # for the last messages to leave
POLL_SECONDS = 0.1  # how late a stop is seen


class Publisher:
    """An XPUB socket: PUB for its subscribers, but it knows that they are there.

    Raises:
        ConfigError: the endpoint is taken, or is none.
    """

    def __init__(self, endpoint: str) -> None:
        check_port(endpoint)
        self.endpoint = endpoint
        self._lock = _lock_ipc(endpoint)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.sndhwm, self._socket.linger = SEND_HWM, LINGER_MS
        self.subscriptions = 0
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            if error.errno == zmq.EADDRINUSE:
                raise ConfigError(
                    f"cannot publish on {endpoint}: the address is taken; "
                    "stop the other program or choose another --publish"
                ) from error
            raise ConfigError(
                f"cannot publish on {endpoint}: {error.strerror}; give --publish as tcp://127.0.0.1:PORT or ipc:///PATH"
            ) from error

    def __call__(self, message: Message) -> None:
        """Send a message to whoever has subscribed to its topic; never blocks."""
        self._notice()
        self._socket.send_multipart(pack(message))

    def wait_for_subscriber(self, seconds: float, stopped: threading.Event) -> bool:
        """Wait until someone has subscribed, or `stopped` is set; whether someone has."""
        until = time.monotonic() + seconds
        while not self.subscriptions and not stopped.is_set() and (left := until - time.monotonic()) > 0:
            if self._socket.poll(round(1000 * min(left, POLL_SECONDS)) + 1):
                self._notice()
        return bool(self.subscriptions)

    def close(self) -> None:
        """Send what waits, for at most a second, and close."""
        self._socket.close()
        self._context.term()
        if self._lock is not None:
            self._lock.close()

    def _notice(self) -> None:
        while self._socket.poll(0):
            change = self._socket.recv()
            if change[:1] in (b"\x00", b"\x01"):
                self.subscriptions += 1 if change[:1] == b"\x01" else -1


def _lock_ipc(endpoint: str) -> IO[str] | None:
    """A second bind on an ipc path would steal it without a word, so the path is locked."""
    if not endpoint.startswith("ipc://"):
        return None
    path = Path(endpoint.removeprefix("ipc://") + ".lock")
    try:
        lock = path.open("w")
    except OSError as error:
        raise ConfigError(
            f"cannot publish on {endpoint}: {error.strerror}: {path}; choose another --publish"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise ConfigError(
            f"cannot publish on {endpoint}: the address is taken; stop the other program or choose another --publish"
        ) from error
    return lock
