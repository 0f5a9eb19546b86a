"""Lost audio, found by comparing time stamps with the samples that were decoded."""

from collections import deque
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

# Vorbis stamps the first short block after a long one late (by 448 samples in common files) and is right
# again with the next, and coarse clocks jitter: what counts is the smallest lead over this many frames on
# either side of a jump.
_FRAMES = 8
# A jump of less is jitter, unless something is known to be lost. Packets of the common codecs last 20 ms
# and more.
_TOLERANCE_S = 0.010
# A longer jump is a clock that was set, not audio that was lost.
_LONGEST_S = 24 * 3600.0

Run = tuple[int, NDArray[np.float32]]


class LostAudio:
    """Gives decoded samples their index in the stream; where audio was lost, the index moves on.

    The lead of a frame is its time stamp less the samples decoded before it. It is constant while nothing
    is lost, whatever the stamps start at. When it grows, frames are held back until it is clear that it
    stays so.
    """

    def __init__(
        self, rate: int, tick: float, tolerance_s: float = _TOLERANCE_S, longest_s: float = _LONGEST_S
    ) -> None:
        """Of samples at `rate` Hz with a clock of `tick` samples a step.

        A jump up to the tolerance is jitter, one of more than the longest a clock that was set.
        """
        self.tolerance = tolerance_s * rate  # samples
        self._known_tolerance = 2 * tick
        self._longest = longest_s * rate
        self._leads: deque[Fraction] = deque(maxlen=_FRAMES)  # of what was placed, since the last jump
        self._held: deque[tuple[Fraction | None, NDArray[np.float32], bool]] = deque()
        self._decoded = 0  # samples, lost ones not counted
        self._index = 0  # samples, lost ones counted

    def push(self, stamp: Fraction | None, samples: NDArray[np.float32], damaged: bool) -> list[Run]:
        """Take the samples of a frame.

        Args:
            stamp: time stamp of the first sample in samples; None where there is none.
            samples: float32 [n, channels].
            damaged: whether something before this frame could not be decoded.

        Returns:
            (index of the first sample, samples [n, channels]) of this frame, of earlier ones too, or of
            none yet.
        """
        lead = None if stamp is None else stamp - self._decoded
        self._decoded += len(samples)
        self._held.append((lead, samples, damaged))
        return self._settle(_FRAMES)

    def flush(self) -> list[Run]:
        """Give out what is held back, at the end of the stream."""
        return self._settle(1)

    def _settle(self, enough: int) -> list[Run]:
        """Place the frames of which it is clear where they belong; a jump is clear from `enough` frames on."""
        runs: list[Run] = []
        while self._held:
            lead, samples, damaged = self._held[0]
            if self._leads and (damaged or (lead is not None and lead - min(self._leads) > self.tolerance)):
                if len(self._held) < enough:
                    break
                least = min((ahead for ahead, _, _ in self._held if ahead is not None), default=None)
                jump = 0 if least is None else least - min(self._leads)
                if jump > (self._known_tolerance if damaged else self.tolerance):
                    if jump <= self._longest:
                        self._index += round(jump)
                    self._leads.clear()
                    lead = least
            self._held.popleft()
            if lead is not None:
                self._leads.append(lead)
            runs.append(self._place(samples))
        return runs

    def _place(self, samples: NDArray[np.float32]) -> Run:
        start = self._index
        self._index += len(samples)
        return start, samples
