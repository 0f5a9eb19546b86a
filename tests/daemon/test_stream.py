"""Windows: where they start and end, how much of them is real, and that none is missed or given twice.

Held against the rules of "Time" in the design, written out here over plain lists of samples.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from glatd.daemon.ingest import Lost
from glatd.engines.engine import Engine, Floats
from tests.daemon.driver import HOP, Driver, offline_frames
from tests.daemon.sounds import ODD_SIZES, RATE, noise, pieces

FRAME = 320  # samples
WINDOW = 10 * RATE  # samples
STEP = HOP * FRAME  # samples a hop
AHEAD = 81  # samples that the last frame of a window waits for

Span = tuple[int, bool]  # samples, whether they are real


def expected_windows(spans: list[Span], step: int = STEP) -> list[tuple[int, int, int]]:
    """(start, end, real samples) of each window of a finite stream, by the rules."""
    total = sum(length for length, _ in spans)
    real = np.zeros(total, bool)
    begins, lasts, at = 0, [], 0  # lasts: samples of the stream that a fresh start cut off
    for length, is_real in spans:
        real[at : at + length] = is_real
        if not is_real and length >= WINDOW:
            lasts.append((begins, at))
            begins = at + length
        at += length
    lasts.append((begins, total))
    windows = []
    for number, (begin, last) in enumerate(lasts):
        final = number == len(lasts) - 1
        first_end = (begin // step + 1) * step
        ends = [end for end in range(first_end, last + 1, step) if final or end + AHEAD <= last]
        for end in ends:
            windows.append((end - WINDOW, end, int(real[max(begin, end - WINDOW) : end].sum())))
        if final and last > begin and last % step:
            start = -(-last // FRAME) * FRAME - WINDOW
            windows.append((start, last, int(real[max(begin, start) : last].sum())))
    return [window for window in windows if window[2] >= RATE]


LENGTHS = {
    "nothing": 0, "one sample": 1, "0.5 s": 16_000, "a sample less than 1 s": RATE - 1, "1 s": RATE,
    "1.5 s": 48_000, "a hop of two": 2 * STEP, "a sample less than two hops": 2 * STEP - 1, "10 s": WINDOW,
    "10 s and a sample": WINDOW + 1, "11 hops": 11 * STEP, "11 hops and 50 samples": 11 * STEP + 50,
    "11 hops and what the last frame waits for": 11 * STEP + AHEAD, "11 hops and a frame": 11 * STEP + FRAME,
    "12 s": 12 * RATE,
}


@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
def test_a_stream_gives_the_windows_of_its_length(engine: Engine, silent: Floats, length: int) -> None:
    driver = Driver(engine, silent).push([noise(length)] if length else []).finish()
    assert driver.windows == expected_windows([(length, True)])
    assert driver.stream.received == length and driver.stream.lost == 0


def test_the_windows_of_some_lengths_in_numbers(engine: Engine, silent: Floats) -> None:
    """The rules of `expected_windows` in figures that were worked out by hand."""

    def windows(length: int) -> list[tuple[int, int, int]]:
        return Driver(engine, silent).push([noise(length)]).finish().windows

    assert windows(16_000) == []  # less than 1 s is not published
    assert windows(32_000) == [(-288_000, 32_000, 32_000)]
    assert windows(48_000) == [(-272_000, 48_000, 48_000)]  # one window, and it ends at the last sample
    assert windows(61_440) == [(-258_560, 61_440, 61_440)]  # the last hop is the last window
    assert windows(61_490) == [(-258_560, 61_440, 61_440), (-258_240, 61_490, 61_490)]
    assert windows(320_000)[-2:] == [(-12_800, 307_200, 307_200), (0, 320_000, 320_000)]
    assert windows(320_001)[-1] == (320, 320_001, 319_681)  # on the grid of mel frames


def test_a_window_is_due_when_its_last_frame_is_whole(engine: Engine, silent: Floats) -> None:
    driver = Driver(engine, silent).push([noise(2 * STEP + AHEAD - 1)])
    assert driver.windows == []
    driver.push([noise(1)])
    assert driver.windows == [(2 * STEP - WINDOW, 2 * STEP, 2 * STEP)]


@pytest.mark.parametrize("hop", [32, 64, 320, 992])
def test_other_hops_follow_the_same_rules(engine: Engine, silent: Floats, hop: int) -> None:
    length = 23 * RATE + 77
    driver = Driver(engine, silent, hop).push([noise(length)]).finish()
    assert driver.windows == expected_windows([(length, True)], hop * FRAME)


@pytest.mark.parametrize("sizes", [*((size,) for size in ODD_SIZES), ODD_SIZES, (1_000_000,)], ids=str)
def test_in_blocks_is_in_one_piece(engine: Engine, silent: Floats, sizes: tuple[int, ...]) -> None:
    """To the last bit: windows, the frames in them, and levels."""
    # A block of one sample at a time needs no 13 s to show what it can break.
    samples = noise(13 * RATE + 123 if max(sizes) > 7 else 2 * STEP + AHEAD + 55)
    whole = Driver(engine, silent).push([samples]).finish()
    parts = Driver(engine, silent).push(pieces(samples, sizes)).finish()
    assert len(whole.given) >= 2
    assert parts.windows == whole.windows
    for one, other in zip(whole.given, parts.given, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        assert one.level == other.level


def test_the_frames_of_a_window_are_those_of_the_whole_signal(engine: Engine, silent: Floats) -> None:
    """Real neighbours inside, digital silence through the front end on either side; to the last bit."""
    samples = noise(12 * RATE + 5)
    driver = Driver(engine, silent).push(pieces(samples, (4096,))).finish()
    for given_ in driver.given:
        end = given_.window.end_frame
        np.testing.assert_array_equal(given_.frames, offline_frames(engine, samples, end - 1000, end))


def test_before_the_start_is_silence_through_the_front_end(engine: Engine, silent: Floats) -> None:
    first = Driver(engine, silent).push([noise(2 * STEP + AHEAD)]).given[0]
    before = 1000 - 2 * HOP
    zeros = engine.frontend(np.zeros((1, engine.sizes.block_samples), np.float32))[0]
    assert not (zeros == 0).any()
    # The last two frames before sample 0 already see what comes after it.
    np.testing.assert_array_equal(first.frames[: before - 2], np.resize(zeros, (before - 2, engine.sizes.mels)))


def test_only_real_audio_can_be_the_middle_of_a_crop(engine: Engine, silent: Floats) -> None:
    gap = (5 * RATE, 7 * RATE)
    pushed: list[Floats | Lost] = [noise(gap[0]), Lost(gap[1] - gap[0], "x"), noise(6 * RATE)]
    driver = Driver(engine, silent).push(pushed).finish()
    stride = engine.sizes.stride
    for given_ in driver.given:
        frames = np.minimum(np.arange(len(given_.audible)) * stride + stride // 2, 999)
        middles = (given_.window.end_frame - 1000 + frames) * FRAME
        real = (middles >= 0) & (middles < given_.window.end) & ~((middles >= gap[0]) & (middles < gap[1]))
        np.testing.assert_array_equal(given_.audible, real.astype(np.float32))
        assert real.any()


def test_the_level_is_that_of_the_newest_hop(engine: Engine, silent: Floats) -> None:
    samples = np.concatenate([noise(3 * STEP), np.full(STEP, 0.5, np.float32), np.zeros(STEP, np.float32)])
    driver = Driver(engine, silent).push([samples]).finish()
    assert [round(given_.level, 3) for given_ in driver.given[-2:]] == [-6.021, -120.0]


SPANS = st.lists(
    st.tuples(
        st.sampled_from([1, 100, 5_000, STEP, RATE, 2 * RATE, 9 * RATE, WINDOW - 1, WINDOW, 11 * RATE]), st.booleans()
    ),
    max_size=6,
)


@given(spans=SPANS, cut=st.sampled_from([4096, 33_333, 1_000_000]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example([(2 * RATE, True), (WINDOW - 1, False), (2 * RATE, True)], 4096)
@example([(2 * RATE, True), (WINDOW, False), (2 * RATE, True)], 4096)
@example([(12 * RATE, True), (40 * RATE, False), (RATE, True), (WINDOW, False)], 1_000_000)
@example([(3 * RATE, False), (3 * RATE, True)], 4096)
@example([(2 * RATE, True), (RATE, False), (9 * RATE, True), (100, False), (RATE, True)], 4096)
def test_any_sequence_of_audio_and_gaps_follows_the_rules(
    engine: Engine, silent: Floats, spans: list[Span], cut: int
) -> None:
    merged: list[Span] = []  # a source tells a gap once
    for length, real in spans:
        if merged and not real and not merged[-1][1]:
            length += merged.pop()[0]
        merged.append((length, real))
    driver = Driver(engine, silent)
    for seed, (length, real) in enumerate(merged):
        driver.push(pieces(noise(length, seed), (cut,)) if real else [Lost(length, "x")])
    driver.finish()
    assert driver.windows == expected_windows(merged)
    assert driver.stream.received == sum(length for length, real in merged if real)
    assert driver.stream.lost == sum(length for length, real in merged if not real)
