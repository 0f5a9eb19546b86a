"""Events to NATS JetStream: each under a subject of its own, and once, as far back as the stream remembers."""

import json
import os
import re
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from glatd.clients.bridges.base import Away, BridgeSettings, PatientBridge
from glatd.clients.bridges.identity import identity
from glatd.clients.bridges.nats_link import Login, NatsLink, Stream
from glatd.clients.bridges.secret import secret_lines
from glatd.errors import ConfigError
from glatd.messages import Event, to_map
from glatd.redact import redact

SCHEMES = ("nats", "tls")
_NAME = re.compile(r"[A-Za-z0-9_-]+")  # of a stream
_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_NO_TOKEN = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsSettings(BridgeSettings):
    """What the bridge to NATS is told beside what every bridge is."""

    server: tuple[str, ...] = ("nats://127.0.0.1:4222",)  # those of one cluster; tls:// encrypts
    jetstream: str = "GLATD"  # name of the stream there, made if there is none
    subject: str = "glatd"  # with which all subjects begin
    window: float = 3600.0  # s, in which a stream that is made here drops repeats
    days: float = 30.0  # that a stream that is made here keeps events; 0 for ever
    ca: str = ""  # file of the authorities that may vouch for the server; "": those of the system
    certificate: str = ""  # of this client, in PEM, where the server wants one
    key: str = ""  # that belongs to it
    password_file: str = ""  # its first line: the password of the user in the URL, or a token
    credentials: str = ""  # a .creds file of NATS


class NatsBridge(PatientBridge):
    """Publishes one event after the other; the next when the stream has the last on its disk.

    Raises:
        ConfigError: settings that cannot be.
    """

    def __init__(self, settings: NatsSettings, name: str = "nats") -> None:
        if not _NAME.fullmatch(settings.jetstream):
            raise ConfigError(f"jetstream = {settings.jetstream!r} must be letters, digits, - and _")
        if not _SUBJECT.fullmatch(settings.subject):
            raise ConfigError(f"subject = {settings.subject!r} must be such as glatd or site.glatd")
        if not 0.1 <= settings.window <= 1e8 or not 0 <= settings.days <= 1e5:
            raise ConfigError("window must be 0.1 to 1e8 seconds, and days 0 to 1e5")
        servers, user, password = _servers(settings.server)
        super().__init__(settings, name, ", ".join(servers))
        self._subject = settings.subject
        stream = Stream(
            name=settings.jetstream, subjects=f"{settings.subject}.>", window=settings.window, days=settings.days
        )
        self.link = NatsLink(servers, stream, _login(settings, user, password), _trust(settings, servers))

    def open(self) -> None:
        """Connect, so that what cannot work is told at once."""
        try:
            self.link.connect()
        except Away as error:
            self._patience.failed(str(error))

    def deliver(self, event: Event) -> None:
        """Publish it, and wait until it stands in the stream."""
        payload = json.dumps(to_map(event), ensure_ascii=False, separators=(",", ":")).encode()
        self.link.publish(subject_of(event, self._subject), payload, identity(event))

    def close(self) -> None:
        """Disconnect."""
        self.link.close()


def subject_of(event: Event, first: str = "glatd") -> str:
    """`glatd.NODE.STREAM.event.MID.PHASE`, each a token: what NATS would not take as one is an underscore.

    A mid is written as `m-0bt9lr`, for /m/0bt9lr.
    """
    mid = event.mid.strip("/").replace("/", "-")
    tokens = (event.node, event.stream, "event", mid, event.phase)
    return ".".join((first, *(_NO_TOKEN.sub("_", token) or "_" for token in tokens)))


def _servers(urls: tuple[str, ...]) -> tuple[tuple[str, ...], str | None, str | None]:
    """The servers without user and password, and these."""
    servers, logins = [], set()
    for url in urls:
        try:
            parts = urlsplit(url if "://" in url else f"nats://{url}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError(f"server = {redact(url)!r} is no URL: {error}") from None
        if parts.scheme not in SCHEMES or not host or parts.path.strip("/"):
            raise ConfigError(f"server = {redact(url)!r} must be nats://HOST:4222, or tls://HOST:4222")
        shown = f"[{host}]" if ":" in host else host
        servers.append(f"{parts.scheme}://{shown}:{port or 4222}")
        if parts.username or parts.password:
            logins.add((unquote(parts.username or ""), unquote(parts.password) if parts.password else None))
    if not servers:
        raise ConfigError("there is no server; give --server nats://HOST:4222")
    if len(logins) > 1:
        raise ConfigError("the servers are one cluster, and have one user; give the same in each URL")
    user, password = logins.pop() if logins else (None, None)
    return tuple(servers), user, password


def _login(settings: NatsSettings, user: str | None, password: str | None) -> Login:
    if settings.password_file:
        password = secret_lines(settings.password_file, "the password for NATS")[0]
    if settings.credentials:
        secret_lines(settings.credentials, "credentials of NATS")
        return Login(credentials=os.path.expanduser(settings.credentials))
    if user and password:
        return Login(user=user, password=password)
    return Login(token=user or password)


def _trust(settings: NatsSettings, servers: tuple[str, ...]) -> ssl.SSLContext | None:
    if not (settings.ca or settings.certificate or any(server.startswith("tls://") for server in servers)):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"ca = {settings.ca!r} cannot be used: {error}; name a file of certificates in PEM"
        ) from error
    if settings.certificate:
        try:
            context.load_cert_chain(settings.certificate, settings.key or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"certificate = {settings.certificate!r} cannot be used: {error}") from error
    return context
