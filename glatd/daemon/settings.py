"""What the daemon is told: one frozen tree, from TOML and the command line. Each option stands once."""

import dataclasses
import math
import os
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from glatd.config import build, read_toml
from glatd.daemon.events.settings import EventSettings, check_events
from glatd.daemon.privacy.settings import BlankSettings, ClipSettings, check_privacy
from glatd.daemon.web.settings import WebSettings, check_web
from glatd.engines.manifest import DEFAULT_HOP_SECONDS
from glatd.errors import ConfigError

NODE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One [[source]] of the file, or one --source."""

    uri: str  # mic:NAME, file:PATH, tcp://HOST:PORT?rate=48000&format=s16le&channels=1
    name: str = ""  # of the stream; made from the URI when empty
    reconnect: bool = True  # whether a live source that ends or fails is opened again, for ever
    muted: bool = False  # whether its audio is thrown away as it comes, until it is unmuted


@dataclass(frozen=True, slots=True)
class Settings:
    """glatd.toml."""

    node: str = ""  # name of this box in topics; the host's name when empty
    publish: str = "tcp://127.0.0.1:5555"  # ZeroMQ endpoint to bind; "" publishes nothing
    control: str = ""  # endpoint of the control socket: ipc:///run/glatd/control, tcp://127.0.0.1:5556; "" for none
    keys: str = ""  # folder made by `glatd keys init`: only its clients may connect; "": whoever reaches a socket
    metrics: str = ""  # http://127.0.0.1:9464 serves /metrics to Prometheus, /healthz and /readyz; "" for none
    insecure: bool = False  # whether other machines may be let in without keys
    engine: str = "auto"  # folder of an engine; "auto" takes the best that this machine runs
    engines: str = ""  # folder that "auto" looks into; "": /var/lib/glatd/engines and ~/.local/share/glatd/engines
    shadow: str = ""  # folder of an engine that looks at the same windows beside it and is only compared; "" for none
    hop: float = DEFAULT_HOP_SECONDS  # s between windows, a multiple of the engine's stride
    top: int = 10  # tags a message, by falling score; 0 for all classes
    local: Literal["top-k", "all"] = "all"  # second looks: at every place, one new one a hop; at K that are chosen
    crops: int = 5  # K of "top-k", at most the engine's
    threads: int = 0  # windows that are looked at side by side, each by one CPU thread; 0: as many as there are cores
    incremental: bool = True  # whether what an engine's trunks made of the past is kept, or every window made anew
    status_seconds: float = 10.0  # between two status messages of a stream
    latency: float = 0.1  # s that a window may wait for windows of other streams to be looked at together
    overload: bool = True  # whether less is looked at when the machine cannot keep up
    record: str = ""  # folder to record into what every stream hears and what is said of it; "" records nothing
    gate: str | float = "off"  # windows as quiet as this (dBFS, or "adaptive") skip the networks
    journal: str = ""  # folder of the event journal; "": offsets are counted from 1 in each run, and nothing is kept
    journal_days: float = 30.0  # that an event is kept; 0 for ever
    journal_mb: float = 256.0  # of the journal, above which the oldest events go; 0 for any
    journal_sync: Literal["normal", "full"] = "normal"  # what it holds after: a kill; a loss of power too
    catchup: str = ""  # endpoint that answers what was missed: tcp://127.0.0.1:5557; needs a journal
    events: EventSettings = field(default_factory=EventSettings)
    clips: ClipSettings = field(default_factory=ClipSettings)
    blank: BlankSettings = field(default_factory=BlankSettings)
    web: WebSettings = field(default_factory=WebSettings)
    source: tuple[SourceSettings, ...] = ()

    @property
    def node_name(self) -> str:
        """`node`, or the host's name with odd characters replaced."""
        return self.node or re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:64] or "node"

    @property
    def lanes(self) -> int:
        """Threads of inference of a daemon, each for a window of its own."""
        return self.threads or os.cpu_count() or 1

    @property
    def gate_setting(self) -> float | Literal["adaptive"] | None:
        """As `LevelGate` takes it; None for off."""
        return "adaptive" if self.gate == "adaptive" else None if isinstance(self.gate, str) else self.gate


def read_settings(path: Path | None, **given: Any) -> Settings:
    """Settings of a file, with the options given on the command line in their place.

    Args:
        path: glatd.toml; None for the defaults.
        given: fields of `Settings`; None means that the option was not given.

    Raises:
        ConfigError: unreadable, not TOML, unknown or misspelt keys, values that cannot be.
    """
    tree = {} if path is None else read_toml(path)
    settings = build(Settings, tree, str(path))
    settings = dataclasses.replace(settings, **{key: value for key, value in given.items() if value is not None})
    _check(settings, str(path) if path else "command line")
    return settings


def _check(settings: Settings, where: str) -> None:
    if settings.node and not NODE_NAME.fullmatch(settings.node):
        raise ConfigError(f"{where}: node = {settings.node!r} must be 1 to 64 letters, digits, '_', '.' or '-'")
    for name, least in (
        ("hop", 0.01),
        ("top", 0),
        ("crops", 1),
        ("threads", 0),
        ("status_seconds", 0.1),
        ("latency", 0),
        ("journal_days", 0),
        ("journal_mb", 0),
    ):
        value = getattr(settings, name)
        if not least <= value < math.inf:  # also refuses NaN
            raise ConfigError(f"{where}: {name} = {value!r} must be a number from {least} on")
    if settings.gate not in ("off", "adaptive") and not (
        isinstance(settings.gate, float) and -120 <= settings.gate <= 0
    ):
        raise ConfigError(f'{where}: gate = {settings.gate!r} must be "off", "adaptive" or a level from -120 to 0 dBFS')
    if settings.catchup and not settings.journal:
        raise ConfigError(f"{where}: catchup = {settings.catchup!r} needs a journal to answer from; name its folder")
    check_events(settings.events, where)
    check_privacy(settings.clips, settings.blank, settings.hop, where)
    check_web(settings.web, where)
