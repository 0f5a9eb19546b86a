"""From the blocks of a source to mono samples at the engine's rate, with every loss named."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block, Resampler, downmix

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Real audio that follows what came before."""

    samples: Floats  # [n] mono
    arrival: float | None  # UNIX seconds when the last of them arrived


@dataclass(frozen=True, slots=True)
class Lost:
    """Audio that will not come."""

    samples: int
    cause: str


class Ingest:
    """Resamples one stream. Any division into blocks gives the same samples, to the last bit.

    Lost audio (a block that starts later than the one before it ended, or samples that are not
    finite) ends the resampler's input: what follows starts anew at its own place.

    Args:
        rate: Hz that comes out.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._resampler: Resampler | None = None
        self._rate_in = rate
        self._next_in = 0  # sample of the source that should come next
        self._out = 0  # samples given out, real or lost
        self._cause = ""

    def push(self, block: Block) -> list[Chunk | Lost]:
        """Take one block; give what is certain by now."""
        mono = downmix(block.samples)
        bad = ~np.isfinite(mono)
        if not bad.any():
            return self._take(mono, block.start, block.rate, block.arrival)
        edges = np.flatnonzero(np.diff(bad)) + 1
        pieces: list[Chunk | Lost] = []
        for first, last in zip([0, *edges], [*edges, len(mono)], strict=True):
            if bad[first]:
                self._cause = "not finite"
            else:
                pieces += self._take(mono[first:last], block.start + int(first), block.rate, block.arrival)
        return pieces

    def will_lose(self, cause: str) -> None:
        """The next block is not taken; why, for the gap that shows when a later one is."""
        self._cause = cause

    def finish(self) -> list[Chunk | Lost]:
        """The source has ended: the resampler's tail."""
        return self._flush()

    def _take(self, mono: Floats, start: int, rate: int, arrival: float | None) -> list[Chunk | Lost]:
        pieces: list[Chunk | Lost] = []
        if self._resampler is not None and (start != self._next_in or rate != self._rate_in):
            pieces += self._flush()
        if self._resampler is None:
            self._resampler, self._rate_in = Resampler(rate, self.rate), rate
            place = (start * self.rate + rate // 2) // rate
            if place > self._out:
                pieces.append(Lost(place - self._out, self._cause or "not delivered"))
                self._out = place
            self._cause = ""
        self._next_in = start + len(mono)
        samples = self._resampler.push(mono)
        if len(samples):
            self._out += len(samples)
            pieces.append(Chunk(samples, arrival))
        return pieces

    def _flush(self) -> list[Chunk | Lost]:
        if self._resampler is None:
            return []
        samples = self._resampler.flush()
        self._resampler = None
        self._out += len(samples)
        return [Chunk(samples, None)] if len(samples) else []
