"""Microphones: which there are, and which one is meant."""

import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from glatd.daemon.sources.patience import Abandoned, call_within
from glatd.errors import SourceError

T = TypeVar("T")

_ANSWER_S = 5.0
# No microphone has as many channels: it is a sound server (PulseAudio, PipeWire), of which PortAudio
# claims 44.1 kHz and 32 or more channels. Servers run at 48 kHz unless told otherwise, and mix to mono
# themselves.
_SERVER_CHANNELS = 16
_SERVER_RATE = 48_000


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone as PortAudio lists it."""

    name: str
    index: int  # PortAudio's number of it, in this process
    channels: int  # that glatd takes
    rate: int  # Hz that glatd takes
    default: bool  # whether `mic:` means this one


def portaudio() -> Any:
    """The module sounddevice.

    Raises:
        SourceError: the PortAudio library is missing. It is asked for nowhere but here.
    """
    try:
        import sounddevice  # late: it starts PortAudio
    except OSError as error:
        if "PortAudio" not in str(error):
            raise SourceError(f"PortAudio does not start: {error}; check the sound system") from error
        raise SourceError(
            "microphones need the PortAudio library, which is missing; run: apt-get install libportaudio2"
        ) from error
    except Exception as error:  # its PortAudioError cannot be named before the import
        raise SourceError(f"PortAudio does not start: {error}; check the sound system") from error
    return sounddevice


def ask(
    seconds: float,
    function: Callable[[], T],
    discard: Callable[[T], object] = id,
    stopped: threading.Event | None = None,
) -> T:
    """`call_within` for what may start PortAudio, which asks the sound server, which may hang.

    sounddevice turns stderr away while PortAudio starts. Where that hangs it would stay so and swallow
    our own errors.
    """
    stderr = os.dup(2)
    try:
        return call_within(seconds, function, discard, stopped)
    except Abandoned:
        os.dup2(stderr, 2)
        raise
    finally:
        os.close(stderr)


def list_input_devices() -> list[Device]:
    """All microphones, in PortAudio's order; it looks for them once in a process.

    Raises:
        SourceError: no PortAudio library, or a sound system that does not answer.
    """
    try:
        return ask(_ANSWER_S, query)
    except Abandoned:
        raise SourceError(f"the sound system does not answer within {_ANSWER_S:.0f} s; restart its server") from None


def query() -> list[Device]:
    """As `list_input_devices`, but waits for ever where the sound system hangs."""
    sounddevice = portaudio()
    default = sounddevice.default.device[0]
    devices = []
    for entry in sounddevice.query_devices():
        channels = int(entry["max_input_channels"])
        if channels == 0:
            continue
        server = channels >= _SERVER_CHANNELS
        devices.append(
            Device(
                name=entry["name"],
                index=int(entry["index"]),
                channels=1 if server else channels,
                rate=_SERVER_RATE if server else round(entry["default_samplerate"]),
                default=entry["index"] == default,
            )
        )
    return devices


def choose(devices: Sequence[Device], name: str) -> Device:
    """The device of that name, else the only one with such a part in its name; the default one if empty.

    Raises:
        SourceError: none or several; lists what there is.
    """
    if not name:
        for device in devices:
            if device.default:
                return device
        raise SourceError(f"there is no default microphone; write mic:NAME ({_listing(devices)})")
    found = [device for device in devices if device.name == name]
    if not found:
        found = [device for device in devices if name.casefold() in device.name.casefold()]
        if len(found) > 1:
            raise SourceError(f"microphone {name!r} could be several; write more of its name ({_listing(found)})")
    if not found:
        raise SourceError(f"no microphone {name!r}; {_listing(devices)}")
    # One microphone of a Windows machine has the same name in several sound systems of its.
    return next((device for device in found if device.default), found[0])


def _listing(devices: Sequence[Device]) -> str:
    if not devices:
        return "this machine has no microphone that PortAudio finds"
    names = [re.sub(r"\s+", " ", device.name) + (" (default)" if device.default else "") for device in devices]
    return f"there are: {', '.join(names)}"
