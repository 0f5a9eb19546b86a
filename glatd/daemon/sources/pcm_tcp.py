"""Raw PCM over TCP: glatd connects, the other side sends samples as they come."""

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
_POLL_S = 0.1  # how late a stop is seen
_RECEIVE_BYTES = 65_536


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
        flood = FloodMeter(self.uri, pcm.rate)
        start = 0
        partial = b""
        heard = time.monotonic()
        while not self._stopped.is_set():
            try:
                received = connection.recv(_RECEIVE_BYTES)
            except TimeoutError:
                if time.monotonic() - heard > _SILENT_S:
                    raise SourceError(f"{self.uri}: no audio for {_SILENT_S:.0f} s; check the sender") from None
                continue
            except OSError as error:
                raise SourceError(f"{self.uri}: connection lost, {_reason(error)}; check the sender") from error
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


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
