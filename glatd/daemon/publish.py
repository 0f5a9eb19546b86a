"""The ZeroMQ publisher. Made, used and closed in the loop's thread."""

import threading
import time

import zmq

from glatd.daemon.endpoint import bind
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
        self.endpoint = endpoint
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.sndhwm, self._socket.linger = SEND_HWM, LINGER_MS
        self.subscriptions = 0
        try:
            self._lock = bind(self._socket, endpoint, "publish", "--publish")
        except ConfigError:
            self._socket.close()
            self._context.term()
            raise

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
