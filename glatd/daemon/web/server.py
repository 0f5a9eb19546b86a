"""The thread that serves: uvicorn on a socket that is bound before, in an asyncio loop of its own."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from glatd.daemon.web.guard import LARGEST_HEAD
from glatd.daemon.web.protocol import Requests, Viewers
from glatd.errors import ConfigError

LARGEST_MESSAGE = 16 << 10  # bytes, of a viewer
PING_S = 20.0  # between two pings of a viewer, and until it has to have answered
CLOSE_S = 1.0

log = logging.getLogger("glatd.web")


def bind(address: tuple[str, int]) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: the address cannot be had.
    """
    host, port = address
    try:
        return socket.create_server(
            address, family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=64, reuse_port=False
        )
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            f"cannot serve the dashboard on http://{host}:{port}: {why}; stop the other program, or choose another "
            "port under web.address"
        ) from error


class DashboardServer:
    """Serves until `close`.

    Args:
        bound: listens already.
        app: what is served.
        begin: given the asyncio loop, in its thread, before the first request.
    """

    def __init__(
        self,
        bound: socket.socket,
        app: ASGIApp,
        begin: Callable[[asyncio.AbstractEventLoop], None],
    ) -> None:
        self.port: int = bound.getsockname()[1]
        self._bound, self._begin = bound, begin
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http=Requests,
                ws=Viewers,
                lifespan="off",
                log_config=None,  # through the log of the house, which hides what is secret
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                h11_max_incomplete_event_size=LARGEST_HEAD,
                ws_max_size=LARGEST_MESSAGE,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PING_S,
                ws_per_message_deflate=False,  # costs more than the bytes, and a viewer is near
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more requests, and say goodbye to those who look."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cut short now is no error
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.warning("the dashboard did not close within %g s; it is left behind", CLOSE_S)

    def _run(self) -> None:
        # Not in the main thread, so uvicorn leaves signals alone.
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._begin(asyncio.get_running_loop())
        await self._server.serve(sockets=[self._bound])
