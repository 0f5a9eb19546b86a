"""Binding a ZeroMQ socket: what is taken or impossible is refused by name."""

import fcntl
from pathlib import Path
from typing import IO

import zmq

from glatd.config import check_port
from glatd.errors import ConfigError

TAKEN = "the address is taken"


def bind(socket: zmq.Socket[bytes], endpoint: str, purpose: str, option: str) -> IO[str] | None:
    """Bind `socket` to `endpoint`.

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
    lock = _lock_ipc(endpoint, what, taken, option)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if lock is not None:
            lock.close()
        if error.errno == zmq.EADDRINUSE:
            raise ConfigError(taken) from error
        raise ConfigError(f"{what}: {error.strerror}; give {option} as tcp://127.0.0.1:PORT or ipc:///PATH") from error
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
