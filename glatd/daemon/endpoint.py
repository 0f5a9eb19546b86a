"""Binding a ZeroMQ socket: the one place where it is guarded, bounded, and refused by name if it is taken."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import zmq

from glatd.config import check_port
from glatd.daemon.security.access import LOCAL, Access, check_reach
from glatd.daemon.security.guard import Guard, hang_up, sender
from glatd.errors import ConfigError

TAKEN = "the address is taken"
PRIVATE = 0o177  # umask: an ipc path is for its owner alone
HANDSHAKE_MS = 10_000  # for a peer to say who it is
# A peer whose machine is gone is noticed after 60 s. Not by ZeroMQ's own heartbeats: a subscriber that is alive and
# does not read would not answer them.
KEEPALIVE_IDLE_S, KEEPALIVE_EVERY_S, KEEPALIVE_TIMES = 30, 10, 3
BACKLOG = 100  # connections that may wait to be accepted


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a socket is for, and how much of everything it takes."""

    what: str  # as in "cannot publish on ..."
    option: str  # of the command line or configuration, as the user would change it
    right: str  # that a client needs: one of security.clients.RIGHTS
    largest: int  # bytes of a frame; ZeroMQ hangs up on whoever sends more
    waiting: int  # messages that may wait for, or of, one peer
    linger_ms: int  # for the last messages to leave


class Endpoint:
    """A bound socket with its context. Made, used and closed in one thread.

    >>> purpose = Purpose("be asked", "catchup", "subscribe", largest=1024, waiting=100, linger_ms=200)
    >>> endpoint = Endpoint(zmq.ROUTER, "tcp://127.0.0.1:5557", purpose, access)
    >>> frames = endpoint.receive()  # [] if it was of a peer that has lost its right

    Args:
        kind: of socket, for example zmq.ROUTER.
        endpoint: tcp://ADDRESS:PORT or ipc:///PATH.
        access: the keys of the node; without them only this machine may come in.

    Raises:
        ConfigError: the endpoint is taken, or is none, or others reach it and there are no keys.
    """

    def __init__(self, kind: int, endpoint: str, purpose: Purpose, access: Access = LOCAL) -> None:
        check_reach(endpoint, f"cannot {purpose.what} on {endpoint}", purpose.option, access)
        self.address = endpoint
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(kind)
        self._guard: Guard | None = None
        self._lock: IO[str] | None = None
        socket = self.socket
        socket.maxmsgsize, socket.linger = purpose.largest, purpose.linger_ms
        socket.sndhwm = socket.rcvhwm = purpose.waiting
        socket.handshake_ivl, socket.backlog = HANDSHAKE_MS, BACKLOG
        socket.tcp_keepalive, socket.tcp_keepalive_idle = 1, KEEPALIVE_IDLE_S
        socket.tcp_keepalive_intvl, socket.tcp_keepalive_cnt = KEEPALIVE_EVERY_S, KEEPALIVE_TIMES
        socket.ipv6 = "[" in endpoint
        try:
            if access.keyring is not None:
                self._guard = Guard(self._context, socket, purpose.right, access.keyring, endpoint)
            self._lock = bind(socket, endpoint, purpose.what, purpose.option)
        except BaseException:
            self.close()
            raise

    def receive(self) -> list[bytes]:
        """The frames of a message that has come; none, of a peer whose key was revoked in the meantime."""
        frames = self.socket.recv_multipart(copy=False)
        return [frame.bytes for frame in frames] if self.admits(frames[-1]) else []

    def admits(self, frame: zmq.Frame) -> bool:
        """Whether a message, of which this is a frame, may be taken. To be asked of each that is received."""
        return self._guard is None or self._guard.admits(frame)

    def hang_up(self, frame: zmq.Frame) -> bool:
        """Close the connection that a frame came by; whether there was one."""
        return hang_up(sender(frame)[1], self.address)

    def close(self) -> None:
        """Send what waits, for as long as it may linger, and close."""
        self.socket.close()
        if self._guard is not None:
            self._guard.close()
        self._context.term()
        if self._lock is not None:
            self._lock.close()


def bind(socket: "zmq.Socket[bytes]", endpoint: str, purpose: str, option: str) -> IO[str] | None:
    """Bind `socket` to `endpoint`, unguarded: `Endpoint` does more.

    Args:
        purpose: what the endpoint is for, as in "cannot publish on ...".
        option: of the command line or configuration, as the user would change it.

    Returns:
        For an ipc path the lock that it needs, since a second bind would steal it without a word; to be closed
        after the socket.

    Raises:
        ConfigError: the endpoint is taken, or is none.
    """
    check_port(endpoint)
    what = f"cannot {purpose} on {endpoint}"
    taken = f"{what}: {TAKEN}; stop the other program or choose another {option}"
    before = os.umask(PRIVATE) if endpoint.startswith("ipc://") else None
    lock = None
    try:
        lock = _lock_ipc(endpoint, what, taken, option)
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if lock is not None:
            lock.close()
        if error.errno == zmq.EADDRINUSE:
            raise ConfigError(taken) from error
        raise ConfigError(f"{what}: {error.strerror}; give {option} as tcp://127.0.0.1:PORT or ipc:///PATH") from error
    finally:
        if before is not None:
            os.umask(before)
    return lock


def _lock_ipc(endpoint: str, what: str, taken: str, option: str) -> IO[str] | None:
    if not endpoint.startswith("ipc://"):
        return None
    path = Path(endpoint.removeprefix("ipc://") + ".lock")
    try:
        lock = path.open("w")
    except OSError as error:
        raise ConfigError(f"{what}: {error.strerror}: {path}; choose another {option}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise ConfigError(taken) from error
    return lock
