"""Events to a web server: each as a POST of JSON, signed, and tried again until the server has it."""

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glatd.clients.bridges.base import Bridge, BridgeSettings, Patience
from glatd.clients.bridges.identity import identity_of_all
from glatd.clients.bridges.secret import secret_lines
from glatd.clients.bridges.webhook_post import Answer, Poster, read_header
from glatd.clients.bridges.webhook_signature import read_secrets, signed
from glatd.errors import ConfigError
from glatd.messages import Event, to_map

MOST_BATCH = 500  # events; half a megabyte of JSON
LINGER_S = 0.9  # that an event waits for a batch to fill
MOST_REFUSED_BYTES = 64 << 20  # of the file of what was refused

log = logging.getLogger("glatd.bridge")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings(BridgeSettings):
    """What the webhook is told beside what every bridge is."""

    url: str = ""  # where to POST
    secret_file: str = ""  # "whsec_..." a line, mode 0600; "": nothing is signed
    header_file: str = ""  # "Name: value" a line, mode 0600: for a receiver that asks for a token
    ca: str = ""  # file of the authorities that may vouch for the receiver; "": those of the system
    timeout: float = 15.0  # s
    batch: int = 1  # events in one POST at most
    refused: Literal["skip", "block"] = "skip"  # what becomes of an event that the receiver answers with 4xx
    refused_file: str = ""  # where such events are kept; "": beside the cursor


class Webhook(Bridge):
    """POSTs events, one after the other; the next when the receiver has answered the last with 2xx.

    Raises:
        ConfigError: settings that cannot be.
    """

    def __init__(self, settings: WebhookSettings, name: str = "webhook") -> None:
        if not settings.url:
            raise ConfigError("a webhook needs a URL; give --url https://HOST/PATH")
        if not 1 <= settings.batch <= MOST_BATCH:
            raise ConfigError(f"batch = {settings.batch} must be 1 to {MOST_BATCH}")
        if not 0.1 <= settings.timeout <= 300:
            raise ConfigError(f"timeout = {settings.timeout:g} must be 0.1 to 300 seconds")
        super().__init__(settings, name)
        self._batch = settings.batch
        self._secrets = read_secrets(settings.secret_file) if settings.secret_file else ()
        self._post = Poster(settings.url, settings.ca, settings.timeout, _headers(settings.header_file))
        self._patience = Patience(self._post.far)
        self._refused: RefusedFile | None = None
        if settings.refused == "skip":
            path = settings.refused_file or self.cursor.with_suffix(".refused.jsonl")
            self._refused = RefusedFile(Path(os.path.expanduser(path)))
        self._waiting: list[tuple[Event, Callable[[], None]]] = []
        self._since = 0.0  # monotonic s, from which the first of them has waited

    def open(self) -> None:
        """Say what whoever set it up may have overlooked."""
        far = self._post.far
        if far.startswith("http://"):
            log.warning("events go to %s unencrypted; give https:// unless you trust all between", far)
        if not self._secrets:
            log.warning("%s cannot tell that events come from here, since nothing is signed; see --secret-file", far)

    def send(self, event: Event, done: Callable[[], None]) -> None:
        """Send it, with those that wait once there are enough."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((event, done))
        if len(self._waiting) >= self._batch:
            self._send_waiting()

    def turn(self) -> None:
        """Send what has waited, though it is not enough for a batch."""
        if self._waiting and time.monotonic() - self._since >= LINGER_S:
            self._send_waiting()

    def close(self) -> None:
        """Close the connection; what waits comes again at the next start."""
        self._post.close()

    def _send_waiting(self) -> None:
        """Until the receiver has it, refuses it for good, or it is time to stop."""
        events = [event for event, _ in self._waiting]
        name, body = identity_of_all(events), body_of(events, self._batch > 1)
        while not self.stop.is_set():
            answer = self._post.post(body, signed(self._secrets, name, int(time.time()), body))
            if answer.verdict == "gone":
                raise ConfigError(
                    f"{self._post.far} is gone for good (410); give another URL. Nothing after event "
                    f"{events[0].offset} was handed over, and it waits in the journal"
                )
            if answer.verdict == "refused" and self._refused is not None and self._refused.take(events, name, answer):
                log.error("%s refuses events, which go to %s: %s", self._post.far, self._refused.path, answer.said)
            elif answer.verdict != "taken":
                self.stop.wait(max(answer.rest, self._patience.failed(answer.said)))
                continue
            self._patience.worked()
            for _, done in self._waiting:
                done()
            self._waiting.clear()
            return


class RefusedFile:
    """Events that the receiver will not have, as lines of JSON; for their owner to look at, and to send again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self, events: Sequence[Event], name: str, answer: Answer) -> bool:
        """Keep events, on the disk itself; False if the file is full, and they must wait.

        Raises:
            ConfigError: it cannot be written.
        """
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        about = {"at": at, "status": answer.status, "said": answer.said, "webhook-id": name}
        lines = "".join(json.dumps({**about, "event": to_map(event)}, ensure_ascii=False) + "\n" for event in events)
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with open(file, "ab") as out:
                if out.tell() > MOST_REFUSED_BYTES:
                    return False
                out.write(lines.encode())
                out.flush()
                os.fsync(file)
        except OSError as error:
            raise ConfigError(
                f"cannot keep what was refused in {self.path}: {error.strerror}; name another file (--refused-file)"
            ) from error
        return True


def body_of(events: Sequence[Event], batch: bool) -> bytes:
    """What is sent: one event, or a list where batches were asked for."""
    first = events[0]
    payload = {
        "type": "events" if batch else f"event.{first.phase}",
        "timestamp": events[-1].time,
        "data": [to_map(event) for event in events] if batch else to_map(first),
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _headers(path: str) -> dict[str, str]:
    if not path:
        return {}
    lines = secret_lines(path, "headers")
    return dict(read_header(line, f"{path}: line {number}") for number, line in enumerate(lines, 1))
