"""The files of the page: only those that were there when the server began, by their exact names."""

import hashlib
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from glatd.daemon.web.asking import Refused

FOLDER = Path(__file__).parent / "page"
KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
TEXT = ("text/", "application/json", "image/svg")


class Pages:
    """What a name leads to is looked up in a table, so that no path leads out of the folder."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
        }

    async def index(self, request: Request) -> Response:
        """`/`."""
        return self._answer(request, "index.html")

    async def icon(self, request: Request) -> Response:
        """`/favicon.ico`, which browsers ask for by themselves."""
        return self._answer(request, "favicon.svg" if "favicon.svg" in self._files else "favicon.ico")

    async def static(self, request: Request) -> Response:
        """`/static/...`."""
        return self._answer(request, request.path_params["path"])

    def _answer(self, request: Request, name: str) -> Response:
        path = self._files.get(name)
        if path is None:
            raise Refused(404, f"there is no page {name[:100]!r} here; begin at /")
        data = path.read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}  # asked for again, answered without content
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        kind = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return Response(data, media_type=kind, headers=headers)
