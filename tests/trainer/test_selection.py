"""Selection of crops: the published rule exactly, ties, silence, both grids."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from glatd.trainer.selection import Selection, clip_grid, first_maximum, stream_grid
from tests.conftest import SHARED, needs_shared

RATE = 32_000
TOTAL = 10 * RATE


def published(maps: NDArray[np.floating], total: int, length: int) -> list[int]:
    """The rule in plain Python for one clip: class-wise activations [K, F] -> first samples."""
    maps = maps.copy()
    frames = maps.shape[1]
    reach = (length * frames // total) // 4
    starts = []
    for row in range(len(maps)):
        t = int(np.argmax(maps[row]))
        start = total * t // frames - length // 2
        low, high = t - reach, t + reach
        if start + length >= total:
            start, low, high = total - length, frames - 2 * reach, frames
        elif start < 0:
            start, low, high = 0, 0, 2 * reach
        starts.append(start)
        maps[:, max(low, 0) : high] = 0
    return starts


@needs_shared
@pytest.mark.parametrize(("case", "seconds"), [("sel_N5_L3_T62", 3), ("sel_N3_L2_T31", 2)])
def test_clip_grid_equals_the_published_selection_to_the_sample(case: str, seconds: int) -> None:
    with np.load(SHARED / "golden" / "panns_cnn10.npz") as golden:
        maps, starts = golden[f"{case}_maps"], golden[f"{case}_starts"]
    clips, crops, frames = maps.shape
    select = Selection(clip_grid(frames, TOTAL, seconds * RATE), crops)
    logits = torch.logit(torch.from_numpy(maps).double())
    middles = select.middles(logits, torch.ones(clips, frames, dtype=torch.bool))
    assert np.array_equal(select.starts[middles].numpy(), starts)
    assert [published(maps[i], TOTAL, seconds * RATE) for i in range(clips)] == starts.tolist()


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 7),
    st.sampled_from([1, 2, 3, 4, 5, 10]),
    st.sampled_from([31, 32, 62, 100]),
)
def test_clip_grid_equals_plain_python_for_any_sizes(
    seed: int, crops: int, seconds: int, frames: int
) -> None:
    maps = np.random.default_rng(seed).uniform(0.001, 0.999, (3, crops, frames))
    select = Selection(clip_grid(frames, TOTAL, seconds * RATE), crops)
    middles = select.middles(torch.logit(torch.from_numpy(maps)), torch.ones(3, frames, dtype=torch.bool))
    assert select.starts[middles].tolist() == [published(row, TOTAL, seconds * RATE) for row in maps]


def test_classes_come_by_falling_score_and_ties_go_to_the_first() -> None:
    select = Selection(stream_grid(32, 1000, 300, 32), 4)
    logits = torch.tensor([[0.0, 5.0, 5.0, -1.0, 2.0]])
    _, classes, _ = select(logits, torch.zeros(1, 5, 32), torch.ones(1, 32, dtype=torch.bool))
    assert classes.tolist() == [[1, 2, 4, 0]]
    assert first_maximum(torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])).tolist() == [1, 0]


def test_selection_is_greedy() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, frames = torch.randn(8, 527, generator=generator), torch.randn(8, 527, 32, generator=generator)
    audible = torch.ones(8, 32, dtype=torch.bool)
    grid = stream_grid(32, 1000, 300, 32)
    whole = Selection(grid, 7)(logits, frames, audible)
    for crops in range(1, 7):
        part = Selection(grid, crops)(logits, frames, audible)
        assert all(torch.equal(a, b[:, :crops]) for a, b in zip(part, whole, strict=True))


def test_rows_of_a_batch_do_not_see_each_other() -> None:
    generator = torch.Generator().manual_seed(2)
    logits, frames = torch.randn(5, 50, generator=generator), torch.randn(5, 50, 32, generator=generator)
    audible = torch.rand(5, 32, generator=generator) > 0.3
    select = Selection(clip_grid(32, TOTAL, 3 * RATE), 5)
    together = select(logits, frames, audible)
    for row in range(5):
        alone = select(logits[row : row + 1], frames[row : row + 1], audible[row : row + 1])
        assert all(torch.equal(a[row : row + 1], b) for a, b in zip(together, alone, strict=True))


def test_the_middle_of_a_crop_is_never_silence() -> None:
    generator = torch.Generator().manual_seed(3)
    frames = torch.randn(16, 20, 32, generator=generator)
    frames[:, :, :25] += 100  # silence is tempting
    audible = (torch.arange(32) >= 25).expand(16, -1)
    for grid in (stream_grid(32, 1000, 300, 32), clip_grid(32, TOTAL, 3 * RATE)):
        _, _, middles = Selection(grid, 7)(torch.randn(16, 20, generator=generator), frames, audible)
        assert middles.min() >= 25


def test_crops_of_the_stream_grid_lie_on_one_absolute_grid() -> None:
    grid = stream_grid(32, 1000, 300, 32)
    assert all((700 - start) % 32 == 0 and 0 <= start <= 700 for start in grid.starts)
    assert max(grid.starts) == 700
    # The hop is a multiple of the stride, so the next window's crops lie on the same places.
    places = {start % 32 for start in grid.starts}
    assert places == {(start + 96) % 32 for start in grid.starts}
    middles = [32 * t + 16 for t in range(32)]
    for start, middle in zip(grid.starts, middles, strict=True):
        wanted = min(max(middle - 150, 28), 700)
        assert abs(start - wanted) <= 16


def test_both_grids_close_the_same_frames() -> None:
    clip, stream = clip_grid(32, TOTAL, 3 * RATE), stream_grid(32, 1000, 300, 32)
    assert (clip.first, clip.last) == (stream.first, stream.last)


def test_a_crop_of_the_whole_window_closes_half_of_it() -> None:
    grid = clip_grid(32, TOTAL, TOTAL)
    assert set(grid.starts) == {0}
    assert all(last - first == 16 for first, last in zip(grid.first, grid.last, strict=True))
