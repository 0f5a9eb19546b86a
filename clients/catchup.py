"""Asking a node for the events since an offset: one DEALER, one request at a time."""

import time
from typing import Any

import msgpack
import zmq

from glatd.clients.connecting import connect
from glatd.clients.keys import Handshakes, Keys, use_keys
from glatd.clients.reply import Reply
from glatd.clients.waiting import readable
from glatd.errors import ConfigError, ProtocolError
from glatd.messages import Event, from_map

VERSION = 1
ANSWER_SECONDS = 5.0  # after which a request is taken for lost, as when the daemon was killed
LONGEST_SECONDS = 60.0  # the same, where one answer after the other is late: who is busy is not asked more and more
FIRST_LOOK_S = 0.25  # between the first two looks; a subscription may take as long to be heard
LARGEST_REPLY = 4 << 20  # bytes


class Link:
    """The catch-up of one node. Made, used and closed in one thread.

    Args:
        stream: glob of the only streams that are wanted.
        label: the only class that is wanted, with all below it; "" for every class.

    Attributes:
        node: its name, once it has answered.

    Raises:
        ConfigError: no endpoint that ZeroMQ understands.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, keys: Keys | None, stream: str, label: str
    ) -> None:
        self.endpoint, self.node = endpoint, ""
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger, self.socket.ipv6 = 0, True
        self.socket.immediate = True  # nothing waits for a daemon that is away: it would be asked twice
        self.socket.maxmsgsize = LARGEST_REPLY
        use_keys(self.socket, keys)
        self._handshakes = Handshakes(self.socket, endpoint, keys)
        self._filter = ({} if stream == "*" else {"stream": stream}) | ({"label": label} if label else {})
        self._number = 0
        self._asked: dict[int, tuple[int, int]] = {}  # by number, offset and epoch: of all that may be answered yet
        self._since, self._patience = 0.0, ANSWER_SECONDS
        self.due = 0.0  # monotonic s before which it is not asked
        self.look_at, self.pause = 0.0, FIRST_LOOK_S  # when to look whether something was missed, and s to the next
        self.silent = 0.0  # s for which nobody could be asked
        try:
            connect(self.socket, endpoint, "what glatd.toml has under catchup")
        except ConfigError:
            self.close()
            raise

    @property
    def monitor(self) -> "zmq.Socket[bytes]":
        """Can be read when `check` has something to look at."""
        return self._handshakes.monitor

    @property
    def waits(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._asked) and time.monotonic() - self._since < self._patience

    @property
    def epoch(self) -> int:
        """Of what was asked last."""
        return self._asked[self._number][1] if self._asked else 0

    def ask(self, start: int, epoch: int, limit: int | None = None) -> bool:
        """Ask for events from an offset on; whether the daemon is there to be asked."""
        number = self._number + 1
        request: dict[str, Any] = {"v": VERSION, "from": start, "id": number} | self._filter
        if limit is not None:
            request["limit"] = limit
        try:
            self.socket.send(msgpack.packb(request), zmq.DONTWAIT)
        except zmq.Again:
            return False
        if self._asked:  # in vain so far
            self._patience = min(LONGEST_SECONDS, 2 * self._patience)
        self._number, self._since = number, time.monotonic()
        self._asked = {each: asked for each, asked in self._asked.items() if asked[1] == epoch} | {
            number: (start, epoch)
        }
        return True

    def receive(self) -> tuple[Reply, int, int] | str | None:
        """An answer to what was asked, if it has come, also a late one: reply, offset and epoch that were asked.

        A text is what the node says that cannot answer.

        Raises:
            ProtocolError: bytes that are no reply, or of a newer version.
        """
        while readable(self.socket):
            frames = self.socket.recv_multipart()
            number, reply = parse_reply(frames)
            asked = self._asked.get(number)
            if asked is None:
                continue
            self.forget()
            if isinstance(reply, str):
                return reply
            self.node, self.silent = reply.node, 0.0
            return reply, *asked
        return None

    def check(self) -> None:
        """Raise if the node refuses this client for good.

        Raises:
            ConfigError: wrong keys, or none, or no right to this.
        """
        self._handshakes.check()

    def forget(self) -> None:
        """Wait no more for an answer."""
        self._asked.clear()
        self._patience = ANSWER_SECONDS

    def close(self) -> None:
        """Close the socket."""
        self._handshakes.close()
        self.socket.close()


def parse_reply(frames: list[bytes]) -> tuple[int, Reply | str]:
    """The number of the request, and the reply to it or the text of its refusal.

    Raises:
        ProtocolError: it is none, or of a newer version.
    """
    try:
        (payload,) = frames
        fields = msgpack.unpackb(payload)
        version, number = fields["v"], fields["id"]
        if version == VERSION and not fields["ok"]:
            return int(number), str(fields["error"])
        if version == VERSION:
            events = tuple(map(from_map, fields["events"]))
            reply = Reply(
                str(fields["node"]),
                str(fields["journal"]),
                int(fields["first"]),
                int(fields["last"]),
                int(fields["next"]),
                tuple((int(start), int(stop), str(cause)) for start, stop, cause in fields["holes"]),
                tuple(event for event in events if isinstance(event, Event)),
            )
            return int(number), reply
    except ProtocolError:
        raise
    except Exception as error:  # msgpack raises errors of many kinds
        raise ProtocolError(
            f"a reply that is none: {type(error).__name__}: {error}; is this a glatd's catch-up?"
        ) from error
    raise ProtocolError(f"a reply of version {version!r}; this glatd knows {VERSION}: upgrade it")
