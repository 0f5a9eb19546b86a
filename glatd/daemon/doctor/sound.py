"""Checks of microphones: the library, the sound server, the devices and who may use them."""

import grp
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from glatd.daemon.doctor.finding import Finding, Mark, error, failure, ok, warning
from glatd.daemon.sources.devices import list_input_devices, portaudio
from glatd.errors import SourceError

_ANSWER_S = 2.0
_NAMES = 4  # of microphones that are listed


def library(wanted: bool) -> Iterator[Finding]:
    """PortAudio.

    Args:
        wanted: whether a source needs it.
    """
    try:
        version = portaudio().get_portaudio_version()[1]
    except SourceError as raised:
        yield failure("PortAudio", raised, "error" if wanted else "warning")
    else:
        yield ok("PortAudio", str(version).split(",")[0].removeprefix("PortAudio "))


def microphones(wanted: bool) -> Iterator[Finding]:
    """What PortAudio lists; it asks the sound server, which may hang."""
    try:
        devices = list_input_devices()
    except SourceError as raised:
        if "PortAudio" not in str(raised):  # else said by `library`
            yield failure("Microphones", raised, "error" if wanted else "warning")
        return
    if devices:
        names = [device.name for device in devices]
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        yield ok("Microphones", ", ".join(names[:_NAMES]) + more)
    else:
        mark: Mark = "error" if wanted else "warning"
        yield Finding("Microphones", mark, "none", "plug one in; see `arecord -l` and the lines above")


def server(environment: dict[str, str] | None = None) -> Iterator[Finding]:
    """PulseAudio or PipeWire, where one is configured or stands at its usual place."""
    environment = dict(os.environ) if environment is None else environment
    told = environment.get("PULSE_SERVER", "")
    if told and not told.startswith(("unix:", "/")):
        yield ok("Sound server", f"{told} (PULSE_SERVER), on another machine or by name: not looked at")
        return
    usual = [
        Path(environment["PULSE_RUNTIME_PATH"], "native") if "PULSE_RUNTIME_PATH" in environment else None,
        Path(environment.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"), "pulse", "native"),
        Path("/run/pulse/native"),
    ]
    paths = [Path(told.removeprefix("unix:"))] if told else [path for path in usual if path and path.exists()]
    if not paths:
        yield ok("Sound server", "none for this user: microphones are asked directly (ALSA)")
        return
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_S)
            connection.connect(str(paths[0]))
    except OSError as raised:
        yield error(
            "Sound server", f"{paths[0]}: {raised.strerror or raised}",
            "restart it: systemctl --user restart pulseaudio (or pipewire-pulse)",
        )  # fmt: skip
    else:
        yield ok("Sound server", f"answers at {paths[0]}")


def permissions(wanted: bool, folder: Path = Path("/dev/snd")) -> Iterator[Finding]:
    """Sound cards, and whether this user may use them."""
    inputs = sorted(folder.glob("pcm*c"))
    if not inputs:
        if not folder.exists():
            yield ok("Sound cards", "none on this machine")
        else:
            yield warning("Sound cards", f"{folder} has no input", "plug a microphone in; see `arecord -l`")
        return
    shut = [path.name for path in inputs if not os.access(path, os.R_OK | os.W_OK)]
    if not shut:
        yield ok("Sound cards", f"{len(inputs)} inputs, all open to this user")
        return
    groups = {group_name(path) for path in inputs if path.name in shut}
    yield Finding(
        "Sound cards",
        "error" if wanted else "warning",
        f"{', '.join(shut)} cannot be opened by this user",
        f"usermod -aG {','.join(sorted(groups))} USER, then log in again; in a service SupplementaryGroups=audio",
    )


def group_name(path: Path) -> str:
    """Of a file's group."""
    number = path.stat().st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
