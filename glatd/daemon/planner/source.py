"""Streams to try a machine with: raw PCM that comes in pieces of 20 ms, as from a network, but made in the process."""

import time
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block
from glatd.daemon.sources.base import Source
from glatd.daemon.sources.pcm import PcmFormat

FORMAT = PcmFormat()  # 48 kHz, 16 bits, mono: it has to be resampled, as most sources have
LOOP_S = 20
PIECE_S = 0.02  # as packets of RTP are
GOLDEN = 0.618  # multiples of it fill an interval evenly


def pcm(seconds: int = LOOP_S) -> bytes:
    """Noise in bursts, tones that rise, and clicks, the same on every machine: something to look at twice."""
    rng = np.random.default_rng(3)
    n = np.arange(seconds * FORMAT.rate)
    second = n // FORMAT.rate
    noise = rng.standard_normal(len(n)) * 0.1 * (second * 7 % 5 < 2)
    tone = 0.1 * np.sin(2 * np.pi * (300 + 40 * second) / FORMAT.rate * n) * (second * 3 % 7 < 3)
    clicks = 0.5 * (n % 6_000 < 20) * (second % 4 == 1)
    mixed: NDArray[np.float64] = noise + tone + clicks + 0.001 * rng.standard_normal(len(n))
    return (np.clip(mixed, -1, 1) * 32_767).astype("<i2").tobytes()


class Synthetic(Source):
    """One stream of it. No two begin at the same place of the sound, or at the same place of a hop.

    Args:
        number: of the stream, from 0.
        sound: of `pcm`.
        seconds: that it lasts.
        spread: seconds, a hop: windows of all streams fall due at all times.
    """

    live: ClassVar[bool] = True

    def __init__(self, number: int, sound: bytes, seconds: float, spread: float) -> None:
        super().__init__(f"bench:{number}", f"s{number}", named=True)
        self._number, self._sound, self._seconds, self._spread = number, sound, seconds, spread

    def blocks(self) -> Iterator[Block]:
        """In real time where it is live, else as fast as they are taken."""
        count = round(PIECE_S * FORMAT.rate)
        step, length = count * FORMAT.frame_bytes, len(self._sound)
        at = int(self._number * GOLDEN * length) // step * step % length
        began = time.monotonic() + self._number * GOLDEN % 1.0 * self._spread
        for piece in range(round(self._seconds / PIECE_S)):
            if self.live and self._stopped.wait(max(0.0, began + (piece + 1) * PIECE_S - time.monotonic())):
                return
            samples = FORMAT.decode(self._sound[at : at + step])
            yield Block(piece * count, samples, FORMAT.rate, time.monotonic() if self.live else None, FORMAT.bits)
            at = (at + step) % length


class Recorded(Synthetic):
    """The same as a recording: as fast as it is taken."""

    live: ClassVar[bool] = False
