"""The routes of the dashboard, and how refusals look: `{"error": "one line"}`."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from glatd.daemon.web.api import Api, answer
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.guard import Guard
from glatd.daemon.web.live import Live
from glatd.daemon.web.pages import Pages
from glatd.errors import GlatdError


def refusal(status: int, text: str) -> Response:
    """One line that says why not."""
    return answer({"error": text}, status)


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
        Route("/api/timeline", api.timeline),
        Route("/api/events", api.events),
        Route("/api/events/{id}", api.event),
        Route("/api/events/{id}/clip", api.clip),
        Route("/api/rehearse", api.rehearse, methods=["POST"]),
        Route("/api/verdicts", api.judge, methods=["POST"]),
        Route("/api/verdicts.json", api.verdicts),
        Route("/api/verdicts.tsv", api.table),
        Route("/api/listen", api.listen),
        WebSocketRoute("/live", live.serve),
    ]
    handlers = {Refused: on_refused, HTTPException: on_unknown, GlatdError: on_house_error}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), host, origins)
