"""The process that records one microphone, and what it says to the daemon.

One process a microphone, since PortAudio cannot be trusted with two: its error code is one variable for
all threads, so that a microphone that does not open crashes a process that records another (seen after
462 tries of 3 ms). It lists devices once in a process, and never comes back from a sound server that
hangs. A process is simply ended.

Messages go to stdout: one byte of kind, the length of the rest as uint32, the rest. They are FOUND (the name
of the device; one byte on stdin lets it be opened), OPENED (`Opened` as JSON), AUDIO (`AUDIO_HEAD`,
then float32 frames) and FAILED (why). The end of stdin ends the process.
"""

import json
import os
import queue
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO

from glatd.daemon.sources.devices import Device, choose, portaudio, query
from glatd.daemon.sources.pulse import connect, recorded_source, watch
from glatd.errors import SourceError

FOUND, OPENED, AUDIO, FAILED = b"F", b"O", b"A", b"!"
HEAD = struct.Struct("=cI")  # kind, length
AUDIO_HEAD = struct.Struct("=qd?")  # index of the first frame, monotonic seconds, input_overflow before it

_BLOCKS_A_SECOND = 100  # 10 ms each
_LATENCY_S = 0.2  # of the driver's buffer: callbacks were seen 34 ms late beside inference on every core
_QUEUE_BLOCKS = 10 * _BLOCKS_A_SECOND  # 10 s; a daemon that is further behind loses audio, not memory


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a microphone."""

    device: str = ""  # as `choose` takes it
    rate: int | None = None  # Hz; None for the device's own
    channels: int | None = None  # None for the device's own


@dataclass(frozen=True, slots=True)
class Opened:
    """What a microphone is recorded with."""

    name: str
    rate: int  # Hz
    channels: int
    mixed_from: str = ""  # the places of its own channels, where a sound server mixes them into others


class Recorder:
    """The callback's side: copies, counts and returns. Nothing here waits."""

    def __init__(self) -> None:
        self.said: queue.SimpleQueue[tuple[bytes, bytes]] = queue.SimpleQueue()  # kind, the rest
        self.stream: Any = None  # kept: PortAudio calls what belongs to it
        self._position = 0
        self._flagged = False

    def callback(self, samples: Any, frames: int, _times: object, flags: Any) -> None:
        start = self._position
        self._position += frames
        self._flagged |= bool(flags.input_overflow)
        if self.said.qsize() < _QUEUE_BLOCKS:
            self.said.put((AUDIO, AUDIO_HEAD.pack(start, time.monotonic(), self._flagged) + bytes(samples)))
            self._flagged = False

    def fail(self, why: str) -> None:
        self.said.put((FAILED, why.encode()))


def record(request: Request, pipe: BinaryIO, allowed: threading.Event) -> None:
    """Record until the microphone fails."""

    def say(kind: bytes, rest: bytes) -> None:
        pipe.write(HEAD.pack(kind, len(rest)) + rest)
        pipe.flush()

    try:
        device = choose(query(), request.device)
        say(FOUND, device.name.encode())
        allowed.wait()
        recorder, opened = _open(device, request)
    except SourceError as error:
        say(FAILED, str(error).encode())
        return
    except Exception as error:  # nobody sees the traceback of this process
        say(FAILED, f"microphone {request.device!r} cannot be recorded: {error!r}; check the sound system".encode())
        return
    say(OPENED, json.dumps(asdict(opened)).encode())
    kind = OPENED
    while kind != FAILED:
        kind, rest = recorder.said.get()
        say(kind, rest)


def _open(device: Device, request: Request) -> tuple[Recorder, Opened]:
    """Open a microphone as asked, and have it watched."""
    device = replace(device, rate=request.rate or device.rate, channels=request.channels or device.channels)
    if device.source:
        os.environ["PULSE_SOURCE"] = device.source
    recorder = Recorder()
    _start(device, recorder)
    server, mixed_from = connect(), ""
    placed = recorded_source(server) if server is not None else None
    if placed is not None and device.guessed:
        told = placed.source
        own = replace(device, rate=request.rate or told.rate, channels=request.channels or told.channels)
        if own != device:
            recorder.stream.close()
            device, recorder = own, Recorder()
            _start(device, recorder)
            placed = recorded_source(server)
    if placed is not None:
        other = placed.source.name
        if device.source and other != device.source:
            raise SourceError(f"microphone {device.name!r} is gone: the sound server gives {other!r} instead")
        threading.Thread(target=watch, args=(server, placed.number, _moved(recorder, device)), daemon=True).start()
        mixed_from = ",".join(placed.source.places) if placed.remixed else ""
    return recorder, Opened(device.name, device.rate, device.channels, mixed_from)


def _moved(recorder: Recorder, device: Device) -> Callable[[str], None]:
    def moved(to: str) -> None:
        recorder.fail(
            f"microphone {device.name!r} went away and the sound server moved its stream to {to!r}; plug it in again"
        )

    return moved


def _start(device: Device, recorder: Recorder) -> None:
    sounddevice = portaudio()
    try:
        recorder.stream = sounddevice.RawInputStream(
            samplerate=device.rate,
            blocksize=device.rate // _BLOCKS_A_SECOND,
            device=device.index,
            channels=device.channels,
            dtype="float32",
            latency=_LATENCY_S,
            callback=recorder.callback,
            finished_callback=lambda: recorder.fail(
                f"microphone {device.name!r} went away; plug it in again or restart the sound server"
            ),
        )
        recorder.stream.start()
    except sounddevice.PortAudioError as error:
        at = f"{device.rate} Hz, {device.channels} channels"
        raise SourceError(
            f"microphone {device.name!r} does not open at {at}: {' '.join(str(error).split())}; "
            "see glatd devices, or close the program that holds it"
        ) from error


def _leave_with_parent(allowed: threading.Event) -> None:
    if sys.stdin.buffer.read(1):
        allowed.set()
        sys.stdin.buffer.read(1)
    os._exit(0)


def _main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # service managers send it to all; the daemon ends this one
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries may print
    allowed = threading.Event()
    threading.Thread(target=_leave_with_parent, args=(allowed,), daemon=True).start()
    try:
        record(Request(**json.loads(sys.argv[1])), pipe, allowed)
    finally:
        os._exit(0)  # PortAudio's own clean-up would wait for a sound server that hangs


def command(request: Request) -> list[str]:
    """What to start."""
    return [sys.executable, "-P", "-m", "glatd.daemon.sources.capture", json.dumps(asdict(request))]


if __name__ == "__main__":
    _main()
