"""The HTTP server of `/metrics`, `/healthz` and `/readyz`: read-only, a thread a request, nothing kept."""

import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from glatd.daemon.metrics.address import read_address
from glatd.daemon.metrics.collect import PATIENCE_S
from glatd.errors import ConfigError

REQUEST_S = 5.0  # that a request may take to come
TEXT = "text/plain; charset=utf-8"
log = logging.getLogger("glatd")


class MetricsServer:
    """Serves until `close`.

    Args:
        endpoint: `http://HOST:PORT`; port 0 takes a free one.
        registry: what `/metrics` tells.
        answers: waits until the loop answers, TimeoutError if it does not; what is not as it should be, in words.
        ready: whether the engine is warm and the loop runs.
        insecure: whether other machines may be let in.

    Raises:
        ConfigError: the address is taken, or none.
    """

    def __init__(
        self,
        endpoint: str,
        registry: CollectorRegistry,
        answers: Callable[[float], str],
        ready: Callable[[], bool],
        insecure: bool = False,
    ) -> None:
        address = read_address(endpoint, insecure)
        pages = {"/metrics": None, "/healthz": lambda: True, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_S
            server_version, sys_version = "glatd", ""

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                if path not in pages:
                    self.say(404, TEXT, b"there are /metrics, /healthz and /readyz\n")
                    return
                try:
                    page = pages[path]
                    if page is None:
                        encode, kind = choose_encoder(self.headers.get("Accept", ""))
                        self.say(200, kind, encode(registry))
                        return
                    trouble = answers(PATIENCE_S)
                    good = page()
                    # Whoever starts it again for that would lose what it still does.
                    told = f"ok, but {trouble}\n" if trouble else "ok\n"
                    self.say(200 if good else 503, TEXT, told.encode() if good else b"starting\n")
                except TimeoutError:
                    self.say(503, TEXT, b"the loop does not answer\n")

            def say(self, code: int, kind: str, body: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Content-Type-Options", "nosniff")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *values: Any) -> None:
                log.debug("metrics: " + format, *values)

        try:
            self._server = _Server(address, Handler)
        except OSError as error:
            raise ConfigError(
                f"cannot serve metrics on {endpoint}: {error.strerror}; stop the other program or choose another port"
            ) from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("metrics: %s went away", client_address)
