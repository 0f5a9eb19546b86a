"""When a sound begins and ends: stretches of a class's activations, and the step in the audio itself.

An output frame of the network is 0.32 s long, so the place where an activation crosses a level is known, by
interpolation, to about 0.2 s. The frames of the front end are 10 ms long: where they step up near that place, the
sound begins at the step.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHARE = 0.5  # of the peak in the window: a class is active where its activation is at least that,
HIGHEST = 0.4  # or this,
LOWEST = 0.1  # and never below this

NEAR = 40  # frames on either side of a crossing in which the audio's own step is looked for
STEP_MEANS = 20  # frames before and after it whose means are compared
STEP_SHARE = 0.1  # of the loudness's range in the window, that a step must have


class Run(NamedTuple):
    """A stretch in which a class is active.

    A named tuple, as all that is made by the dozen in each look: they are made in a third of the time of a dataclass.
    """

    onset: int  # sample
    offset: int  # sample
    at: int  # sample of its peak
    peak: float  # activation there
    score: float  # of both streams for this stretch alone
    pieces: Sequence[int]  # numbers of its output frames, counted over the whole stream
    cut: bool = False  # whether it may have begun earlier than what is seen


class Placed(Protocol):
    """A crop that was looked at twice."""

    @property
    def start(self) -> int:
        """Sample."""

    @property
    def end(self) -> int:
        """Sample, exclusive."""

    @property
    def local(self) -> float:
        """Score of the local stream."""


class Grid(NamedTuple):
    """Where the output frames of a window lie."""

    start: int  # sample, of the first output frame
    piece: int  # samples an output frame
    first: int  # output frame, the first that is real audio
    last: int  # output frame, the last that is
    end: int  # sample: nothing is known of what comes then


def level_of(activations: Sequence[float]) -> float:
    """From which a class is active; activations [F], as plain numbers: of a few dozen, they are faster than arrays."""
    return min(HIGHEST, max(LOWEST, SHARE * max(activations)))


def find_runs(
    activations: Sequence[float], level: float, grid: Grid, crops: Sequence[Placed], since: int = -(1 << 62)
) -> list[Run]:
    """The stretches of one class, in order.

    Args:
        activations: [F].
        crops: what was looked at twice.
        since: sample before which no peak matters.
    """
    found = []
    first = None
    for index, value in enumerate((*activations, -1.0)):
        if value >= level:
            first = index if first is None else first
        elif first is not None:
            run = _run(activations, level, grid, first, index - 1, crops)
            if run.at >= since:
                found.append(run)
            first = None
    return found


def _run(values: Sequence[float], level: float, grid: Grid, first: int, last: int, crops: Sequence[Placed]) -> Run:
    middle = grid.start + grid.piece // 2
    peak = max(values[first : last + 1])
    at = min(middle + grid.piece * values.index(peak, first), grid.end - 1)
    cut, sounding = first <= grid.first, last >= grid.last
    onset = grid.start + grid.piece * first
    if not cut:
        onset = middle + grid.piece * (first - 1) + _crossing(values[first - 1], values[first], level, grid.piece)
    offset = grid.end
    if not sounding:
        offset = middle + grid.piece * last + grid.piece - _crossing(values[last + 1], values[last], level, grid.piece)
    local = [crop.local for crop in crops if crop.start <= at < crop.end]
    other = max(local) if local else peak
    return Run(
        onset=min(onset, at),
        offset=min(max(offset, at + 1), grid.end),
        at=at,
        peak=peak,
        score=0.5 * max(peak, other) + 0.25 * (peak + other),
        pieces=range(grid.start // grid.piece + first, grid.start // grid.piece + last + 1),
        cut=cut,
    )


def _crossing(below: float, above: float, level: float, piece: int) -> int:
    """Samples from the middle of a frame below the level to where the line to the next crosses it."""
    return round(piece * (level - below) / (above - below))


class Steps(NamedTuple):
    """How much louder the audio is after each frame of a window than before it."""

    rises: NDArray[np.float64]  # of the sum over STEP_MEANS frames from frame `first` + i on, against those before it
    least: float  # that is a step
    first: int  # frame
    start: int  # sample of frame 0
    hop: int  # samples a frame


def find_steps(loud: Floats, start: int, hop: int) -> Steps:
    """The steps in the loudness [n] of a window's frames, in whatever logarithmic unit."""
    sums = np.zeros(len(loud) + 1)
    np.cumsum(loud, dtype=np.float64, out=sums[1:])
    rises = sums[2 * STEP_MEANS :] + sums[: -2 * STEP_MEANS] - 2 * sums[STEP_MEANS:-STEP_MEANS]
    least = max(1e-6, STEP_SHARE * float(loud.max() - loud.min()))
    return Steps(rises, STEP_MEANS * least, STEP_MEANS, start, hop)


def sharpened(run: Run, steps: Steps) -> Run:
    """The run with its onset where the audio steps up, if it does near there."""
    if run.cut:
        return run
    near = (run.onset - steps.start) // steps.hop - steps.first
    first = max(0, near - NEAR)
    part = steps.rises[first : max(0, near + NEAR + 1)]
    if not len(part):
        return run
    best = int(part.argmax())
    if part[best] < steps.least:
        return run
    return run._replace(onset=min(steps.start + steps.hop * (steps.first + first + best), run.at))
