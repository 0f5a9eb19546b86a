"""Which senders are faster than real time for long."""

import numpy as np
import pytest

from glatd.daemon.sources.flood import FloodMeter
from glatd.errors import SourceError

RATE = 48_000


def run(seconds_of_sound: list[float], times: list[float]) -> float | None:
    """When it was told; None: never."""
    meter = FloodMeter("tcp://h:1", RATE)
    for sound, now in zip(seconds_of_sound, times, strict=True):
        try:
            meter.push(round(sound * RATE), 1000.0 + now)
        except SourceError:
            return now
    return None


def steady(pace: float, seconds: float) -> tuple[list[float], list[float]]:
    times = np.arange(1, round(seconds * 50) + 1) * 0.02
    return [0.02 * pace] * len(times), list(times)


@pytest.mark.parametrize("pace", [0.5, 1.0, 1.001, 1.04])
def test_real_time_is_no_flood(pace: float) -> None:
    assert run(*steady(pace, 3600)) is None


@pytest.mark.parametrize(("pace", "within"), [(1.088, 400), (2.0, 15), (5.0, 4), (100.0, 0.2)])
def test_faster_is_told_the_sooner_the_faster(pace: float, within: float) -> None:
    told = run(*steady(pace, 600))
    assert told is not None and told <= within


def test_a_burst_of_ten_seconds_is_fine_at_the_start_and_after_a_halt() -> None:
    sound, times = steady(1.0, 60)
    sound[0] += 10.0
    halt = 1500
    sound[halt] += 9.0
    times[halt:] = [now + 9.0 for now in times[halt:]]
    assert run(sound, times) is None


def test_the_pace_is_told() -> None:
    meter = FloodMeter("tcp://h:1?rate=48000", RATE)

    def send() -> None:
        for piece in range(10_000):
            meter.push(3 * RATE // 50, 7.0 + piece / 50)

    with pytest.raises(SourceError, match=r"h:1\?rate=48000: sends 3\.\d* x as fast as its rate says; check \?rate="):
        send()
