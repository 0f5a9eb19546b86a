"""From a source's blocks to mono at the engine's rate: the same whatever the blocks, and every loss named."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glatd.audio import Block, Resampler
from glatd.daemon.ingest import LOUDEST, Chunk, Ingest, Lost
from tests.daemon.sounds import ODD_SIZES, RATE, Floats, noise, pieces

RATES = (8_000, 16_000, 32_000, 44_100, 48_000, 96_000, 192_000)


def through(samples: Floats, rate: int, sizes: tuple[int, ...], start: int = 0) -> list[Chunk | Lost]:
    """Everything that comes out for a recording in blocks of these sizes."""
    ingest, at, came = Ingest(RATE), start, []
    for piece in pieces(samples.reshape(len(samples), -1), sizes):
        came += ingest.push(Block(at, piece, rate, None))
        at += len(piece)
    return came + ingest.finish()


def joined(came: list[Chunk | Lost]) -> list[Any]:
    """Chunks that follow each other in one, as lists that compare."""
    parts: list[Any] = []
    for piece in came:
        if isinstance(piece, Lost):
            parts.append(piece)
        elif parts and isinstance(parts[-1], list):
            parts[-1] += piece.samples.tolist()
        else:
            parts.append(piece.samples.tolist())
    return parts


@pytest.mark.parametrize("rate", RATES)
def test_resampled_blocks_of_odd_sizes_are_one_piece_to_the_last_bit(rate: int) -> None:
    samples = noise(rate // 2 + 77)
    (whole,) = joined(through(samples, rate, (10**9,)))
    assert len(whole) == int(len(samples) * RATE / rate + 0.5)
    for size in ODD_SIZES:
        assert joined(through(samples, rate, (size,))) == [whole]
    assert joined(through(samples, rate, ODD_SIZES)) == [whole]


def test_the_rate_of_the_engine_passes_untouched() -> None:
    samples = noise(5_000)
    assert joined(through(samples, RATE, (321,))) == [samples.tolist()]


def test_channels_are_averaged() -> None:
    left, right = noise(1_000, 1), noise(1_000, 2)
    (mono,) = joined(through(np.stack([left, right], 1), RATE, (7,)))
    np.testing.assert_array_equal(np.float32(mono), (left + right) / np.float32(2))


BAD = st.lists(
    st.tuples(st.integers(0, 2_999), st.integers(1, 700), st.sampled_from([np.nan, np.inf, -np.inf, 1e30])), max_size=4
)


@given(bad=BAD, rate=st.sampled_from([32_000, 44_100, 48_000]), size=st.sampled_from(ODD_SIZES[1:]))
@settings(max_examples=40)
def test_samples_that_are_no_audio_are_lost_in_their_place(
    bad: list[tuple[int, int, float]], rate: int, size: int
) -> None:
    samples = noise(3_000)
    for start, length, value in bad:
        samples[start : start + length] = value
    good = np.abs(samples) <= LOUDEST
    came = through(samples, rate, (size,))
    assert joined(came) == joined(through(samples, rate, (10**9,)))
    assert all(np.isfinite(piece.samples).all() for piece in came if isinstance(piece, Chunk))
    assert all(piece.cause == "not finite" and piece.samples > 0 for piece in came if isinstance(piece, Lost))
    out = sum(piece.samples if isinstance(piece, Lost) else len(piece.samples) for piece in came)
    # Each piece of audio starts at its own place, rounded to a sample, and so does the end.
    assert abs(out - len(samples) * RATE / rate) <= 1
    if rate == RATE:
        assert out == len(samples)
        assert sum(piece.samples for piece in came if isinstance(piece, Lost)) == np.count_nonzero(~good)
        whole = np.concatenate([
            np.full(piece.samples, np.nan, np.float32) if isinstance(piece, Lost) else piece.samples for piece in came
        ])
        np.testing.assert_array_equal(whole[good], samples[good])
        assert np.isnan(whole[~good]).all()


def test_one_bad_channel_loses_the_sample() -> None:
    samples = np.stack([noise(100, 1), noise(100, 2)], 1)
    samples[40:50, 1] = np.nan
    samples[60, :] = np.inf, -np.inf
    lost = [piece for piece in through(samples, RATE, (7,)) if isinstance(piece, Lost)]
    assert lost == [Lost(10, "not finite"), Lost(1, "not finite")]


def test_a_sum_of_channels_beyond_float32_is_no_audio_and_no_warning() -> None:
    samples = np.full((10, 2), 3e38, np.float32)
    assert through(samples, RATE, (10,)) == [Lost(10, "not finite")]


def test_loud_is_not_lost() -> None:
    samples = np.full(10, 32_768.0, np.float32)  # whole numbers that someone forgot to scale
    assert joined(through(samples, RATE, (10,))) == [samples.tolist()]


def test_a_jump_of_the_index_is_a_loss() -> None:
    ingest, audio = Ingest(RATE), noise(960).reshape(-1, 1)
    first = ingest.push(Block(0, audio, 48_000, None))
    second = ingest.push(Block(48_960, audio, 48_000, None)) + ingest.finish()
    # The rest of the first 20 ms, which the resampler held back; the second that is missing; the new start.
    tail, lost, *rest = second
    assert isinstance(tail, Chunk) and isinstance(lost, Lost)
    assert sum(len(piece.samples) for piece in (*first, tail) if isinstance(piece, Chunk)) == 640
    assert lost == Lost(32_000, "not delivered")
    assert joined(rest) == joined(through(audio[:, 0], 48_000, (960,)))


def test_blocks_that_were_not_taken_are_lost_with_their_cause() -> None:
    ingest, audio = Ingest(RATE), noise(100).reshape(-1, 1)
    ingest.push(Block(0, audio, RATE, None))
    ingest.lose(Block(100, audio, RATE, None), "overload")
    ingest.lose(Block(200, audio, RATE, None), "overload")
    lost, chunk = ingest.push(Block(300, audio, RATE, None))
    assert lost == Lost(200, "overload") and isinstance(chunk, Chunk)


def test_what_is_lost_at_the_end_is_told_at_the_end() -> None:
    ingest, audio = Ingest(RATE), noise(150).reshape(-1, 1)
    ingest.push(Block(0, audio, 48_000, None))
    ingest.lose(Block(150, audio, 48_000, None), "overload")
    *_, lost = ingest.finish()
    assert lost == Lost(100, "overload")
    assert ingest.finish() == []


def test_nothing_but_bad_samples_is_one_loss() -> None:
    assert through(np.full(4_800, np.nan, np.float32), 48_000, (7,)) == [Lost(3_200, "not finite")]


def test_a_change_of_the_rate_goes_on_at_its_place() -> None:
    ingest = Ingest(RATE)
    came = ingest.push(Block(0, noise(48_000).reshape(-1, 1), 48_000, None))
    came += ingest.push(Block(44_100, noise(44_100, 1).reshape(-1, 1), 44_100, None)) + ingest.finish()
    assert [part for part in joined(came) if isinstance(part, Lost)] == []
    assert sum(len(part) for part in joined(came)) == 2 * RATE


def test_a_later_start_is_a_loss_at_the_start() -> None:
    assert through(noise(32_000), RATE, (4096,), start=16_000)[0] == Lost(16_000, "not delivered")


def test_the_arrival_of_a_block_is_kept() -> None:
    (chunk,) = Ingest(RATE).push(Block(0, noise(10).reshape(-1, 1), RATE, 5.0))
    assert isinstance(chunk, Chunk) and chunk.arrival == 5.0


def test_a_resampler_can_be_used_again_after_its_end() -> None:
    samples, resampler = noise(4_800), Resampler(48_000)
    first = np.concatenate([resampler.push(samples), resampler.flush()])
    second = np.concatenate([resampler.push(samples), resampler.flush()])
    np.testing.assert_array_equal(first, second)
