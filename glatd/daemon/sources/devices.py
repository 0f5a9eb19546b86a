"""Microphones: which there are, and which one is meant.

PortAudio lists devices once in a process, and hangs where the sound system hangs. So it is asked in a
process of its own, each time anew.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from glatd.daemon.sources.pulse import list_sources
from glatd.errors import SourceError

_ANSWER_S = 10.0
# No microphone has as many channels: it is a sound server (PulseAudio, PipeWire), of which PortAudio
# claims 44.1 kHz and 32 or more channels. Servers run at 48 kHz unless told otherwise.
_SERVER_CHANNELS = 16
_SERVER_RATE = 48_000
_BY_SERVER = ("pulse", "default")  # what ALSA calls the sound server


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone as PortAudio or the sound server lists it."""

    name: str
    index: int  # PortAudio's number of it, in the process that asked
    channels: int  # that glatd takes
    rate: int  # Hz that glatd takes
    default: bool  # whether `mic:` means this one
    source: str = ""  # what the sound server calls it, where only the server has it; else empty
    guessed: bool = False  # whether rate and channels are a guess, until it is open

    @property
    def lasting(self) -> str:
        """The name without the number of its card, which changes when it is plugged in again."""
        return re.sub(r"\s*\(hw:\d+,\d+\)$", "", self.name)


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


def list_input_devices() -> list[Device]:
    """All microphones that there are now: PortAudio's in its order, then those of the sound server.

    Raises:
        SourceError: no PortAudio library, or a sound system that does not answer.
    """
    command = [sys.executable, "-P", "-m", "glatd.daemon.sources.devices"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S, check=False)
    except subprocess.TimeoutExpired:
        raise SourceError(f"the sound system does not answer within {_ANSWER_S:.0f} s; restart its server") from None
    if done.returncode:
        raise SourceError(f"PortAudio fails (exit code {done.returncode}); check the sound system")
    told = json.loads(done.stdout)
    if "error" in told:
        raise SourceError(told["error"])
    return [Device(**entry) for entry in told["devices"]]


def query() -> list[Device]:
    """As `list_input_devices`, but in this process, and waits for ever where the sound system hangs."""
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
                guessed=server,
            )
        )
    door = next((device for device in devices if device.name in _BY_SERVER), None)
    if door is not None:
        for source in list_sources():
            known = Device(source.name, door.index, source.channels, source.rate, False, source.name)
            devices.append(known)
    return devices


def choose(devices: Sequence[Device], name: str) -> Device:
    """The device of that name, else the only one with such a part in its name; the default one if empty.

    What PortAudio lists comes before what only the sound server lists: those are often the same once more.

    Raises:
        SourceError: none or several; lists what there is.
    """
    if not name:
        for device in devices:
            if device.default:
                return device
        raise SourceError(f"there is no default microphone; write mic:NAME ({_listing(devices)})")
    found = [device for device in devices if device.name == name]
    for served in False, True:
        if not found:
            some = [device for device in devices if bool(device.source) is served]
            found = [device for device in some if device.lasting == name]
            found = found or [device for device in some if name.casefold() in device.name.casefold()]
            if len(found) > 1:
                raise SourceError(f"microphone {name!r} could be several; write more of its name ({_listing(found)})")
    if not found:
        raise SourceError(f"no microphone {name!r}; {_listing(devices)}")
    # One microphone of a Windows machine has the same name in several sound systems of its.
    return next((device for device in found if device.default), found[0])


def with_lasting_names(devices: Sequence[Device]) -> list[Device]:
    """The devices by the names to write into a configuration: without the card's number where that is clear."""
    names = [device.lasting for device in devices]
    return [replace(device, name=device.lasting) if names.count(device.lasting) == 1 else device for device in devices]


def _listing(devices: Sequence[Device]) -> str:
    if not devices:
        return "this machine has no microphone that PortAudio finds"
    names = [re.sub(r"\s+", " ", device.name) + (" (default)" if device.default else "") for device in devices]
    return f"there are: {', '.join(names)}"


def _main() -> None:
    try:
        told: dict[str, object] = {"devices": [asdict(device) for device in query()]}
    except SourceError as error:
        told = {"error": str(error)}
    print(json.dumps(told))


if __name__ == "__main__":
    _main()
