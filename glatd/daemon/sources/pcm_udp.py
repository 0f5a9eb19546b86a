"""Raw PCM over UDP: glatd listens, anybody sends samples as they come."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import ClassVar

from glatd.audio import Block
from glatd.daemon.sources.base import Source, safe_name
from glatd.daemon.sources.flood import FloodMeter
from glatd.daemon.sources.lag import LagMeter
from glatd.daemon.sources.pcm import PcmFormat
from glatd.errors import SourceError

log = logging.getLogger("glatd")

_SILENT_S = 10.0
_ANOTHER_S = 1.0  # of silence, after which another sender is listened to
_POLL_S = 0.1  # how late a stop is seen
_LARGEST = 65_536  # bytes of a datagram
_BUFFER_BYTES = 1 << 20  # asked of the kernel; it may give less


class UdpPcmSource(Source):
    """Interleaved samples without a header, whole ones of every channel in each datagram.

    Datagrams have no numbers: what was lost is found by counting samples against the clock, when 0.1 s and
    more are missing (see `LagMeter`). One sender is listened to at a time.
    """

    live: ClassVar[bool] = True

    def __init__(self, host: str, port: int, pcm: PcmFormat, name: str | None = None) -> None:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        default = safe_name(f"{host}_{port}", "udp")
        super().__init__(f"udp://{address}?{pcm.query}", name or default, name is not None)
        self._address = (host, port)
        self._pcm = pcm

    def blocks(self) -> Iterator[Block]:
        """One block for each datagram; never ends by itself.

        Raises:
            SourceError: the address is not free or not of this machine, no datagram for 10 s, half samples,
                a sender that is faster than its rate for long.
        """
        if self._stopped.is_set():
            return
        try:
            listening = self._listen()
        except (OSError, UnicodeError) as error:
            raise SourceError(
                f"{self.uri}: cannot listen there, {getattr(error, 'strerror', None) or error}; "
                "give an address of this machine and a port that nobody has"
            ) from error
        with closing(listening):
            yield from self._receive(listening)

    def _listen(self) -> socket.socket:
        family, kind, _, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        listening = socket.socket(family, kind)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            listening.settimeout(_POLL_S)
            listening.bind(address)
        except BaseException:
            listening.close()
            raise
        return listening

    def _receive(self, listening: socket.socket) -> Iterator[Block]:
        pcm, start = self._pcm, 0
        lag, flood = LagMeter(pcm.rate), FloodMeter(self.uri, pcm.rate)
        sender: object = None
        others = False
        heard = time.monotonic()
        while not self._stopped.is_set():
            try:
                data, address = listening.recvfrom(_LARGEST)
            except TimeoutError:
                if time.monotonic() - heard > _SILENT_S:
                    raise SourceError(f"{self.uri}: no audio for {_SILENT_S:.0f} s; check the sender") from None
                continue
            except OSError as error:
                raise SourceError(f"{self.uri}: {error.strerror}; check the network of this machine") from error
            now = time.monotonic()
            if address != sender:
                if sender is not None and now - heard < _ANOTHER_S:
                    if not others:
                        log.warning("%s: %s sends too and is not listened to", self.uri, address[0])
                    others = True
                    continue
                sender = address
            if len(data) % pcm.frame_bytes:
                raise SourceError(
                    f"{self.uri}: a datagram of {len(data)} bytes, which is no multiple of {pcm.frame_bytes}; "
                    "send whole samples of every channel, or check ?format= and ?channels="
                )
            if not data:
                continue
            heard = now
            samples = pcm.decode(data)
            flood.push(len(samples), now)
            start += lag.lost(now, start + len(samples), False)
            yield Block(start, samples, pcm.rate, now, pcm.bits)
            start += len(samples)
