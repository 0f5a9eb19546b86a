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
    active = np.flatnonzero(activations >= level)
    if not len(active):
        return ()
    parts = np.split(active, np.flatnonzero(np.diff(active) > 1) + 1)
    return tuple(_run(activations, level, grid, int(part[0]), int(part[-1]), crops) for part in parts)


def _run(
    activations: Floats, level: float, grid: Grid, first: int, last: int, crops: tuple[tuple[int, int, float], ...]
) -> Run:
    middle = grid.start + grid.piece // 2
    best = first + int(activations[first : last + 1].argmax())
    at, peak = min(middle + grid.piece * best, grid.end - 1), float(activations[best])
    cut, sounding = first <= grid.first, last >= grid.last
    onset = grid.start + grid.piece * first
    if not cut:
        onset = (
            middle + grid.piece * (first - 1) + _crossing(activations[first - 1], activations[first], level, grid.piece)
        )
    offset = grid.end
    if not sounding:
        offset = (
            middle
            + grid.piece * last
            + grid.piece
            - _crossing(activations[last + 1], activations[last], level, grid.piece)
        )
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


def _crossing(below: np.float32, above: np.float32, level: float, piece: int) -> int:
    """Samples from the middle of a frame below the level to where the line to the next crosses it."""
    return round(piece * float((level - below) / (above - below)))


def loudness(frames: Floats) -> Floats:
    """[n] how loud each of n front end's frames [n, M] is, in its own logarithmic unit: the mean over the bands."""
    mean: Floats = frames.mean(1)
    return mean


def sharpened(run: Run, loud: Floats, start: int, hop: int) -> Run:
    """The run with its onset where the audio steps up, if it does near there.

    Args:
        loud: [n] loudness of the window's frames.
        start: sample of the first.
        hop: samples a frame.
    """
    near = (run.onset - start) // hop
    first, last = max(STEP_MEANS, near - NEAR), min(len(loud) - STEP_MEANS, near + NEAR + 1)
    if run.cut or first >= last:
        return run
    sums = np.cumsum(loud[first - STEP_MEANS : last + STEP_MEANS], dtype=np.float64)
    sums = np.concatenate([[0.0], sums])
    after = sums[2 * STEP_MEANS :] - sums[STEP_MEANS:-STEP_MEANS]
    before = sums[STEP_MEANS:-STEP_MEANS] - sums[: -2 * STEP_MEANS]
    steps = (after - before)[: last - first] / STEP_MEANS
    best = int(steps.argmax())
    if steps[best] < STEP_SHARE * float(loud.max() - loud.min()) or steps[best] <= 0:
        return run
    return replace(run, onset=min(start + hop * (first + best), run.at))
