"""What systemd is told of the service: ready, alive, reloading, stopping. Outside systemd nothing is done.

The protocol is a datagram of KEY=VALUE lines to the socket named in NOTIFY_SOCKET (sd_notify(3)). The
packages that speak it are no longer kept or need systemd's headers, and it is this file's length.
"""

import os
import socket
import time
from collections.abc import Mapping

_MICROSECONDS = 1e6  # a second; WATCHDOG_USEC counts in them


class Notifier:
    """Tells the service manager. Used from one thread, that of the loop: when it hangs, the beats stop.

    Args:
        environment: of the process. NOTIFY_SOCKET is a path, or a name after `@` (abstract);
            WATCHDOG_USEC the time after which a service without a beat is killed, WATCHDOG_PID whose beat counts.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address.startswith(("@", "/")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)  # a manager that hangs must not hang the loop
        self._every = self._beat_seconds(environment) if self._socket is not None else None
        self._next = 0.0  # monotonic s of the next beat
        self._status = ""

    @property
    def beat_seconds(self) -> float | None:
        """How often `beat` speaks: half the watchdog's time. None without a watchdog."""
        return self._every

    def ready(self) -> None:
        """The service has started, or has reloaded."""
        self._send("READY=1")

    def beat(self) -> None:
        """The loop goes round. To be called as often as one likes; it speaks every half of the watchdog's time."""
        if self._every is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self._every
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line that `systemctl status` shows; sent when it has changed."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def reloading(self) -> None:
        """The configuration is read again; `ready` says that it is done."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket; nothing is told from now on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            # The manager restarts, or its queue is full: the next beat and status try again at once.
            self._next, self._status = 0.0, ""

    @staticmethod
    def _beat_seconds(environment: Mapping[str, str]) -> float | None:
        text = environment.get("WATCHDOG_USEC", "")
        if not (text.isascii() and text.isdigit() and int(text)):
            return None
        if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return None
        return int(text) / _MICROSECONDS / 2
