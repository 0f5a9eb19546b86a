"""Servers with a flaw that can be switched on: lost and damaged packets, no name yet, nothing to say."""

import os
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.faults.relays import RtpRelay, StreamRelay
from tests.servers.icecast import Icecast
from tests.servers.pcm import PcmTcp
from tests.servers.process import free_port
from tests.servers.rtp import Rtp

NAME = "cupboard.test"  # of a host that no name server knows


class LossyRtp(Rtp):
    """RTP through a relay."""

    def __init__(self) -> None:
        super().__init__()
        self._heard_at = free_port()
        self.relay = RtpRelay(self.port, self._heard_at)

    @property
    def uri(self) -> str:
        """An SDP file that names the port behind the relay."""
        behind = self.folder / "behind.sdp"
        behind.write_text(self.sdp.read_text().replace(f"m=audio {self.port}", f"m=audio {self._heard_at}"))
        return f"rtp:{behind}"

    def __exit__(self, *error: object) -> None:
        self.relay.close()
        super().__exit__(*error)


class DamagedIcecast(Icecast):
    """Icecast through a relay."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._heard_at = free_port()
        self.relay = StreamRelay(self._heard_at, self.port)

    @property
    def uri(self) -> str:
        """The relay."""
        return f"http://127.0.0.1:{self._heard_at}/live"

    def __exit__(self, *error: object) -> None:
        self.relay.close()
        super().__exit__(*error)


class MutePcm(PcmTcp):
    """Takes connections and sends nothing, until it is told to."""

    def commands(self) -> None:
        """The listener."""
        self._listening: socket.socket | None = socket.create_server(("127.0.0.1", self.port))

    def speak(self) -> None:
        """Close all connections; a sender takes the port over."""
        self._hang_up()
        super().commands()

    def _hang_up(self) -> None:
        if self._listening is None:
            return
        self._listening.setblocking(False)
        try:
            while True:
                self._listening.accept()[0].close()
        except BlockingIOError:
            self._listening.close()
        self._listening = None

    def __exit__(self, *error: object) -> None:
        self._hang_up()
        super().__exit__(*error)


class NamelessPcm(PcmTcp):
    """A host whose name is not known at first.

    Attributes:
        hosts: the file that the listener looks names up in (`own_names`).
    """

    hosts: Path

    @property
    def uri(self) -> str:
        """By name."""
        return super().uri.replace("127.0.0.1", NAME)

    def become_known(self) -> None:
        """From now on, the name is that of this machine."""
        self.hosts.write_text(f"127.0.0.1 {NAME}\n")


def own_names(hosts: Path) -> dict[str, str]:
    """Environment of a process that looks names up in a file (Debian's libnss-wrapper)."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/libnss_wrapper.so"))), None)
    if library is None:
        _lacks("libnss-wrapper")
    return {"LD_PRELOAD": str(library), "NSS_WRAPPER_HOSTS": str(hosts)}


def faketime(clock: Path) -> dict[str, str]:
    """Environment of a process whose wall clock is off by what a file says, "+0" (Debian's libfaketime)."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if library is None:
        _lacks("libfaketime")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


def _lacks(package: str) -> NoReturn:
    message = f"needs {package}; .ci/run names the packages"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    raise AssertionError
