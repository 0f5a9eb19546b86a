"""A web server that takes webhooks, and answers as it is told."""

import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.certificates import Certificates
from tests.servers.process import free_port

PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class Hook:
    """One POST."""

    path: str
    headers: dict[str, str]  # by name in small letters
    body: bytes
    status: int  # that it was answered with
    at: float  # monotonic s
    client: tuple[str, int]  # whose connection it came by

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Say:
    """How to answer one POST."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 0.0  # before the answer
    hang_up: bool = False  # with no answer at all


class Receiver:
    """Takes POSTs on a port that stays the same; runs between `start` and `stop`.

    Attributes:
        took: what came, in order.
        say: answers that are yet to be given; `otherwise` when there are none.
    """

    def __init__(self, certificates: Certificates | None = None) -> None:
        self.port = free_port()
        self.took: list[Hook] = []
        self.say: deque[Say] = deque()
        self.otherwise = Say()
        self.came = threading.Condition()
        self._certificates = certificates
        self._server: ThreadingHTTPServer | None = None
        self._connections: list[Any] = []

    @property
    def url(self) -> str:
        """Where to POST."""
        return f"{'https' if self._certificates else 'http'}://localhost:{self.port}/heard?by=glatd"

    def start(self) -> None:
        """Listen."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that hung up, or did not like the certificate

            def process_request(self, request: Any, client_address: Any) -> None:
                receiver._connections.append(request)
                super().process_request(request, client_address)

        server = Server(("127.0.0.1", self.port), Handler)
        if self._certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificates.certificate, self._certificates.key)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.1,)).start()

    def stop(self) -> None:
        """Be gone, as a server that is killed: all connections are cut."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Take one POST."""
        body = request.rfile.read(int(request.headers["content-length"]))
        with self.came:
            say = self.say.popleft() if self.say else self.otherwise
        if say.seconds:
            time.sleep(say.seconds)
        headers = {name.lower(): value for name, value in request.headers.items()}
        hook = Hook(request.path, headers, body, say.status, time.monotonic(), request.client_address)
        with self.came:
            self.took.append(hook)
            self.came.notify_all()
        if say.hang_up:
            request.close_connection = True
            return
        request.send_response(say.status)
        for name, value in say.headers:
            request.send_header(name, value)
        if say.status not in (204, 304):
            request.send_header("Content-Length", str(len(say.body)))
        request.end_headers()
        request.wfile.write(say.body)

    def wait_for(self, ready: Callable[[list[Hook]], bool]) -> list[Hook]:
        """Wait until what came is `ready`; all of it."""
        with self.came:
            good = self.came.wait_for(lambda: ready(self.took), PATIENCE_S)
            assert good, [(hook.status, hook.body[:100]) for hook in self.took[-5:]]
            return list(self.took)


@contextmanager
def receiving(certificates: Certificates | None = None) -> Iterator[Receiver]:
    """A receiver that listens while the block lasts."""
    receiver = Receiver(certificates)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
