"""Waiting for several sockets at once, in a thread; `aio` waits for the same ones in an asyncio loop."""

import math
import socket
from collections.abc import Generator
from contextlib import suppress
from typing import TypeVar

import zmq

from glatd.errors import ConfigError

LONGEST_SECONDS = 1e6  # what ZeroMQ's milliseconds hold in 32 bits, about

T = TypeVar("T")


class Waiting:
    """Sockets of which one is waited for, until it can be read, time is up, or another thread says so.

    Made, used and closed in one thread, but for `wake`.
    """

    def __init__(self) -> None:
        self._sockets: list[zmq.Socket[bytes]] = []
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._poller = zmq.Poller()
        self._poller.register(self._woken, zmq.POLLIN)

    def add(self, *sockets: "zmq.Socket[bytes]") -> None:
        """Wait for these as well."""
        for each in sockets:
            self._sockets.append(each)
            self._poller.register(each, zmq.POLLIN)

    @property
    def files(self) -> list[int]:
        """File descriptors, one of which can be read when something may have come. Look at `ready` before you wait."""
        return [self._woken.fileno(), *(int(each.getsockopt(zmq.FD)) for each in self._sockets)]

    @property
    def ready(self) -> bool:
        """Whether a socket can be read. ZeroMQ tells by its file only what came after it was asked this way."""
        return any(readable(each) for each in self._sockets)

    def wait(self, seconds: float) -> None:
        """Until a socket can be read, for so many seconds at most."""
        self._poller.poll(max(0, math.ceil(1000 * seconds)))
        self.rest()

    def wake(self) -> None:
        """End the wait, from any thread or a signal handler."""
        with suppress(OSError):  # closed, or woken already
            self._waker.send(b"\0")

    def rest(self) -> None:
        """What woke has been seen."""
        with suppress(BlockingIOError):
            self._woken.recv(64)

    def close(self) -> None:
        """Wait no more. The sockets are for who made them to close."""
        self._waker.close()
        self._woken.close()


def readable(socket: "zmq.Socket[bytes]") -> bool:
    """Whether a socket can be read; a tenth of what `poll` takes."""
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


def drive(turns: Generator[float, None, T], waiting: Waiting) -> T:
    """Go through turns, each of which ends with the seconds for which to wait, to their result."""
    while True:
        try:
            seconds = next(turns)
        except StopIteration as end:
            result: T = end.value
            return result
        waiting.wait(seconds)


def check_timeout(timeout: float | None) -> None:
    """Refuse what is no time.

    Raises:
        ConfigError: naming it.
    """
    if timeout is not None and not 0 <= timeout <= LONGEST_SECONDS:
        raise ConfigError(f"timeout = {timeout!r} must be seconds from 0 to {LONGEST_SECONDS:g}; leave it out to wait")
