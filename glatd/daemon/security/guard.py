"""The guard of one socket: answers ZeroMQ's question who may come in (ZAP), and shows out whose key was revoked.

libzmq has no call that closes the connection of one peer. Each message that arrives says which file descriptor it
came by and, in an encrypted connection, whose key was used; shutting that descriptor down closes the one connection
and disturbs no other. A peer that has not sent anything yet hears nothing either: a subscriber has to subscribe.
"""

import logging
import os
import socket as sockets
import threading
import time
from collections import OrderedDict

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from glatd.daemon.security.keyring import Keyring

POLL_MS = 200  # how late a stop, or a change of the allow-list, is seen
AGAIN_SECONDS = 3600.0  # until the refusal of a key is told again
MOST_TOLD = 1000  # keys whose refusal is remembered
UNKNOWN_AN_HOUR = 20  # unknown keys that are told; whoever makes a new one for each try must not fill a disk

_ZAP = "inproc://zeromq.zap.01"  # of RFC 27, one a context
_WATCHED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_KEYLESS = "somebody without a key"  # who may also hang up before he has said so, as soon as keys are asked for
_REASONS = {
    int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): _KEYLESS,
    int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): "somebody who has another key for this node than it has",
}

log = logging.getLogger("glatd.security")


class Guard:
    """Guards a socket from before it is bound until after it is closed; asks for a key of the allow-list.

    Args:
        context: of the socket, which no other socket uses.
        right: that a client needs, which is also the ZAP domain.
        where: the endpoint, for the log.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", socket: "zmq.Socket[bytes]", right: str, keyring: Keyring,
        where: str,
    ) -> None:  # fmt: skip
        self._socket, self._right, self._where, self._allowed = socket, right, where, keyring.allowed
        self._told = Told()
        self._peers: dict[int, str] = {}  # public key by file descriptor, of those who have sent something
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        socket.curve_server, socket.curve_secretkey = True, keyring.secret.encode()
        socket.zap_domain = right.encode()
        self._monitor = socket.get_monitor_socket(_WATCHED)
        self._zap = context.socket(zmq.REP)
        self._zap.linger = 0
        self._zap.bind(_ZAP)
        self._thread = threading.Thread(target=self._run, name=f"guard {right}", daemon=True)
        self._thread.start()

    def admits(self, frame: zmq.Frame) -> bool:
        """Whether a message may be taken: its sender's key may have been revoked since it came in."""
        user, descriptor = sender(frame)
        if not user:  # of the socket itself: a subscription that ends with its connection
            return True
        with self._lock:
            self._peers[descriptor] = user
        if not self._allowed.why_not(user, self._right):
            return True
        self._show_out(descriptor, user)
        return False

    def close(self) -> None:
        """Stop; after the socket was closed, which would refuse everybody without its guard."""
        self._stopped.set()
        self._thread.join()
        self._zap.close()
        self._monitor.close(0)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._zap, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while not self._stopped.is_set():
            try:
                ready = dict(poller.poll(POLL_MS))
                if self._zap in ready:
                    self._answer(self._zap.recv_multipart())
                if self._monitor in ready:
                    self._notice()
                self._look_around()
            except Exception:  # without it nobody could come in any more
                log.exception("the guard of %s stumbled", self._where)
                time.sleep(POLL_MS / 1000)

    def _answer(self, request: list[bytes]) -> None:
        """Of RFC 27: version, request, domain, address, identity, mechanism, credentials."""
        why, user = "a request that ZAP does not know", b""
        if len(request) == 7 and request[5] == b"CURVE" and len(request[6]) == 32:
            user = z85.encode(request[6])
            why = self._allowed.why_not(user.decode(), self._right)
        if why:
            self._tell(user.decode(), why, request[3].decode("ascii", "replace") if len(request) > 3 else "")
        code, text = (b"400", b"refused") if why else (b"200", b"OK")
        self._zap.send_multipart([b"1.0", request[1], code, text, b"" if why else user, b""])

    def _tell(self, user: str, why: str, address: str) -> None:
        if self._told.is_news(user, known=self._allowed.find(user) is not None):
            log.warning("refused to %s on %s: %s (from %s)", self._right, self._where, why, address or "this machine")

    def _notice(self) -> None:
        """Somebody who did not get as far as the question."""
        event = recv_monitor_message(self._monitor)
        hung_up = event["event"] == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        reason = _REASONS.get(int(event["value"]), "somebody who does not speak ZeroMQ's protocol")
        if self._told.is_news(_KEYLESS if hung_up else reason, known=True):
            said = "somebody who hung up when asked for a key: without a key, most likely" if hung_up else reason
            log.warning("refused to %s on %s: %s", self._right, self._where, said)

    def _look_around(self) -> None:
        with self._lock:
            peers = list(self._peers.items())
        for descriptor, user in peers:
            if self._allowed.why_not(user, self._right):
                self._show_out(descriptor, user)

    def _show_out(self, descriptor: int, user: str) -> None:
        with self._lock:
            if self._peers.get(descriptor) != user:
                return
            del self._peers[descriptor]
        if hang_up(descriptor, self._where):
            log.warning("closed a connection on %s: %s", self._where, self._allowed.why_not(user, self._right))


class Told:
    """Which refusals were told: once a key and hour, and of unknown keys only so many an hour."""

    def __init__(self) -> None:
        self._when: OrderedDict[str, float] = OrderedDict()
        self._unknown: list[float] = []

    def is_news(self, key: str, known: bool) -> bool:
        """Whether to tell."""
        now = time.monotonic()
        if now - self._when.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        if not known:
            self._unknown = [when for when in self._unknown if now - when < AGAIN_SECONDS]
            if len(self._unknown) >= UNKNOWN_AN_HOUR:
                return False
            self._unknown.append(now)
        self._when[key] = now
        self._when.move_to_end(key)
        if len(self._when) > MOST_TOLD:
            self._when.popitem(last=False)
        return True


def sender(frame: zmq.Frame) -> tuple[str, int]:
    """Whose key a message came with, and by which file descriptor; "" and -1 where ZeroMQ does not say."""
    try:
        descriptor = int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return "", -1
    try:
        return str(frame.get("User-Id")), descriptor
    except zmq.ZMQError:
        return "", descriptor


def hang_up(descriptor: int, endpoint: str) -> bool:
    """Close the connection of a file descriptor, if it is one of the endpoint that was bound; whether it was.

    libzmq owns the descriptor and may have closed it since, and another file may have its number: hence the look at
    what it is. At worst another client of the same endpoint has to connect again, which ZeroMQ does by itself.
    """
    try:
        peer = sockets.socket(fileno=os.dup(descriptor))
    except OSError:
        return False
    with peer:
        try:
            here = peer.getsockname()
            mine = (
                here == endpoint.removeprefix("ipc://")
                if endpoint.startswith("ipc://")
                else isinstance(here, tuple) and here[1] == int(endpoint.rpartition(":")[2])
            )
            if mine:
                peer.shutdown(sockets.SHUT_RDWR)
            return mine
        except (OSError, ValueError):
            return False
