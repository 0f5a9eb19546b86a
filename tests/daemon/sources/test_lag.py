"""Loss told from a clock: never where samples are only late, always where they are missing."""

import numpy as np
import pytest

from glatd.daemon.sources.lag import LagMeter

RATE = 48_000
BLOCK = 480  # samples, 10 ms


def run(arrivals: np.ndarray, lost_before: dict[int, int], flagged: bool = False) -> list[tuple[int, int]]:
    """Feed blocks that arrive at `arrivals` [s]; (block, samples told as lost) where any were."""
    meter = LagMeter(RATE)
    end, told = 0, []
    for block, now in enumerate(arrivals):
        end += BLOCK
        lost = meter.lost(float(now), end, flagged and block in lost_before)
        end += lost
        if lost:
            told.append((block, lost))
    return told


def steady(seconds: float, ppm: float = 0.0) -> np.ndarray:
    return np.arange(1, round(seconds * 100) + 1) * 0.01 * (1 + ppm * 1e-6) + 1000.0


@pytest.mark.parametrize("ppm", [-200.0, 0.0, 200.0])
def test_drift_and_bursts_are_no_loss(ppm: float) -> None:
    arrivals = steady(600, ppm)
    rng = np.random.default_rng(0)
    for late in rng.integers(
        0, len(arrivals), 300
    ):  # the machine is busy for up to 0.4 s, then all come at once
        until = arrivals[late] + rng.uniform(0, 0.4)
        arrivals[late:] = np.maximum(arrivals[late:], until)
    assert run(arrivals, {}) == []


def test_a_long_halt_of_our_own_is_no_loss() -> None:
    arrivals = steady(20)
    arrivals[500:] = np.maximum(arrivals[500:], arrivals[500] + 5.0)  # and then 5 s at once
    assert run(arrivals, {}) == []


@pytest.mark.parametrize("seconds", [0.15, 1.0, 8.0])
def test_what_is_missing_is_told_once_within_a_second(seconds: float) -> None:
    arrivals = steady(30)
    arrivals[1000:] += seconds
    ((block, lost),) = run(arrivals, {})
    assert 1000 <= block <= 1100
    assert abs(lost - seconds * RATE) <= 1


def test_what_the_driver_flags_is_told_at_once_even_if_it_is_short() -> None:
    arrivals = steady(30)
    arrivals[1000:] += 0.02
    assert run(arrivals, {1000: 1}, flagged=True) == [(1000, 960)]


def test_a_flag_without_loss_tells_nothing() -> None:
    assert run(steady(30), {1000: 1}, flagged=True) == []
