"""When a sound begins and ends: stretches of a class's activations, and the step in the audio itself.

An output frame of the network is 0.32 s long, so the place where an activation crosses a level is known, by
interpolation, to about 0.2 s. The frames of the front end are 10 ms long: where they step up near that place, the
sound begins at the step.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHARE = 0.5  # of the peak in the window: a class is active where its activation is at least that,
HIGHEST = 0.4  # or this,
LOWEST = 0.1  # and never below this

NEAR = 40  # frames on either side of a crossing in which the audio's own step is looked for
STEP_MEANS = 20  # frames before and after it whose means are compared
STEP_SHARE = 0.1  # of the loudness's range in the window, that a step must have


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch in which a class is active."""

    onset: int  # sample
    offset: int  # sample
    at: int  # sample of its peak
    peak: float  # activation there
    score: float  # of both streams for this stretch alone
    pieces: tuple[int, ...]  # numbers of its output frames, counted over the whole stream
    cut: bool = False  # whether it may have begun earlier than what is seen


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the output frames of a window lie."""

    start: int  # sample, of the first output frame
    piece: int  # samples an output frame
    first: int  # output frame, the first that is real audio
    last: int  # output frame, the last that is
    end: int  # sample: nothing is known of what comes then


def level_of(activations: Floats) -> float:
    """From which a class is active; activations [F]."""
    return min(HIGHEST, max(LOWEST, SHARE * float(activations.max())))


def find_runs(
    activations: Floats, level: float, grid: Grid, crops: tuple[tuple[int, int, float], ...]
) -> tuple[Run, ...]:
    """The stretches of one class, in order.

    Args:
        activations: [F].
        crops: start, end and local score of what was looked at twice.
    """
    values = activations.tolist()  # a few dozen: plain numbers are faster
    found = []
    first = None
    for index, value in enumerate([*values, -1.0]):
        if value >= level:
            first = index if first is None else first
        elif first is not None:
            found.append(_run(values, level, grid, first, index - 1, crops))
            first = None
    return tuple(found)


def _run(
    values: list[float], level: float, grid: Grid, first: int, last: int, crops: tuple[tuple[int, int, float], ...]
) -> Run:
    middle = grid.start + grid.piece // 2
    best = max(range(first, last + 1), key=values.__getitem__)
    at, peak = min(middle + grid.piece * best, grid.end - 1), values[best]
    cut, sounding = first <= grid.first, last >= grid.last
    onset = grid.start + grid.piece * first
    if not cut:
        onset = middle + grid.piece * (first - 1) + _crossing(values[first - 1], values[first], level, grid.piece)
    offset = grid.end
    if not sounding:
        offset = middle + grid.piece * last + grid.piece - _crossing(values[last + 1], values[last], level, grid.piece)
    local = [score for start, end, score in crops if start <= at < end]
    both = (peak, max(local)) if local else (peak, peak)
    return Run(
        onset=min(onset, at),
        offset=min(max(offset, at + 1), grid.end),
        at=at,
        peak=peak,
        score=0.5 * max(both) + 0.25 * sum(both),
        pieces=tuple(range(grid.start // grid.piece + first, grid.start // grid.piece + last + 1)),
        cut=cut,
    )


def _crossing(below: float, above: float, level: float, piece: int) -> int:
    """Samples from the middle of a frame below the level to where the line to the next crosses it."""
    return round(piece * (level - below) / (above - below))


@dataclass(frozen=True, slots=True)
class Steps:
    """How much louder the audio is after each frame of a window than before it."""

    rises: Floats  # [n] of the mean over STEP_MEANS frames after it, against those before it
    least: float  # that is a step
    start: int  # sample of the first frame
    hop: int  # samples a frame


def find_steps(frames: Floats, start: int, hop: int) -> Steps:
    """The steps of a window's log-mel frames [n, M]; loudness is the mean over the bands, in its logarithmic unit."""
    loud = frames.mean(1)
    sums = np.concatenate([[0.0], np.cumsum(loud, dtype=np.float64)])
    middle = sums[STEP_MEANS:-STEP_MEANS]
    rises = np.zeros(len(loud) + 1)
    rises[STEP_MEANS:-STEP_MEANS] = (sums[2 * STEP_MEANS :] - middle) - (middle - sums[: -2 * STEP_MEANS])
    least = max(1e-6, STEP_SHARE * float(loud.max() - loud.min()))
    return Steps((rises / STEP_MEANS).astype(np.float32), least, start, hop)


def sharpened(run: Run, steps: Steps) -> Run:
    """The run with its onset where the audio steps up, if it does near there."""
    near = (run.onset - steps.start) // steps.hop
    first = max(0, near - NEAR)
    part = steps.rises[first : near + NEAR + 1]
    if run.cut or not len(part):
        return run
    best = int(part.argmax())
    if part[best] < steps.least:
        return run
    return replace(run, onset=min(steps.start + steps.hop * (first + best), run.at))
