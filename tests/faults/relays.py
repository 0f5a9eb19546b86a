"""Between a sender and glatd: a relay that drops datagrams and counts them, one that spoils bytes of a connection."""

import random
import selectors
import socket
import threading
from typing import Any

HEADER_BYTES = 12  # of RTP, without extensions
SAMPLE_BYTES = 2  # L16, mono


class RtpRelay:
    """Passes datagrams of RTP (L16, mono) on, and knows what it dropped.

    Args:
        port: that the sender sends to.
        to: port that glatd listens at.
    """

    def __init__(self, port: int, to: int) -> None:
        self._random = random.Random(5)
        self._to = ("127.0.0.1", to)
        self._share = self._spoilt = 0.0
        self.passed = self.dropped = 0  # samples
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.settimeout(0.1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def drop(self, share: float) -> None:
        """From now on, drop so large a share of the datagrams, at random."""
        self._share = share

    def spoil(self, share: float) -> None:
        """From now on, overwrite the header of so large a share of the datagrams."""
        self._spoilt = share

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                continue
            samples = (len(data) - HEADER_BYTES) // SAMPLE_BYTES
            if self._random.random() < self._share:
                self.dropped += samples
                continue
            self.passed += samples
            if self._random.random() < self._spoilt:
                data = self._random.randbytes(HEADER_BYTES) + data[HEADER_BYTES:]
            self._socket.sendto(data, self._to)

    def close(self) -> None:
        """Pass nothing on any more."""
        self._stopped.set()
        self._thread.join(10)
        self._socket.close()


class StreamRelay:
    """Passes the bytes of connections on.

    Args:
        port: to listen at.
        to: port of the server.
    """

    def __init__(self, port: int, to: int) -> None:
        self._random = random.Random(6)
        self._to = to
        self._share = 0.0
        self._selector = selectors.DefaultSelector()
        self._listening = socket.create_server(("127.0.0.1", port))
        self._selector.register(self._listening, selectors.EVENT_READ, None)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def spoil(self, share: float) -> None:
        """From now on, put garbage before so large a share of the server's pieces, and over a part of them."""
        self._share = share

    def _run(self) -> None:
        while not self._stopped.is_set():
            for key, _ in self._selector.select(0.1):
                if key.data is None:
                    self._accept()
                elif key.fd in self._selector.get_map():  # not closed with its other end a moment ago
                    self._pass_on(key.fileobj, *key.data)

    def _accept(self) -> None:
        client, _ = self._listening.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._to), 2.0)
        except OSError:
            client.close()
            return
        self._selector.register(client, selectors.EVENT_READ, (server, False))
        self._selector.register(server, selectors.EVENT_READ, (client, True))

    def _pass_on(self, source: Any, to: socket.socket, from_server: bool) -> None:
        try:
            data = source.recv(65_536)
            if from_server and data and self._random.random() < self._share:
                piece = bytearray(data)
                first = self._random.randrange(len(piece))
                piece[first : first + 100] = self._random.randbytes(len(piece[first : first + 100]))
                data = self._random.randbytes(500) + bytes(piece)
            to.sendall(data)
        except OSError:
            data = b""
        if not data:
            for end in (source, to):
                self._selector.unregister(end)
                end.close()

    def close(self) -> None:
        """Close every connection."""
        self._stopped.set()
        self._thread.join(10)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
