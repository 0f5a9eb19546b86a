"""The routes of the dashboard, and how refusals look: `{"error": "one line"}`."""

import json
import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from glatd.daemon.web.access import Doorman
from glatd.daemon.web.asking import Refused, query, read_json, text_of
from glatd.daemon.web.guard import Guard
from glatd.daemon.web.live import Live
from glatd.daemon.web.pages import Pages
from glatd.daemon.web.state import State
from glatd.errors import GlatdError

log = logging.getLogger("glatd.web")


class Api:
    """What is not a page."""

    def __init__(self, state: State, doorman: Doorman) -> None:
        self._state, self._doorman = state, doorman

    async def state(self, request: Request) -> Response:
        """GET /api/state."""
        query(request)
        return answer(await self._state.told(self._doorman.knows(request)))

    async def login(self, request: Request) -> Response:
        """POST /api/login."""
        fields = await read_json(request, ["token"])
        reply = answer({"may_write": True})
        self._doorman.log_in(text_of(fields, "token", 1000), reply, request.headers.get("origin", "")[:6] == "https:")
        return reply

    async def logout(self, request: Request) -> Response:
        """POST /api/logout."""
        await read_json(request, [])
        reply = answer({"may_write": False})
        self._doorman.log_out(reply)
        return reply


def answer(fields: object) -> Response:
    """JSON that is asked for anew each time."""
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def refusal(status: int, text: str) -> Response:
    """One line that says why not."""
    return JSONResponse({"error": text}, status, {"Cache-Control": "no-store"})


async def on_refused(request: Request, error: Exception) -> Response:
    """What this package refuses."""
    assert isinstance(error, Refused)
    return refusal(error.status, str(error))


async def on_unknown(request: Request, error: Exception) -> Response:
    """What no route leads to."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return refusal(405, f"{request.method} is not understood at {request.url.path[:100]}; see docs/dashboard.md")
    return refusal(error.status_code, f"there is no {request.url.path[:100]!r} here; begin at /")


async def on_house_error(request: Request, error: Exception) -> Response:
    """What the daemon says cannot be."""
    return refusal(400, str(error))


def make_app(api: Api, live: Live, pages: Pages, host: str, origins: tuple[str, ...]) -> ASGIApp:
    """All of it, behind the guard."""
    routes = [
        Route("/", pages.index),
        Route("/favicon.ico", pages.icon),
        Route("/static/{path:path}", pages.static),
        Route("/api/state", api.state),
        Route("/api/login", api.login, methods=["POST"]),
        Route("/api/logout", api.logout, methods=["POST"]),
        WebSocketRoute("/live", live.serve),
    ]
    handlers = {Refused: on_refused, HTTPException: on_unknown, GlatdError: on_house_error}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), host, origins)
