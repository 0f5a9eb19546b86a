"""One POST, and what its answer means."""

import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from glatd import __version__
from glatd.errors import ConfigError
from glatd.redact import redact

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

MOST_READ = 1 << 16  # bytes of an answer; with more, the connection is not used again
MOST_TOLD = 200  # characters of an answer in the log
LONGEST_REST_S = 3600.0  # that Retry-After can ask for
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*([\x20-\x7e]*)")

Verdict = Literal["taken", "later", "refused", "gone"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST."""

    status: int  # of HTTP; 0 where there was no answer
    said: str  # one line for the log
    rest: float = 0.0  # s that it asks to be left alone

    @property
    def verdict(self) -> Verdict:
        """Taken, to be tried again later, refused for good, or the address is gone.

        A redirect is not followed: what is signed for one receiver is not shown to another. It is tried again, since
        all events meet with it alike, and the log says where it points.
        """
        if 200 <= self.status < 300:
            return "taken"
        if self.status == 410:
            return "gone"
        if 400 <= self.status < 500 and self.status not in (408, 425, 429):
            return "refused"
        return "later"


class Poster:
    """Sends to one URL over one connection, which is kept. Used in one thread.

    Args:
        url: http or https, with user and password if need be.
        ca: file of the certificate authorities to trust, "" for those of the system.
        timeout: seconds for connecting, and between two pieces of an answer.
        headers: further ones.

    Attributes:
        far: what the receiver is called in the log: a webhook's path is often its password.

    Raises:
        ConfigError: no URL, a file of authorities that is none, or urllib3 is not installed.
    """

    def __init__(self, url: str, ca: str, timeout: float, headers: dict[str, str]) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise ConfigError("webhooks need urllib3; pip install 'glatd[webhook]'") from error
        self._urllib3, self._timeout = urllib3, timeout
        scheme, host, port, path, login = _parts(url)
        shown = f"[{host}]" if ":" in host else host
        address = f"{scheme}://{shown}" + (f":{port}" if port else "")
        self.far, self._target = address, address + path
        self._headers = {"content-type": "application/json", "user-agent": f"glatd/{__version__}", **headers}
        if login:
            self._headers |= urllib3.make_headers(basic_auth=login)
        context = _trust(ca)
        limits = urllib3.Timeout(connect=timeout, read=timeout)
        proxy = "" if proxy_bypass(host) else getproxies().get(scheme, "")
        self._pool: urllib3.PoolManager
        if proxy:
            self._pool = urllib3.ProxyManager(
                proxy, num_pools=1, maxsize=1, retries=False, timeout=limits, ssl_context=context
            )
        else:
            self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False, timeout=limits, ssl_context=context)

    def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send once; what came of it. Never raises for what the receiver or the network does."""
        try:
            response = self._pool.request(
                "POST", self._target, body=body, headers=self._headers | headers,
                redirect=False, retries=False, preload_content=False, decode_content=False,
            )  # fmt: skip
        except (self._urllib3.exceptions.HTTPError, OSError) as error:
            return Answer(0, self._reason(error))
        status, text = response.status, self._read(response)
        rest = 0.0
        if after := response.headers.get("retry-after"):
            try:
                rest = min(LONGEST_REST_S, self._urllib3.Retry().parse_retry_after(after))
            except (self._urllib3.exceptions.HTTPError, ValueError, OverflowError):
                rest = 0.0
        said = f"{status} {response.reason or ''}".strip()
        if 300 <= status < 400 and (moved := response.headers.get("location")):
            said += f", it has moved to {redact(moved)[:MOST_TOLD]}; give that as the URL if it is right"
        elif status >= 300 and text:
            said += f": {redact(text)}"
        return Answer(status, said, rest)

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()

    def _read(self, response: "BaseHTTPResponse") -> str:
        """The beginning of an answer as one line. Whatever else becomes of the connection, the status is known."""
        data, until = b"", time.monotonic() + self._timeout
        try:
            while piece := response.read1(MOST_READ):
                data += piece
                if len(data) >= MOST_READ or time.monotonic() > until:
                    break
            else:
                response.release_conn()
                return _line(data)
        except (self._urllib3.exceptions.HTTPError, OSError):
            pass
        response.close()
        return _line(data)

    def _reason(self, error: Exception) -> str:
        kinds = self._urllib3.exceptions
        if isinstance(error, kinds.TimeoutError) and not isinstance(error, kinds.NewConnectionError):
            return f"no answer within {self._timeout:g} s"
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return f"its certificate is not trusted ({cause.verify_message}); --ca FILE names who vouches for it"
            if isinstance(cause, socket.gaierror):
                return "nobody knows its name"
            if isinstance(cause, OSError) and cause.strerror:
                return cause.strerror.lower()
        return redact(_line(str(error).encode())) or type(error).__name__


def read_header(line: str, where: str) -> tuple[str, str]:
    """The name and value of a header.

    Raises:
        ConfigError: it is none. The text does not quote it: such headers are passwords.
    """
    if not (match := _HEADER.fullmatch(line)):
        raise ConfigError(f'{where} is no header; write "Name: value"')
    return match[1].lower(), match[2]


def _parts(url: str) -> tuple[str, str, int | None, str, str]:
    """Scheme, host, port, path with query, and user:password of a URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"url = {redact(url)!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"url = {redact(url)!r} must be https://HOST/PATH, or http:// on a network that you trust")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.hostname, port, path, login


def _trust(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if type(error) in (FileNotFoundError, PermissionError) else "no certificate in PEM"
        raise ConfigError(f"ca = {ca!r} cannot be used: {reason}; name a file of certificates in PEM") from error


def _causes(error: BaseException) -> list[BaseException]:
    """An error and all that led to it, the last first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    return found


def _line(data: bytes) -> str:
    return " ".join(data.decode("utf-8", "replace").split())[:MOST_TOLD]
