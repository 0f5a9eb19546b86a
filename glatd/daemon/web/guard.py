"""What every request has to pass, and what every answer carries, before any page is asked.

Host: a page elsewhere whose name is made to point at this machine (DNS rebinding) names itself in it. Addresses in
numbers cannot be made to point elsewhere, so they are let in.
Origin: a page elsewhere that sends a POST, or opens a WebSocket, as its reader. Programs send none.
"""

import ipaddress
import json
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = tuple(
    (name.encode(), value.encode())
    for name, value in (
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    )
)
LARGEST_HEAD = 16 << 10  # bytes, of a request's first line and headers
METHODS = ("GET", "HEAD", "POST")
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::\d{1,5})?")


class Guard:
    """In front of an application.

    Args:
        host: of the address that is served.
        origins: further ones, as of a proxy.
    """

    def __init__(self, app: ASGIApp, host: str, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.lower() for origin in origins)
        others = (urlsplit(origin).hostname or "" for origin in self._origins)
        self._names = frozenset({"localhost", host.lower(), *others})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return
        refusal = self.refusal(scope)
        if refusal is not None:
            await _refuse(scope, send, *refusal)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers)

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason; None for what may pass."""
        hosts, origins = (
            [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]
            for wanted in (b"host", b"origin")
        )
        head = sum(len(name) + len(value) for name, value in scope["headers"])
        if head + len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LARGEST_HEAD:
            return 431, f"more than {LARGEST_HEAD} bytes before the body; send less"
        if len(hosts) != 1 or not self.knows(hosts[0]):
            named = hosts[0] if len(hosts) == 1 else ""
            return 403, f"the host {named[:100]!r} is not served here; add its address to web.origins"
        if scope["http_version"] not in ("1.0", "1.1"):
            return 505, f"HTTP {scope['http_version']} is not spoken here; use 1.1"
        writes = scope["type"] == "websocket" or scope["method"] == "POST"
        if scope["type"] == "http" and scope["method"] not in METHODS:
            return 405, f"{scope['method'][:20]} is not understood here; there are {', '.join(METHODS)}"
        if writes and any(not self.is_ours(origin, hosts[0]) for origin in origins):
            other = f"{origins[0][:100]!r} is the origin of another page"
            return 403, f"{other}; open the dashboard itself, or add it to web.origins"
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server."""
        match = HOST.fullmatch(host)
        if match is None:
            return False
        name = (match[1] or match[2]).lower()
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def is_ours(self, origin: str, host: str) -> bool:
        """Whether a page of this origin came from here."""
        return origin.lower() in self._origins or origin.lower() == f"http://{host.lower()}"


async def _refuse(scope: Scope, send: Send, status: int, text: str) -> None:
    body = json.dumps({"error": text}).encode()
    kind = "http" if scope["type"] == "http" else "websocket.http"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    if status == 405:
        headers.append((b"allow", ", ".join(METHODS).encode()))
    await send({"type": f"{kind}.response.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})
