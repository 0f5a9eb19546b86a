"""The ZeroMQ publisher. Made, used and closed in the loop's thread."""

import logging
import threading
import time
from collections.abc import Callable

import zmq

from glatd.clients.waiting import readable
from glatd.daemon.endpoint import Endpoint, Purpose
from glatd.daemon.security.access import LOCAL, Access
from glatd.daemon.security.guard import sender
from glatd.messages import Message, payload_of

SEND_HWM = 10_000  # messages that may wait for one subscriber; beyond, that one loses (see `seq`)
LINGER_MS = 1000  # for the last messages to leave
POLL_SECONDS = 0.1  # how late a stop is seen
LONGEST_TOPIC = 512  # bytes of what a subscriber may send at once, its handshake included
MOST_TOPIC_BYTES = 1 << 20  # of the topics of one connection; libzmq keeps about 50 bytes for each
NOTICE_SECONDS = 0.005  # between two looks for subscriptions; one costs as much as a message
MOST_NOTICED = 1000  # subscriptions between two messages, so that who sends them without end does not stop us

log = logging.getLogger("glatd")


class Publisher:
    """An XPUB socket: PUB for its subscribers, but it knows that they are there.

    Args:
        endpoint: to bind, tcp://ADDRESS:PORT or ipc:///PATH.
        access: the keys of the node; without them only this machine may come in.

    Attributes:
        packed: gives the payload of a message that was packed before, as the journal's are.

    Raises:
        ConfigError: the endpoint is taken, or is none, or others reach it and there are no keys.
    """

    def __init__(self, endpoint: str, access: Access = LOCAL) -> None:
        self.packed: Callable[[Message], bytes | None] = lambda message: None
        self.endpoint = endpoint
        purpose = Purpose("publish", "--publish", "subscribe", LONGEST_TOPIC, SEND_HWM, LINGER_MS)
        self._bound = Endpoint(zmq.XPUB, endpoint, purpose, access)
        self._socket = self._bound.socket
        # Every subscription is told, also to a topic that another has: the guard must know each connection.
        self._socket.xpub_verbose = True
        self._topics: dict[bytes, int] = {}  # those subscribed to, and the connection that was the first to ask
        self._noticed = 0.0  # monotonic s
        self._bytes: dict[int, int] = {}  # of the topics that a connection was the first to ask for

    @property
    def subscriptions(self) -> int:
        """Topics that somebody has subscribed to."""
        return len(self._topics)

    def __call__(self, message: Message) -> None:
        """Send a message to whoever has subscribed to its topic; never blocks."""
        self.send(message.topic.encode(), self.packed(message) or payload_of(message))

    def send(self, topic: bytes, payload: bytes) -> None:
        """Send what was packed, as another node's message was."""
        if (now := time.monotonic()) >= self._noticed + NOTICE_SECONDS:
            self._noticed = now
            self._notice()
        # What `send_multipart` does, in half the time. The second part never fails: ZeroMQ takes or drops the whole.
        self._socket.send(topic, zmq.SNDMORE)
        self._socket.send(payload)

    def wait_for_subscriber(self, seconds: float, stopped: threading.Event) -> bool:
        """Wait until someone has subscribed, or `stopped` is set; whether someone has."""
        until = time.monotonic() + seconds
        while not self.subscriptions and not stopped.is_set() and (left := until - time.monotonic()) > 0:
            if self._socket.poll(round(1000 * min(left, POLL_SECONDS)) + 1):
                self._notice()
        return bool(self.subscriptions)

    def close(self) -> None:
        """Send what waits, for at most a second, and close."""
        self._bound.close()

    def _notice(self) -> None:
        for _ in range(MOST_NOTICED):
            if not readable(self._socket):
                return
            change = self._socket.recv(copy=False)
            if not self._bound.admits(change):
                continue
            topic = change.bytes[1:]
            if change.bytes[:1] == b"\x01":
                self._subscribe(topic, change)
            elif change.bytes[:1] == b"\x00" and (first := self._topics.pop(topic, None)) is not None:
                self._bytes[first] -= len(topic) + 1
                if not self._bytes[first]:
                    del self._bytes[first]

    def _subscribe(self, topic: bytes, frame: zmq.Frame) -> None:
        """ZeroMQ tells of every subscription, and of a topic that its last subscriber has left."""
        connection = sender(frame)[1]
        if topic not in self._topics:
            self._topics[topic] = connection
            self._bytes[connection] = self._bytes.get(connection, 0) + len(topic) + 1
        if self._bytes.get(connection, 0) > MOST_TOPIC_BYTES and self._bound.hang_up(frame):
            log.warning(
                "closed a connection on %s: more than %d bytes of topics; subscribe to a part that they share",
                self.endpoint, MOST_TOPIC_BYTES,
            )  # fmt: skip
