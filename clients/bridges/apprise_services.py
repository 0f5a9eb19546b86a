"""The services that are notified, each by its URL for Apprise."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glatd.clients.bridges.base import LONGEST_WAIT_S, Stop
from glatd.errors import ConfigError
from glatd.redact import redact

if TYPE_CHECKING:
    from apprise import Apprise

FIRST_WAIT_S = 2.0  # after a failure; doubled with each further one

log = logging.getLogger("glatd.bridge")


class Service:
    """One of them.

    Attributes:
        name: for the log; the URL with its secrets hidden.
        missed: notifications that it did not get since it was given up; None while it is not.
    """

    def __init__(self, notifier: "Apprise", name: str) -> None:
        self._notifier, self.name = notifier, name
        self.missed: int | None = None

    def notify(self, title: str, text: str, file: Path | None) -> bool:
        """Try once; whether it has it. Why not stands in Apprise's own log."""
        attach = str(file) if file is not None else None
        try:
            taken = bool(self._notifier.notify(body=text, title=title, body_format="text", attach=attach))
        except Exception as error:  # of 140 services, each with a library of its own
            log.warning("%s: %s: %s", self.name, type(error).__name__, error)
            taken = False
        if taken and self.missed is not None:
            log.info("%s takes notifications again; %d did not reach it", self.name, self.missed)
            self.missed = None
        return taken


class Services:
    """All of them.

    Args:
        urls: as Apprise knows them.
        give_up: seconds for which one notification is tried; from then on, each is tried once until one gets through.
        stop: ends the waits.

    Raises:
        ConfigError: none, one that Apprise does not know, or it is not installed. The text shows no secret.
    """

    def __init__(self, urls: Sequence[str], give_up: float, stop: Stop) -> None:
        try:
            import apprise
        except ImportError as error:
            raise ConfigError("notifications need Apprise; pip install 'glatd[apprise]'") from error
        if not urls:
            raise ConfigError("there is nobody to notify; give --url, such as ntfy://TOPIC or tgram://TOKEN/CHAT")
        self._give_up, self._stop = give_up, stop
        self.services: list[Service] = []
        for number, url in enumerate(urls, 1):
            notifier = apprise.Apprise()
            if not notifier.add(url) or len(notifier) != 1:
                scheme = url.partition("://")[0] if "://" in url else "no scheme"
                raise ConfigError(
                    f"URL {number} ({scheme[:20]}://...) is none that Apprise knows; see its documentation"
                )
            plugin: Any = notifier[0]
            hidden = str(plugin.url(privacy=True)).partition("?")[0]
            self.services.append(Service(notifier, redact(hidden)))

    def tell(self, title: str, text: str, file: Path | None = None, once: bool = False) -> bool:
        """Notify all; True when each has it or was given up, False when it is time to stop before that.

        Args:
            file: sent along to those services that take files.
            once: try each once, and do not give up on any.
        """
        left, wait, until = self.services, FIRST_WAIT_S, time.monotonic() + self._give_up
        while True:
            left = [service for service in left if not service.notify(title, text, file)]
            for service in left:
                if service.missed is not None:
                    service.missed += 1
            left = [service for service in left if service.missed is None]
            if not left or once:
                return not left
            if time.monotonic() >= until:
                for service in left:
                    log.error(
                        "%s has not taken %r for %g s, and does not get it; what comes is tried once each",
                        service.name, title, self._give_up,
                    )  # fmt: skip
                    service.missed = 1
                return True
            if self._stop.wait(min(wait, max(0.0, until - time.monotonic()))):
                return False
            wait = min(LONGEST_WAIT_S, 2 * wait)
