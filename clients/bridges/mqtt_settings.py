"""What the MQTT bridge is told, and where its broker is."""

import re
import socket
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from glatd.clients.bridges.base import BridgeSettings
from glatd.clients.bridges.secret import secret_lines
from glatd.errors import ConfigError
from glatd.labels import node_mid

PORTS = {"mqtt": 1883, "mqtts": 8883}
CLASSES = (
    "Speech",
    "Dog",
    "Baby cry, infant cry",
    "Doorbell",
    "Knock",
    "Glass",
    "Smoke detector, smoke alarm",
    "Siren",
    "Vehicle",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings(BridgeSettings):
    """`glatd bridge mqtt`."""

    broker: str = ""  # mqtt://HOST or mqtts://USER@HOST:8883
    password_file: str = ""  # its first line is the password; a command line is for all to see
    ca: str = ""  # PEM file of who signed the broker's certificate; "": those that this machine trusts
    cert: str = ""  # PEM files of a certificate of this client, for a broker that asks for one
    cert_key: str = ""
    client_id: str = ""  # a broker throws out the older one of two with the same; made of host and cursor when empty
    protocol: Literal["5", "3.1.1"] = "5"  # of MQTT
    prefix: str = "glatd"  # of all topics
    homeassistant: str = "homeassistant"  # prefix of Home Assistant's discovery; "" for none
    classes: tuple[str, ...] = CLASSES  # that have a state of their own, ON while one of it or below it sounds
    level_seconds: float = 5.0  # between two levels of a stream
    control: tuple[str, ...] = ()  # control sockets of the nodes, for switches and thresholds


@dataclass(frozen=True, slots=True)
class Address:
    """Of a broker, and who this client is there."""

    host: str
    port: int
    tls: bool
    user: str
    password: str
    ca: str
    cert: str
    cert_key: str
    client_id: str
    five: bool  # whether it is MQTT 5

    def __repr__(self) -> str:
        return self.shown  # an error or a log may quote it

    @property
    def shown(self) -> str:
        """For a log."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def read_address(settings: MqttSettings, cursor: Path) -> Address:
    """Where the broker is, and the password for it.

    Raises:
        ConfigError: no such address, a password where all can see it, files that cannot be read.
    """
    where = settings.broker
    if not where:
        raise ConfigError("a broker is needed: --broker mqtt://HOST, or mqtts://USER@HOST:8883 over TLS")
    try:
        parts = urlsplit(where)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"broker: {error}; give mqtt://HOST:PORT or mqtts://USER@HOST:PORT") from None
    if parts.password is not None:
        raise ConfigError("the password of the broker does not belong into its address; put it into a --password-file")
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError(f"broker = {where!r} must be mqtt://HOST:PORT or mqtts://USER@HOST:PORT")
    tls = parts.scheme == "mqtts"
    if (settings.ca or settings.cert) and not tls:
        raise ConfigError(f"broker = {where!r} has no use for certificates; write mqtts:// for TLS")
    if bool(settings.cert) != bool(settings.cert_key):
        raise ConfigError("cert and cert_key belong together; give both or none")
    password = secret_lines(settings.password_file, "the password of the broker")[0] if settings.password_file else ""
    if password and not parts.username:
        raise ConfigError(f"broker = {where!r} has no user for the password; write {parts.scheme}://USER@...")
    return Address(
        parts.hostname,
        port or PORTS[parts.scheme],
        tls,
        parts.username or "",
        password,
        settings.ca,
        settings.cert,
        settings.cert_key,
        settings.client_id or default_client_id(cursor),
        settings.protocol == "5",
    )


def default_client_id(cursor: Path) -> str:
    """The same at every start, and another one for another bridge."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:32]
    return f"glatd-{host}-{sha256(str(cursor.absolute()).encode()).hexdigest()[:8]}"


def check_mqtt(settings: MqttSettings) -> None:
    """Refuse values that cannot be.

    Raises:
        ConfigError: naming the key, the value and what can be.
    """
    for key in ("prefix", "homeassistant"):
        value = getattr(settings, key)
        if re.search(r"[+#\0]|^[/$]|/$|//", value) or (key == "prefix" and not value):
            raise ConfigError(f"{key} = {value!r} must be a topic without + and #, for example {key!r}")
    if settings.phase:
        raise ConfigError("phase: this bridge shows what goes on, for which it needs every phase; leave it out")
    if not 1 <= settings.level_seconds <= 86_400:
        raise ConfigError(f"level_seconds = {settings.level_seconds!r} must be from 1 to 86400")
    slugs: dict[str, str] = {}
    for label in settings.classes:
        node_mid(label)  # an unknown one names the nearest
        if (other := slugs.setdefault(slug(label), label)) != label:
            raise ConfigError(f"classes: {label!r} and {other!r} would have the same topic; leave one out")


def slug(label: str) -> str:
    """A label as a level of a topic: "Baby cry, infant cry" is baby_cry_infant_cry."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
