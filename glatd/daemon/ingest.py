"""From the blocks of a source to mono samples at the engine's rate, with every loss named."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block, Missing, Resampler, downmix

Floats = NDArray[np.float32]
LOUDEST = 1e6  # 120 dB above full scale; the power of a float32 spectrum overflows from 1e15 on


@dataclass(frozen=True, slots=True)
class Chunk:
    """Real audio that follows what came before."""

    samples: Floats  # [n] mono
    arrival: float | None  # monotonic seconds when the last of them arrived
    wall: float | None = None  # UNIX seconds of the last of them, where a recording tells it


@dataclass(frozen=True, slots=True)
class Lost:
    """Audio that will not come."""

    samples: int
    cause: str


class Ingest:
    """Resamples one stream. Any division into blocks gives the same samples, to the last bit.

    Lost audio (a block that starts later than the one before it ended, or samples that are NaN,
    infinite or beyond `LOUDEST`) ends the resampler's input: what follows starts anew at its own place.

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
        self._lost: tuple[int, int] | None = None  # (source's sample after lost audio, its rate), till more is taken

    def push(self, block: Block | Missing) -> list[Chunk | Lost]:
        """Take one block, or what is missing; give what is certain by now."""
        if isinstance(block, Missing):
            before = self._flush()
            self._lose(block.end, block.rate, block.cause)
            return before + self._lost_until(block.end, block.rate)
        with np.errstate(over="ignore", invalid="ignore"):  # of samples that are refused below
            mono = downmix(block.samples)
        bad = ~(np.abs(mono) <= LOUDEST)  # NaN compares as false
        if not bad.any():
            return self._take(mono, block.start, block)
        edges = np.flatnonzero(np.diff(bad)) + 1
        pieces: list[Chunk | Lost] = []
        for first, last in zip([0, *edges], [*edges, len(mono)], strict=True):
            if bad[first]:
                self._lose(block.start + int(last), block.rate, "not finite")
            else:
                pieces += self._take(mono[first:last], block.start + int(first), block)
        return pieces

    def lose(self, block: Block, cause: str) -> None:
        """A block that is not taken: lost audio, told when a later block is, or at the end."""
        self._lose(block.start + len(block.samples), block.rate, cause)

    def finish(self) -> list[Chunk | Lost]:
        """The source has ended: the resampler's tail, and what was lost behind it."""
        pieces = self._flush()
        return pieces if self._lost is None else pieces + self._lost_until(*self._lost)

    def _lose(self, end: int, rate: int, cause: str) -> None:
        self._lost, self._cause = (end, rate), cause

    def _lost_until(self, sample: int, rate: int) -> list[Chunk | Lost]:
        """Lost audio up to a sample of the source at `rate`."""
        missing = (sample * self.rate + rate // 2) // rate - self._out
        cause, self._cause, self._lost = self._cause or "not delivered", "", None
        if missing <= 0:
            return []
        self._out += missing
        return [Lost(missing, cause)]

    def _take(self, mono: Floats, start: int, block: Block) -> list[Chunk | Lost]:
        """Samples of `block`, the first of which has the index `start`."""
        pieces: list[Chunk | Lost] = []
        rate = block.rate
        if self._resampler is not None and (start != self._next_in or rate != self._rate_in):
            pieces += self._flush()
        if self._resampler is None:
            self._resampler, self._rate_in = Resampler(rate, self.rate), rate
            pieces += self._lost_until(start, rate)
        self._next_in = start + len(mono)
        samples = self._resampler.push(mono)
        if len(samples):
            self._out += len(samples)
            pieces.append(Chunk(samples, block.arrival, block.wall))
        return pieces

    def _flush(self) -> list[Chunk | Lost]:
        if self._resampler is None:
            return []
        samples = self._resampler.flush()
        self._resampler = None
        self._out += len(samples)
        return [Chunk(samples, None)] if len(samples) else []
