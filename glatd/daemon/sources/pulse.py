"""What a sound server that speaks PulseAudio's protocol tells about microphones (PipeWire: untested).

When a microphone is unplugged the server moves its streams to another one and tells nobody who does not
ask: the wrong room under the right name. PortAudio and ALSA cannot ask. Without the server, its library
libpulse or the module pulsectl nothing is known, and nothing is lost: then nobody moves streams either.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerSource:
    """A microphone as the server has it."""

    name: str
    rate: int  # Hz
    channels: int
    places: tuple[str, ...] = ()  # of the channels: front-left and so on


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a process records."""

    source: ServerSource
    number: int  # of the source, at the server
    remixed: bool  # whether the server makes other channels of the source's own, by their places


def connect() -> Any | None:
    """A connection to the server; None where there is none. Waits for ever for a server that hangs."""
    try:
        import pulsectl  # late: it loads libpulse

        # pulsectl 24.12 keeps a view of the sample format in memory of libpulse's that is freed when its callback
        # returns: a rate of 0 was read now and then. This hook of its is called before.
        pulsectl.PulseSourceInfo._init_from_struct = _keep_format
        server = pulsectl.Pulse("glatd", connect=False)
        server.connect(autospawn=False, wait=False)
    except Exception:  # no module, no library (OSError), no server (PulseError)
        return None
    return server


def list_sources() -> list[ServerSource]:
    """The server's microphones, without the monitors of what is played; none where there is no server."""
    server = connect()
    if server is None:
        return []
    with server:
        entries = _asked(server.source_list) or []
    return [_source(entry) for entry in entries if entry.proplist.get("device.class") != "monitor"]


def _keep_format(entry: Any, struct: Any) -> None:
    entry.rate, entry.channels = int(struct.sample_spec.rate), int(struct.sample_spec.channels)


def _source(entry: Any) -> ServerSource:
    return ServerSource(entry.name, entry.rate, entry.channels, tuple(entry.channel_list))


def _asked(question: Callable[[], T]) -> T | None:
    """The answer; None if the server dies over it."""
    import pulsectl

    try:
        return question()
    except pulsectl.PulseError:
        return None


def recorded_source(server: Any) -> Recorded | None:
    """What this process, which has one stream, records now; None where it cannot be told."""
    return _asked(lambda: _recorded(server))


def _recorded(server: Any) -> Recorded | None:
    own = str(os.getpid())
    outputs = [output for output in server.source_output_list() if output.proplist.get("application.process.id") == own]
    if not outputs:
        return None
    output = max(outputs, key=lambda output: int(output.index))  # one that was just closed may still be told
    for entry in server.source_list():
        if entry.index == output.source:
            return Recorded(_source(entry), entry.index, list(output.channel_list) != list(entry.channel_list))
    return None


def watch(server: Any, first: int, moved: Callable[[str], None]) -> None:
    """Wait until the stream of this process is no longer at the source `first`, and tell what it is moved to.

    Returns then, or when the server dies.
    """
    import pulsectl

    def awake(_event: object) -> None:
        raise pulsectl.PulseLoopStop

    try:
        server.event_mask_set("source_output")
        server.event_callback_set(awake)
        while True:
            now = _recorded(server)
            if now is not None and now.number != first:
                moved(now.source.name)
                return
            server.event_listen()
    except pulsectl.PulseError:
        return
