"""A web server that gives bytes, once to whoever comes, at once or a piece at a time."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.certificates import Certificates


class Web:
    """HTTP/1.0 of one answer; a thread of the test's own, so that it can be as bad as wanted.

    Args:
        body: what is sent.
        kind: its MIME type.
        keep: whether the connection stays open after it, with nothing coming.
        answer: whether there is an answer at all; if not, connections are accepted and closed.
        certificates: with which it speaks TLS.
    """

    def __init__(self, body: bytes, kind: str, keep: bool, answer: bool, certificates: Certificates | None) -> None:
        length = "" if keep else f"Content-Length: {len(body)}\r\n"
        self._head = f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\n{length}Connection: close\r\n\r\n".encode()
        self._body, self._keep, self._answer = body, keep, answer
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self._tls = None
        if certificates is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificates.certificate, certificates.key)
        self.uri = f"http{'s' if certificates else ''}://localhost:{self.port}/sound"
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            if not self._answer:
                connection.close()
                continue
            thread = threading.Thread(target=self._serve, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:  # it does not like the certificate
                connection.close()
                return
        with connection:
            connection.settimeout(0.2)
            rest = memoryview(self._head + self._body)
            try:
                connection.recv(4096)
                while rest and not self._closed.is_set():
                    try:
                        rest = rest[connection.send(rest[:65_536]) :]
                    except TimeoutError:
                        continue
            except OSError:  # whoever listened has gone
                return
            if self._keep:
                self._closed.wait()

    def close(self) -> None:
        """Close every connection."""
        self._closed.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)


@contextmanager
def serving(
    body: bytes = b"",
    kind: str = "application/octet-stream",
    keep: bool = False,
    answer: bool = True,
    certificates: Certificates | None = None,
) -> Iterator[Web]:
    """A server while the block lasts."""
    web = Web(body, kind, keep, answer, certificates)
    try:
        yield web
    finally:
        web.close()
