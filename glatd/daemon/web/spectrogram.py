"""The spectrogram that browsers draw: the very log-mel frames that the network sees, a byte a band.

Each stretch is packed once, however many look at it, and not at all when nobody does.
"""

import struct
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Engine

Floats = NDArray[np.float32]

VERSION = 1
HEAD = struct.Struct("<qHH")  # first mel frame, frames, mels
KEPT_S = 10.0  # for those who begin to look
TONE_HZ = 1000.0
SWEEP_FROM_HZ, SWEEP_TO = 20.0, 0.99  # the latter of half the rate
SWEEP_ROWS = 8  # blocks of the front end, 8 s: 1 % a frame


@dataclass(frozen=True, slots=True)
class Scale:
    """What 0 and 255 mean, in the unit of the front end's log-mel."""

    floor: float
    ceiling: float

    def bytes_of(self, frames: Floats) -> bytes:
        """Frames [n, M] as n * M bytes."""
        steps = 255 / (self.ceiling - self.floor)
        levels: NDArray[np.uint8] = np.clip((frames - self.floor) * steps + 0.5, 0, 255).astype(np.uint8)
        return levels.tobytes()


def scale_of(engine: Engine) -> Scale:
    """From digital silence to the loudest band of a tone at full scale, through the front end itself."""
    sizes = engine.sizes
    tone = np.sin(2 * np.pi * TONE_HZ / sizes.rate * np.arange(sizes.block_samples)).astype(np.float32)
    frames = [engine.frontend(samples[None])[0] for samples in (np.zeros_like(tone), tone)]
    return Scale(float(frames[0].min()), float(max(frames[1].max(), frames[0].min() + 1e-3)))


def mel_hz(engine: Engine) -> list[float]:
    """Centre frequencies of the bands, Hz: where each answers most to a tone that climbs through all of them."""
    sizes = engine.sizes
    last = SWEEP_TO * sizes.rate / 2
    climb = np.log(last / SWEEP_FROM_HZ) / (SWEEP_ROWS * sizes.block * sizes.hop)  # a sample
    at = np.arange(sizes.block_samples)[None] + sizes.block * sizes.hop * np.arange(SWEEP_ROWS)[:, None] - sizes.left
    tone = np.sin(2 * np.pi * SWEEP_FROM_HZ / sizes.rate / climb * np.exp(climb * at)).astype(np.float32)
    frames = engine.frontend(tone).reshape(-1, sizes.mels)
    heard = SWEEP_FROM_HZ * np.exp(climb * sizes.hop * np.arange(len(frames)))
    return [round(float(heard[frame]), 1) for frame in frames.argmax(0).tolist()]


class Stretch:
    """Mel frames [first, first + n) of a stream, and their message once somebody has asked for it."""

    def __init__(self, first: int, frames: Floats) -> None:
        self.first, self.frames = first, frames
        self._packed: bytes | None = None

    def packed(self, stream: str, scale: Scale) -> bytes:
        """As it goes to browsers: docs/dashboard.md."""
        if self._packed is None:
            name = stream.encode()
            count, mels = self.frames.shape
            head = bytes([VERSION, len(name)]) + name + HEAD.pack(self.first, count, mels)
            self._packed = head + scale.bytes_of(self.frames)
        return self._packed


class Newest:
    """The last 10 s of one stream.

    Args:
        most: mel frames.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self.stretches: deque[Stretch] = deque()

    def add(self, stretch: Stretch) -> None:
        """One more."""
        self.stretches.append(stretch)
        self._held += len(stretch.frames)
        while self._held - len(self.stretches[0].frames) >= self._most:
            self._held -= len(self.stretches.popleft().frames)
