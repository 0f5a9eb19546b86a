"""The catch-up of one box, passed through the hub: requests in at its own endpoint, replies back to who asked."""

import logging
from contextlib import ExitStack, closing

import msgpack
import zmq

from glatd.clients.catchup import LARGEST_REPLY
from glatd.clients.connecting import connect
from glatd.clients.keys import Handshakes, Keys, use_keys
from glatd.clients.waiting import readable
from glatd.daemon.endpoint import Endpoint
from glatd.daemon.journal.catchup import PURPOSE, refusal
from glatd.daemon.security.access import Access

MOST_AT_ONCE = 100  # messages of a socket, before the others have their turn
_EMPTY, _NONE = b"\1", b"\0"  # whether the envelope had an empty frame, as that of a REQ has

log = logging.getLogger("glatd.hub")


class Passing:
    """A ROUTER here, and a DEALER to the box. It understands nothing of what it passes but who asked.

    Made, used and closed in one thread.

    Args:
        box: the catch-up of the box.
        here: endpoint to bind.
        keys: that the box has for the hub.

    Raises:
        ConfigError: as of `Endpoint`.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", box: str, here: str, keys: Keys | None, access: Access
    ) -> None:
        self.box = box
        with ExitStack() as parts:
            self._front = parts.enter_context(closing(Endpoint(zmq.ROUTER, here, PURPOSE, access)))
            self._back: zmq.Socket[bytes] = parts.enter_context(closing(context.socket(zmq.DEALER)))
            self._back.linger, self._back.ipv6 = 0, True
            self._back.immediate = True  # what waited for a box that is away would be asked twice
            self._back.sndhwm = self._back.rcvhwm = PURPOSE.waiting
            self._back.maxmsgsize = LARGEST_REPLY
            use_keys(self._back, keys)
            self._handshakes = parts.enter_context(closing(Handshakes(self._back, box, keys)))
            connect(self._back, box)
            self._parts = parts.pop_all()

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """To wait for."""
        return [self._front.socket, self._back, self._handshakes.monitor]

    def turn(self) -> None:
        """Pass on what has come.

        Raises:
            ConfigError: the box refuses the hub.
        """
        for _ in range(MOST_AT_ONCE):
            if not readable(self._back):
                break
            frames = self._back.recv_multipart()
            if len(frames) == 2:
                who, reply = frames
                self._answer(who[:-1], who[-1:] == _EMPTY, reply)
        for _ in range(MOST_AT_ONCE):
            if not readable(self._front.socket):
                break
            frames = self._front.receive()
            if frames:
                self._ask(frames)
        self._handshakes.check()

    def close(self) -> None:
        """Pass nothing more on."""
        self._parts.close()

    def _ask(self, frames: list[bytes]) -> None:
        who, *empty, request = frames
        if empty not in ([], [b""]):
            self._answer(who, False, refusal(0, f"a request of {len(frames)} frames; send one msgpack map"))
            return
        try:
            self._back.send_multipart([who + (_EMPTY if empty else _NONE), request], zmq.DONTWAIT)
        except zmq.Again:
            away = f"the hub does not reach {self.box} now; try again"
            self._answer(who, bool(empty), refusal(_number(request), away))

    def _answer(self, who: bytes, empty: bool, reply: bytes) -> None:
        try:
            self._front.socket.send_multipart([who, b"", reply] if empty else [who, reply], zmq.DONTWAIT)
        except zmq.ZMQError as error:
            log.debug("a reply could not be passed on: %s", error)


def _number(request: bytes) -> int:
    """Of a request, so that its refusal is known; 0 where it has none."""
    try:
        number = msgpack.unpackb(request)["id"]
    except Exception:  # msgpack raises errors of many kinds
        return 0
    return number if type(number) is int and 0 <= number < 1 << 63 else 0
