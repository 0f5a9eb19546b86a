"""What the service manager hears: a real datagram socket in its place."""

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glatd.daemon.systemd import Notifier


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.environment = {"NOTIFY_SOCKET": address}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """What has come; a datagram is there as soon as it was sent."""
        texts = []
        while True:
            try:
                texts.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return texts

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[Manager]:
    # Not pytest's folder: the path of a Unix socket has 108 bytes at most.
    with tempfile.TemporaryDirectory(prefix="glatd-") as folder:
        address = f"{folder}/notify" if request.param == "path" else f"@glatd-test-{os.getpid()}-{Path(folder).name}"
        manager = Manager(address)
        yield manager
        manager.close()


def test_each_word_is_a_datagram_of_its_own(manager: Manager) -> None:
    notifier = Notifier(manager.environment)
    notifier.ready()
    notifier.status("12 streams,\n3 of them\twait")
    notifier.status("12 streams, 3 of them wait")  # nothing new
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    notifier.stopping()
    ready, status, reloading, stopping = manager.heard()
    assert (ready, status, stopping) == ("READY=1", "STATUS=12 streams, 3 of them wait", "STOPPING=1")
    first, _, stamp = reloading.partition("\nMONOTONIC_USEC=")
    assert first == "RELOADING=1" and before <= int(stamp) <= time.monotonic_ns() // 1000
    notifier.close()
    notifier.ready()
    assert manager.heard() == []


def test_beats_come_at_most_every_half_of_the_watchdogs_time(manager: Manager) -> None:
    notifier = Notifier(manager.environment | {"WATCHDOG_USEC": "400000", "WATCHDOG_PID": str(os.getpid())})
    assert notifier.beat_seconds == 0.2
    for _ in range(1000):
        notifier.beat()
    assert manager.heard() == ["WATCHDOG=1"]
    time.sleep(0.25)
    notifier.beat()
    assert manager.heard() == ["WATCHDOG=1"]
    notifier.close()


@pytest.mark.parametrize(
    "watchdog", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "4000", "WATCHDOG_PID": "1"}]
)
def test_without_a_watchdog_of_this_process_there_is_no_beat(manager: Manager, watchdog: dict[str, str]) -> None:
    notifier = Notifier(manager.environment | watchdog)
    assert notifier.beat_seconds is None
    notifier.beat()
    assert manager.heard() == []
    notifier.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_outside_systemd_nothing_is_done(environment: dict[str, str]) -> None:
    notifier = Notifier(environment | {"WATCHDOG_USEC": "4000"})
    assert notifier.beat_seconds is None
    for word in (notifier.ready, notifier.beat, notifier.reloading, notifier.stopping, notifier.close):
        word()
    notifier.status("x")


def test_a_manager_that_is_gone_or_does_not_read_troubles_nobody(manager: Manager) -> None:
    notifier = Notifier(manager.environment | {"WATCHDOG_USEC": "1000000000"})
    for number in range(5000):  # far beyond what the socket's queue holds
        notifier.status(str(number))
    notifier.beat()  # no room for it
    assert 0 < len(manager.heard()) < 5000
    notifier.beat()  # so it is said now, and not after 500 s
    assert manager.heard() == ["WATCHDOG=1"]
    manager.close()
    notifier.stopping()
    notifier.close()
