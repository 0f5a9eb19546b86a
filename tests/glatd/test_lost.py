"""Where time stamps tell that audio was lost, and where they only jitter."""

from fractions import Fraction

import numpy as np
import pytest

from glatd.lost import LostAudio

RATE = 48_000


def run(stamps: list[float | None], size: int, damaged: tuple[int, ...] = (), tick: float = 1.0) -> list[int]:
    """Frames of `size` samples with these stamps -> the index that each gets."""
    lost = LostAudio(RATE, tick)
    samples = np.zeros((size, 1), np.float32)
    runs = []
    for number, stamp in enumerate(stamps):
        exact = None if stamp is None else Fraction(stamp)
        runs += lost.push(exact, samples, number in damaged)
    runs += lost.flush()
    assert [len(run) for _, run in runs] == [size] * len(stamps)
    return [start for start, _ in runs]


def frames(count: int, size: int, first: int = 0) -> list[float | None]:
    return [float(first + number * size) for number in range(count)]


def test_a_stream_may_start_anywhere() -> None:
    assert run(frames(20, 960, first=5_000_000), 960) == [number * 960 for number in range(20)]


def test_no_stamps_no_loss() -> None:
    assert run([None] * 20, 960, damaged=(5,)) == [number * 960 for number in range(20)]


@pytest.mark.parametrize("lost", [960, 48_000, 960_000])
@pytest.mark.parametrize("damaged", [(), (7,)])
def test_a_jump_that_stays_is_lost_audio(lost: int, damaged: tuple[int, ...]) -> None:
    stamps = frames(7, 960) + frames(13, 960, first=7 * 960 + lost)
    assert run(stamps, 960, damaged) == stamps


def test_a_jump_at_the_very_end_is_lost_audio() -> None:
    stamps = [*frames(7, 960), 9000.0]
    assert run(stamps, 960) == stamps


def test_several_losses_add_up() -> None:
    stamps = frames(10, 960) + frames(20, 960, first=20_000) + frames(20, 960, first=60_000)
    assert run(stamps, 960) == stamps


def test_late_stamps_of_single_frames_are_jitter() -> None:
    stamps = frames(40, 576)
    stamps[10] = 10 * 576.0 + 2032  # what Vorbis does after a long block
    stamps[20] = 20 * 576.0 + 2032
    assert run(stamps, 576) == frames(40, 576)


def test_a_coarse_clock_is_jitter_and_still_tells_a_loss() -> None:
    tick = RATE / 1000  # 1 ms, as in Matroska
    exact = [number * 961.0 for number in range(20)] + [number * 961.0 + 4800 for number in range(20, 40)]
    starts = run([round(stamp / tick) * tick for stamp in exact], 961, tick=tick)
    assert starts[:20] == exact[:20]
    assert max(abs(start - stamp) for start, stamp in zip(starts, exact, strict=True)) <= tick


def test_a_short_loss_counts_only_where_damage_is_known() -> None:
    stamps = frames(10, 120) + frames(10, 120, first=1320)  # one packet of 2.5 ms
    assert run(stamps, 120) == frames(20, 120)
    assert run(stamps, 120, damaged=(10,)) == stamps


def test_a_clock_that_was_set_is_no_loss() -> None:
    for first in (0, 10**13):
        stamps = frames(10, 960, first=10**9) + frames(10, 960, first=first)
        assert run(stamps, 960) == frames(20, 960)


def test_losses_close_together_are_each_in_their_place() -> None:
    """As on a bad radio link, where a fifth of the packets is lost at random."""
    kept = np.flatnonzero(np.random.default_rng(3).random(2000) > 0.2)
    stamps: list[float | None] = [float(960 * packet) for packet in kept - kept[0]]
    assert run(stamps, 960) == stamps


def test_a_jump_beyond_the_longest_is_a_clock_that_was_set() -> None:
    lost = LostAudio(RATE, 1.0, longest_s=60.0)
    samples = np.zeros((960, 1), np.float32)
    stamps = frames(20, 960) + frames(20, 960, first=20 * 960 + 61 * RATE)
    runs = [run for stamp in stamps for run in lost.push(Fraction(stamp or 0.0), samples, False)] + lost.flush()
    assert [start for start, _ in runs] == frames(40, 960)
