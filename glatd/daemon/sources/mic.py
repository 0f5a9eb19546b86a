"""Microphones, through PortAudio."""

import atexit
import queue
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block
from glatd.daemon.sources.base import Source, safe_name
from glatd.daemon.sources.devices import Device, ask, choose, portaudio, query
from glatd.daemon.sources.devices import list_input_devices as list_input_devices  # `glatd devices`
from glatd.daemon.sources.lag import LagMeter
from glatd.daemon.sources.patience import Abandoned, call_within
from glatd.daemon.sources.pcm import parse_count, parse_query
from glatd.errors import SourceError

_BLOCKS_A_SECOND = 100  # 10 ms each
_LATENCY_S = 0.2  # of the driver's buffer: callbacks were seen 34 ms late beside inference on every core
_QUEUE_BLOCKS = 10 * _BLOCKS_A_SECOND  # 10 s; a reader that is further behind loses audio, not memory
_OPEN_S = 5.0
_STALL_S = 2.0
_CLOSE_S = 0.3
_POLL_S = 0.1

# PortAudio opens and closes one stream at a time.
_portaudio_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Piece:
    """What one callback brought."""

    start: int
    samples: NDArray[np.float32]  # [n, channels]
    heard: float  # monotonic seconds
    flagged: bool  # PortAudio's input_overflow, here or in a callback whose piece had no room


class Capture:
    """The callback's side: copies, counts and returns. Nothing here waits."""

    def __init__(self) -> None:
        self.pieces: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()  # None: look at `finished` and the stop
        self.finished = False
        self.heard = time.monotonic()  # when the last callback came
        self.called = False
        self._position = 0
        self._flagged = False

    def callback(self, samples: NDArray[np.float32], frames: int, _times: object, flags: Any) -> None:
        self.heard, self.called = time.monotonic(), True
        start = self._position
        self._position += frames
        self._flagged |= bool(flags.input_overflow)
        if self.pieces.qsize() < _QUEUE_BLOCKS:
            self.pieces.put(Piece(start, samples.copy(), self.heard, self._flagged))
            self._flagged = False

    def finish(self) -> None:
        self.finished = True
        self.pieces.put(None)


class MicSource(Source):
    """One microphone at its own rate and channels, float32 (exact for 16 and 24 bit), in blocks of 10 ms.

    Lost audio moves the index on: what found no room in the queue of 10 s, exactly; what the driver lost,
    by counting samples against the monotonic clock, when it flags an overflow or when 0.1 s and more are
    missing (see `LagMeter`).

    Args:
        device: a name as PortAudio lists it, a part of one, or empty for the default microphone.
        rate: Hz; None for the device's own. A sound server does not tell its own, 48 kHz is taken.
        channels: None for the device's own.
    """

    live: ClassVar[bool] = True

    def __init__(
        self, device: str = "", rate: int | None = None, channels: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(f"mic:{device}", name or safe_name(device, "mic"), name is not None)
        self._device = device
        self._rate = rate
        self._channels = channels
        self._capture = Capture()

    def stop(self) -> None:
        """As `Source.stop`."""
        super().stop()
        self._capture.pieces.put(None)

    def blocks(self) -> Iterator[Block]:
        """Blocks of 10 ms as they come.

        Raises:
            SourceError: no PortAudio library, no such microphone, one that does not open, goes away, or
                gives nothing for 2 s.
        """
        if self._stopped.is_set():
            return
        capture = self._capture = Capture()
        try:
            device, stream = ask(_OPEN_S, lambda: self._open(capture), lambda late: _close(late[1]), self._stopped)
        except Abandoned:
            if self._stopped.is_set():
                return
            raise SourceError(f"{self.uri} does not open within {_OPEN_S:.0f} s; restart the sound server") from None
        try:
            yield from self._read(capture, device)
        finally:
            _close_within(stream)

    def _open(self, capture: Capture) -> tuple[Device, Any]:
        with _portaudio_lock:
            device = choose(query(), self._device)
            device = replace(device, rate=self._rate or device.rate, channels=self._channels or device.channels)
            sounddevice = portaudio()
            try:
                stream = sounddevice.InputStream(
                    samplerate=device.rate,
                    blocksize=device.rate // _BLOCKS_A_SECOND,
                    device=device.index,
                    channels=device.channels,
                    dtype="float32",
                    latency=_LATENCY_S,
                    callback=capture.callback,
                    finished_callback=capture.finish,
                )
                try:
                    stream.start()
                except sounddevice.PortAudioError:
                    stream.close()
                    raise
            except sounddevice.PortAudioError as error:
                at = f"{device.rate} Hz, {device.channels} channels"
                raise SourceError(
                    f"microphone {device.name!r} does not open at {at}: {_one_line(error)}; "
                    "see glatd devices, or close the program that holds it"
                ) from error
        capture.heard = time.monotonic()
        return device, stream

    def _read(self, capture: Capture, device: Device) -> Iterator[Block]:
        meter = LagMeter(device.rate)
        lost = 0  # samples that the driver lost, as far as the clock tells
        while not self._stopped.is_set():
            try:
                piece = capture.pieces.get(timeout=_POLL_S)
            except queue.Empty:
                limit = _STALL_S if capture.called else _OPEN_S
                if time.monotonic() - capture.heard > limit:
                    raise SourceError(
                        f"microphone {device.name!r} stalled: no audio for {limit:.0f} s; "
                        "check that it is not suspended, and the sound server"
                    ) from None
                continue
            if piece is not None:
                start = piece.start + lost
                jump = meter.lost(piece.heard, start + len(piece.samples), piece.flagged)
                lost += jump
                yield Block(start + jump, piece.samples, device.rate, piece.heard)
            elif capture.finished and not self._stopped.is_set():
                raise SourceError(f"microphone {device.name!r} went away; plug it in again or restart the sound server")


def parse_mic(text: str, name: str | None) -> MicSource:
    """The microphone of `mic:TEXT`, where TEXT is a device's name, then perhaps `?rate=44100&channels=1`.

    Raises:
        ConfigError: an unknown option, or a value that cannot be.
    """
    device, options = text, ""
    # Names of devices have spaces, colons, brackets and perhaps question marks; options look like options.
    if match := re.fullmatch(r"(.*?)\?(\w+=.*)", text):
        device, options = match.groups()
    where = f"source 'mic:{text}'"
    values = parse_query(options, ("rate", "channels"), where)
    rate = parse_count(values["rate"], "rate", 8_000, 384_000, where) if "rate" in values else None
    channels = parse_count(values["channels"], "channels", 1, 64, where) if "channels" in values else None
    return MicSource(device.strip(), rate, channels, name)


def _close(stream: Any) -> None:
    with _portaudio_lock:
        stream.abort()
        stream.close()


def _close_within(stream: Any) -> None:
    """Close, but not wait for a sound server that hangs.

    Where it hangs, PortAudio's own clean-up at the end of the process would hang too, and is taken out.
    """
    try:
        call_within(_CLOSE_S, lambda: _close(stream))
    except Abandoned:
        atexit.unregister(portaudio()._exit_handler)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
