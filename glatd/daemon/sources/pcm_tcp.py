"""Raw PCM over TCP: glatd connects, the other side sends samples as they come."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import ClassVar

from glatd.audio import Block
from glatd.daemon.sources.base import Source, safe_name
from glatd.daemon.sources.flood import FloodMeter
from glatd.daemon.sources.patience import Abandoned, call_within
from glatd.daemon.sources.pcm import PcmFormat
from glatd.errors import SourceError

_CONNECT_S = 5.0
# PCM is continuous, a gap of 10 s starts afresh anyway, and a host that lost its power never says so.
_SILENT_S = 10.0
_POLL_S = 0.3  # how late a stop is seen
_RECEIVE_BYTES = 65_536
# Senders send every 10 to 20 ms, and to wake up for a piece costs more than all that is done with it: 13 ms of CPU for
# a second of sound, of which the networks take 18. So the kernel keeps pieces together for so long.
_TOGETHER_S = 0.08


class TcpPcmSource(Source):
    """Interleaved samples without a header, from a server that sends them in real time."""

    live: ClassVar[bool] = True

    def __init__(self, host: str, port: int, pcm: PcmFormat, name: str | None = None) -> None:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        default = safe_name(f"{host}_{port}", "tcp")
        super().__init__(f"tcp://{address}?{pcm.query}", name or default, name is not None)
        self._address = (host, port)
        self._pcm = pcm

    def blocks(self) -> Iterator[Block]:
        """One block for each piece that arrives; ends when the server closes the connection.

        Raises:
            SourceError: no connection within 5 s, a connection that breaks, no byte for 10 s, a sender that
                is faster than its rate for long.
        """
        if self._stopped.is_set():
            return
        try:
            connection = call_within(_CONNECT_S, self._connect, socket.socket.close, self._stopped)
        except Abandoned:
            if self._stopped.is_set():
                return
            raise SourceError(
                f"{self.uri}: no answer within {_CONNECT_S:.0f} s; check the host and its firewall"
            ) from None
        except (OSError, UnicodeError) as error:
            raise SourceError(f"{self.uri}: {_reason(error)}; check that it sends PCM at that address") from error
        with connection:
            yield from self._receive(connection)

    def _connect(self) -> socket.socket:
        return socket.create_connection(self._address, _CONNECT_S)

    def _receive(self, connection: socket.socket) -> Iterator[Block]:
        connection.settimeout(_POLL_S)
        pcm = self._pcm
        together = min(int(_TOGETHER_S * pcm.rate) * pcm.frame_bytes, _RECEIVE_BYTES // 2)
        wake_for(connection, together)
        flood = FloodMeter(self.uri, pcm.rate)
        start = 0
        partial = b""
        heard = time.monotonic()
        while not self._stopped.is_set():
            try:
                received = receive(connection, together)
            except OSError as error:
                raise SourceError(f"{self.uri}: connection lost, {_reason(error)}; check the sender") from error
            if received is None:
                if time.monotonic() - heard > _SILENT_S:
                    raise SourceError(f"{self.uri}: no audio for {_SILENT_S:.0f} s; check the sender")
                continue
            if not received:
                return
            heard = time.monotonic()
            data = partial + received
            whole = len(data) - len(data) % pcm.frame_bytes
            partial = data[whole:]
            if whole == 0:
                continue
            samples = pcm.decode(data[:whole])
            flood.push(len(samples), heard)
            yield Block(start, samples, pcm.rate, heard, pcm.bits)
            start += len(samples)


def wake_for(connection: socket.socket, count: int) -> None:
    """Let `recv` wait for so many bytes, or the end, where the system can."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)


def receive(connection: socket.socket, together: int) -> bytes | None:
    """The next bytes, `together` at least but for those of a sender that pauses; empty at the end, None if none came.

    Raises:
        OSError: the connection is lost.
    """
    with contextlib.suppress(TimeoutError):
        return connection.recv(_RECEIVE_BYTES)
    wake_for(connection, 1)
    connection.settimeout(0)
    try:
        return connection.recv(_RECEIVE_BYTES)
    except BlockingIOError:
        return None
    finally:
        connection.settimeout(_POLL_S)
        wake_for(connection, together)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
