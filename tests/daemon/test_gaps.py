"""Lost audio: told once, in its place; silence in the windows; a long gap starts afresh."""

import numpy as np
import pytest

from glatd.daemon.ingest import Chunk, Lost
from glatd.daemon.tagging import make_frames
from glatd.engines.engine import Engine, Floats
from glatd.messages import Gap
from tests.daemon.driver import HOP, Driver, offline_frames
from tests.daemon.sounds import ODD_SIZES, RATE, noise, pieces

WINDOW = 10 * RATE  # samples
STEP = HOP * 320  # samples a hop


def order(driver: Driver) -> list[tuple[str, int, int]]:
    """What was told, in order."""
    return [
        ("gap", told.start, told.end) if isinstance(told, Gap) else ("window", told.window.start, told.window.end)
        for told in driver.told
    ]


def test_a_short_gap_is_silence_and_less_filled(engine: Engine, silent: Floats) -> None:
    samples = noise(16 * RATE)
    gap = (4 * RATE + 100, 9 * RATE + 7)
    driver = Driver(engine, silent)
    driver.push([samples[: gap[0]], Lost(gap[1] - gap[0], "overload"), samples[gap[1] :]]).finish()
    with_silence = samples.copy()
    with_silence[slice(*gap)] = 0.0
    for given in driver.given:
        window = given.window
        inside = max(0, min(window.end, gap[1]) - max(window.start, gap[0]))
        assert window.real == window.end - max(0, window.start) - inside
        frames = offline_frames(engine, with_silence, window.end_frame - 1000, window.end_frame)
        np.testing.assert_array_equal(given.frames, frames)
    assert driver.stream.lost == gap[1] - gap[0]


def test_frames_inside_a_gap_are_the_front_end_of_zeros(engine: Engine, silent: Floats) -> None:
    driver = Driver(engine, silent).push([noise(3 * RATE), Lost(3 * RATE, "x"), noise(2 * RATE)]).finish()
    last = driver.given[-1]
    first = last.window.end_frame - 1000
    inside = last.frames[3 * 100 + 2 - first : 6 * 100 - 1 - first]  # frames that see nothing but the gap
    np.testing.assert_array_equal(inside, np.resize(silent, inside.shape))


def test_a_gap_is_told_once_before_the_windows_that_reach_into_it(engine: Engine, silent: Floats) -> None:
    driver = Driver(engine, silent).push([noise(3 * RATE), Lost(5 * RATE, "overload"), noise(RATE)]).finish()
    gap = ("gap", 3 * RATE, 8 * RATE)
    told = order(driver)
    assert told.count(gap) == 1
    before, after = told[: told.index(gap)], told[told.index(gap) + 1 :]
    assert all(end <= 3 * RATE for _, _, end in before) and all(end > 3 * RATE for _, _, end in after)
    (message,) = [told for told in driver.told if isinstance(told, Gap)]
    assert message.cause == "overload" and message.rate == RATE
    assert message.time == "1970-01-01T00:00:03.000000Z"


@pytest.mark.parametrize("size", [*ODD_SIZES[1:], 1_000_000])
def test_gaps_change_nothing_about_blocks_of_odd_sizes(engine: Engine, silent: Floats, size: int) -> None:
    """Windows, frames and the place of each gap in the order of messages; a gap of 12 s among them."""
    sounds = [noise(length, seed) for seed, length in enumerate((3 * RATE + 5, STEP - 1, 2 * RATE, RATE))]
    gaps = [Lost(4_000, "a"), Lost(12 * RATE + 3, "b"), Lost(7 * RATE, "c")]

    def told(size: int) -> Driver:
        driver = Driver(engine, silent)
        for number, sound in enumerate(sounds):
            driver.push(pieces(sound, (size,)))
            driver.push(gaps[number : number + 1])
        return driver.finish()

    one, other = told(10_000_000), told(size)
    assert order(one) == order(other)
    for a, b in zip(one.given, other.given, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
        np.testing.assert_array_equal(a.audible, b.audible)


def test_a_gap_of_ten_seconds_starts_afresh(engine: Engine, silent: Floats) -> None:
    before, after = noise(5 * RATE, 1), noise(4 * RATE, 2)
    driver = Driver(engine, silent).push([before, Lost(WINDOW, "x"), after]).finish()
    start = 15 * RATE
    later = [given for given in driver.given if given.window.end > start]
    # The index goes on, ends of windows stay on their grid, and nothing from before is left.
    assert all(given.window.end % STEP == 0 for given in later[:-1])
    assert later[-1].window.end == 19 * RATE and later[-1].window.real == 4 * RATE
    assert not [given for given in driver.given if 5 * RATE < given.window.end <= start]
    alone = np.concatenate([np.zeros(start, np.float32), after])
    for given in later:
        end = given.window.end_frame
        np.testing.assert_array_equal(given.frames, offline_frames(engine, alone, end - 1000, end))
        assert given.window.real == given.window.end - start


def test_a_sample_less_than_ten_seconds_goes_on(engine: Engine, silent: Floats) -> None:
    driver = Driver(engine, silent).push([noise(5 * RATE), Lost(WINDOW - 1, "x"), noise(4 * RATE)]).finish()
    inside = [given.window.real for given in driver.given if 5 * RATE < given.window.end <= 15 * RATE - 1]
    assert inside and min(inside) >= RATE


def test_gaps_that_are_out_of_sight_are_forgotten(engine: Engine, silent: Floats) -> None:
    driver = Driver(engine, silent)
    for _ in range(60):
        driver.push([noise(RATE), Lost(100, "x")])
    assert len(driver.stream.gaps) < 15


def test_a_window_that_ends_in_a_gap_is_not_as_late_as_the_gap_is_long(engine: Engine, silent: Floats) -> None:
    """Else every outage would look like overload."""
    channel = Driver(engine, silent).channel
    channel.give([Chunk(noise(1000), 100.0), Lost(2 * RATE, "gone"), Chunk(noise(STEP), 103.0)])
    assert channel.feed(lambda _: None) and channel.completed == 0.0  # what completes the first window never came
    assert channel.stream.window_due() is None  # till its frames are made
    while channel.pending:
        make_frames(engine, [channel.stream])
        while channel.stream.window_due() is not None:
            pass
        channel.feed(lambda _: None)
    assert channel.completed == 103.0
