"""The search for one class's thresholds: how much would be told at each, and where that is as it should be."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from glatd.daemon.calibrate.matching import Counts

LOWEST, HIGHEST = 0.1, 0.99  # that an upper threshold can be
OFF_SHARE = 0.6  # of the upper threshold, that the lower one is: as 0.3 is of 0.5
STEP = 0.2  # of the log odds, between two candidates
TAIL, LEAST_TAIL = 30, 5  # events whose scores tell how rare higher ones are; fewer than the least tell nothing
CONFIDENCE = 0.95
ALIKE = 0.01  # of F1: thresholds between which a few labelled events do not tell
PRIOR = 3.0  # labelled events of all classes together that each class starts with

Basis = Literal["counted", "extrapolated", "few", "never", "too often", "labels"]


def log_odds(score: float) -> float:
    """Of a score, which is kept from 0 and 1."""
    score = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(score / (1 - score))


def score_of(odds: float) -> float:
    """The inverse of `log_odds`."""
    return 1 / (1 + math.exp(-odds))


def candidates() -> tuple[float, ...]:
    """Upper thresholds, evenly over the log odds, rising."""
    first, last = log_odds(LOWEST), log_odds(HIGHEST)
    count = round((last - first) / STEP)
    return tuple(round(score_of(first + (last - first) * i / count), 3) for i in range(count + 1))


def off_of(on: float) -> float:
    """The lower threshold beside an upper one."""
    return round(OFF_SHARE * on, 3)


@dataclass(frozen=True, slots=True)
class Found:
    """A class's upper threshold, and what it rests on."""

    on: float  # above 1: nothing is to be told
    basis: Basis
    told: int  # events at `on` in all that was heard; those that were false, with labels
    counts: Counts | None = None  # at `on`, with labels

    def at_most(self, hours: float) -> float:
        """False alarms an hour that are not exceeded, with CONFIDENCE."""
        return poisson_bound(self.told) / hours


def for_rate(peaks: Callable[[float], Sequence[float]], rate: float, hours: float, usual: float) -> Found:
    """The lowest threshold at which a class is told no more often than `rate` an hour.

    Where less than one event is allowed in all that was heard, none may be told, and how rare higher scores are is
    taken from the strongest events: what exceeds a high level by so much of log odds falls off exponentially (peaks
    over threshold, with the exponential of the generalised Pareto distribution).

    Args:
        peaks: the peak scores of the events that are told at an upper threshold.
        usual: threshold of a class of which nothing is known.
    """
    grid = candidates()
    allowed = math.floor(rate * hours + 1e-9)
    place = _first(grid, lambda on: len(peaks(on)) <= allowed)
    if place is None:
        return Found(2.0, "too often", len(peaks(grid[-1])))
    on = grid[place]
    if allowed >= 1:
        told = len(peaks(on))
        if place == 0 and told == 0 and poisson_bound(0) > rate * hours:  # so long a quiet proves nothing
            return Found(max(on, usual), "never", 0)
        return Found(on, "counted", told)
    start = _first(grid, lambda on: len(peaks(on)) <= TAIL)
    tail = peaks(grid[start]) if start is not None else ()
    if start is None or len(tail) < LEAST_TAIL:
        basis: Basis = "few" if len(peaks(grid[0])) else "never"
        return Found(max(on, usual), basis, 0)
    above = log_odds(grid[start])
    mean = sum(log_odds(peak) - above for peak in tail) / len(tail)
    mean *= 1 + 1 / math.sqrt(len(tail))  # its standard error: better told too seldom than too often
    level = score_of(above + mean * math.log(len(tail) / (rate * hours)))
    if level > HIGHEST:
        return Found(2.0, "too often", len(peaks(grid[-1])))
    on = max(on, round(level, 3))
    return Found(on, "extrapolated", len(peaks(on)))


def for_f1(
    counted: Callable[[float], Counts], everywhere: Callable[[float], Counts], most_false: float
) -> Found | None:
    """The threshold of the best event F1; the middle one where several are about as good.

    Args:
        counted: of the class at an upper threshold.
        everywhere: the sum over all labelled classes; PRIOR of their events steady what a few of its own say.
        most_false: false alarms that are allowed.

    Returns:
        None where no threshold keeps to that.
    """
    grid = candidates()
    steadied: list[float] = []
    for on in grid:
        of_all = everywhere(on)
        steadied.append((counted(on) + of_all * (PRIOR / max(1.0, of_all.sounds))).f1)
    fine = [i for i, on in enumerate(grid) if counted(on).false <= most_false]
    if not fine:
        return None
    best = max(fine, key=steadied.__getitem__)
    first = last = best
    while first - 1 in fine and steadied[first - 1] >= steadied[best] - ALIKE:
        first -= 1
    while last + 1 in fine and steadied[last + 1] >= steadied[best] - ALIKE:
        last += 1
    on = grid[(first + last) // 2]
    counts = counted(on)
    return Found(on, "labels", int(counts.false), counts)


def _first(grid: Sequence[float], fits: Callable[[float], bool]) -> int | None:
    """Place of the lowest threshold that fits, where all above one that fits do; None for none."""
    if not fits(grid[-1]):
        return None
    low, high = 0, len(grid) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(grid[middle]) else (middle + 1, high)
    return low


def poisson_bound(count: int) -> float:
    """The mean of a Poisson distribution that gives `count` or fewer with 1 - CONFIDENCE: 3.0 where nothing came."""
    low, high = 0.0, 10.0 + 3.0 * count
    for _ in range(60):
        mean = (low + high) / 2
        chance = math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))
        low, high = (mean, high) if chance > 1 - CONFIDENCE else (low, mean)
    return high
