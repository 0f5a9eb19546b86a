"""Wall-clock time out of arrival times that jitter."""

import numpy as np

from glatd.daemon.clock import STEP_SECONDS, WallClock, rfc3339

RATE = 32_000
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def test_times_are_written_in_utc_with_microseconds() -> None:
    assert rfc3339(START + 25.92) == "2026-01-01T00:00:25.920000Z"
    assert rfc3339(0.0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(START) == "2026-01-01T00:00:00.000000Z"


def test_without_arrivals_the_index_tells_the_time() -> None:
    clock = WallClock(START, RATE)
    assert clock.at(48_000) == START + 1.5


def test_jitter_is_averaged_out() -> None:
    clock, generator = WallClock(0.0, RATE), np.random.default_rng(0)
    for block in range(1, 1000):
        clock.observe(320 * block, START + 0.01 * block + abs(generator.normal(0.0, 0.02)))
    assert abs(clock.at(320 * 1000) - (START + 10.0)) < 0.03


def test_time_never_goes_back_in_a_session() -> None:
    clock, generator = WallClock(0.0, RATE), np.random.default_rng(1)
    times = []
    for block in range(1, 500):
        clock.observe(320 * block, START + 0.01 * block + generator.uniform(0.0, 0.3))
        times.append(clock.at(320 * block))
    assert times == sorted(times)


def test_a_clock_that_was_set_is_followed_and_counted() -> None:
    clock = WallClock(0.0, RATE)
    for block in range(1, 100):
        clock.observe(320 * block, START + 0.01 * block)
    assert clock.steps == 0
    for shift in (+3600.0, -7200.0):
        clock.observe(320 * 100, START + 1.0 + shift)
        assert clock.at(320 * 100) == START + 1.0 + shift
    assert clock.steps == 2
    clock.observe(320 * 101, START + 1.01 - 7200.0 + 0.9 * STEP_SECONDS)
    assert clock.steps == 2
