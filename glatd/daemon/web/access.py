"""Who may write and hear: whoever has the token, as a header of a program or a cookie of a browser.

The cookie is made of the token and does not hold it. Tries to guess the token are counted.
"""

import hashlib
import hmac
import logging
import secrets
import time
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.responses import Response

from glatd.clients.keys import OTHERS
from glatd.daemon.security.private import write_private
from glatd.daemon.web.asking import Refused
from glatd.errors import ConfigError

LEAST = 16  # characters of a token
MOST = 1000
TRIES, PER_SECONDS = 10, 60.0  # wrong tokens, of all visitors together
COOKIE_SECONDS = 30 * 86_400

log = logging.getLogger("glatd.web")


def read_token(path: Path) -> str:
    """The token in a file; the file is made with a new one if it is not there.

    Raises:
        ConfigError: it cannot be made or read, others may read it, or it holds no token.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_private(path, secrets.token_urlsafe(24) + "\n")
            log.info("made %s: who has the token in it may write to the dashboard, and hear clips", path)
        if (mode := path.stat().st_mode & 0o777) & OTHERS:
            raise ConfigError(f"the token {path} is open to other users (mode {mode:04o}); chmod 600 {path}")
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        raise ConfigError(f"cannot read web.token {path}: {why}; name a file of your own") from error
    if not LEAST <= len(token) <= MOST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{path} holds no token of {LEAST} to {MOST} characters without spaces; remove it for a new one"
        )
    return token


class Doorman:
    """Knows the token, and those who have shown it.

    Args:
        token: "" when there is none: then nobody is let in.
        port: of the server; cookies of one host are shared by all ports.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token = token
        self._cookie = hmac.digest(token.encode(), b"glatd dashboard", hashlib.sha256).hex() if token else ""
        self._name = f"glatd-{port}"
        self._failed: list[float] = []  # monotonic s

    def knows(self, visitor: HTTPConnection) -> bool:
        """Whether a visitor has shown the token.

        Raises:
            Refused: too many wrong ones came lately.
        """
        if not self._token:
            return False
        shown = visitor.headers.get("authorization")
        if shown is not None:
            kind, _, token = shown.partition(" ")
            return kind.lower() == "bearer" and self._is_right(token.strip())
        cookie = visitor.cookies.get(self._name, "")
        return hmac.compare_digest(cookie.encode(), self._cookie.encode())

    def check(self, visitor: HTTPConnection) -> None:
        """Let only those pass that may write and hear.

        Raises:
            Refused: with the way in.
        """
        if not self._token:
            raise Refused(403, "nobody may do that here; name a file under web.token in glatd.toml")
        if not self.knows(visitor):
            raise Refused(401, "only with the token; log in, or send Authorization: Bearer TOKEN")

    def log_in(self, token: str, answer: Response, secure: bool) -> None:
        """Give a visitor who shows the token its cookie.

        Raises:
            Refused: a wrong token, or too many of them.
        """
        if not self._token:
            raise Refused(403, "there is no token to log in with; name a file under web.token in glatd.toml")
        if not self._is_right(token.strip()):
            raise Refused(401, "that is not the token; it stands in the file that web.token names")
        answer.set_cookie(
            self._name, self._cookie, max_age=COOKIE_SECONDS, httponly=True, samesite="strict", secure=secure
        )

    def log_out(self, answer: Response) -> None:
        """Take the cookie back."""
        answer.delete_cookie(self._name, httponly=True, samesite="strict")

    def _is_right(self, token: str) -> bool:
        now = time.monotonic()
        self._failed = [at for at in self._failed if now - at < PER_SECONDS]
        if len(self._failed) >= TRIES:
            raise Refused(429, f"{TRIES} wrong tokens within {PER_SECONDS:g} s; wait a minute")
        right = hmac.compare_digest(token.encode(), self._token.encode())
        if not right:
            self._failed.append(now)
            log.warning("a wrong token was shown to the dashboard")
        return right
