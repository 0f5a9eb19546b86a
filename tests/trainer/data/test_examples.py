"""What a network is given: fairly drawn, augmented as said, the same whoever reads it and wherever a run goes on."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glatd.errors import DataError
from glatd.trainer.data.augment import AugmentSpec, gained, masked, mixed_pairs, over_background, stripes
from glatd.trainer.data.clips import Clips
from glatd.trainer.data.draws import BalancedDraws, Draws, UniformDraws
from glatd.trainer.data.examples import Example, Examples, Shares, loader
from glatd.trainer.data.labels import Labels
from glatd.trainer.scenes import SceneSpec

RATE, LENGTH = 32_000, 64_000
# Speech is in nine of ten clips, Dog in three, Rain in one, Cat in none.
ROWS = [(0,), (0, 1), (0,), (0, 2), (0,), (0,), (0,), (1,), (0, 1), (0,)]
NAMES = ("Speech", "Dog", "Rain", "Cat")
PLAIN = AugmentSpec(0.0, 0, 0, 0, 0, 0.0, 0.0, (0.0, 0.0), 0.0)
ALL = AugmentSpec(1.0, 2, 64, 2, 8, 6.0, 0.5, (5.0, 20.0), 0.5)


class Tones(Clips):
    """A tone for each clip."""

    def __init__(self) -> None:
        self.labels = Labels.of(ROWS, len(NAMES))
        self.names = [f"tone {number}" for number in range(len(ROWS))]

    def samples(self, clip: int, length: int) -> NDArray[np.float32]:
        return (0.2 * np.sin(np.arange(length) * 0.02 * (clip + 1))).astype(np.float32)


class Broken(Tones):
    """None of them can be read."""

    def samples(self, clip: int, length: int) -> NDArray[np.float32]:
        raise DataError("tone.wav has 0 samples")


def examples(spec: AugmentSpec, draws: type[BalancedDraws] | type[UniformDraws] = BalancedDraws) -> Examples:
    clips = Tones()
    return Examples(clips, draws(clips.labels, 5), spec, SceneSpec(), NAMES, None, 5, LENGTH, 200, 64)


def test_labels() -> None:
    labels = Labels.joined([Labels.of(ROWS[:4], 4), Labels.of([], 4), Labels.of(ROWS[4:], 4)])
    assert [tuple(np.flatnonzero(labels.row(clip))) for clip in range(10)] == ROWS
    assert labels.counts().tolist() == [9, 3, 1, 0] == labels.matrix().sum(0).tolist()
    assert [clips.tolist() for clips in labels.by_class()] == [[0, 1, 2, 3, 4, 5, 6, 8, 9], [1, 7, 8], [3], []]


def test_balanced_draws_are_those_of_panns() -> None:
    draws = BalancedDraws(Labels.of(ROWS, 4), 1)
    drawn = [draws(number) for number in range(3 * 18)]
    assert Counter(one for _, one in drawn) == {0: 18, 1: 18, 2: 18}  # Cat has no clip
    for begin in range(0, len(drawn), 3):  # a round has each class once
        assert {one for _, one in drawn[begin : begin + 3]} == {0, 1, 2}
    speech = [clip for clip, one in drawn if one == 0]
    assert sorted(speech[:9]) == sorted(speech[9:]) == [0, 1, 2, 3, 4, 5, 6, 8, 9] and speech[:9] != speech[9:]
    again = BalancedDraws(Labels.of(ROWS, 4), 1)
    assert [again(number) for number in reversed(range(54))] == drawn[::-1]  # in any order, from anywhere
    assert [BalancedDraws(Labels.of(ROWS, 4), 2)(number) for number in range(54)] != drawn


def test_uniform_draws_take_every_clip_once_a_pass() -> None:
    draws = UniformDraws(Labels.of([*ROWS, ()], 4), 1)
    first, second = ([draws(turn * 11 + place) for place in range(11)] for turn in (0, 1))
    assert sorted(clip for clip, _ in first) == list(range(11)) == sorted(clip for clip, _ in second)
    assert first != second
    assert dict(first) == {0: 0, 1: 1, 2: 0, 3: 2, 4: 0, 5: 0, 6: 0, 7: 1, 8: 1, 9: 0, 10: -1}


@pytest.mark.parametrize("draws", [BalancedDraws, UniformDraws])
def test_workers_give_what_this_process_gives(draws: type[Draws]) -> None:
    """Everything at once: gain, background, scenes, stripes, shares."""
    ours, theirs = (
        list(islice(loader(examples(ALL, draws), Shares(3, 4, 0, 1), workers, False), 3))  # type: ignore[arg-type]
        for workers in (0, 2)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert one.samples.shape == (4, LENGTH) and one.target.shape == (4, 4)
        assert all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_what_goes_wrong_in_a_worker_is_told_as_it_was_said_there(workers: int) -> None:
    made = examples(PLAIN)
    made._clips = Broken()
    with pytest.raises(DataError) as caught:
        list(islice(loader(made, Shares(0, 4, 0, 1), workers, False), 3))
    assert str(caught.value) == "tone.wav has 0 samples"


def test_processes_share_a_part_and_a_resumed_run_has_the_rest() -> None:
    whole = list(islice(Shares(0, 8, 0, 1), 5))
    halves = [list(islice(Shares(0, 8, rank, 2), 5)) for rank in (0, 1)]
    assert [left + right for left, right in zip(*halves, strict=True)] == whole
    assert list(islice(Shares(3, 8, 0, 1), 2)) == whole[3:]


def test_nothing_asked_for_is_nothing_done() -> None:
    plain = examples(PLAIN)
    clip, _ = BalancedDraws(Tones().labels, 5)(17)
    example: Example = plain[17]
    np.testing.assert_array_equal(example.samples, Tones().samples(clip, LENGTH))
    assert example.target.tolist() == Tones().labels.row(clip).tolist()
    assert example.share == 1.0 and example.time_stripes.shape == (0, 2)


def test_a_scene_is_labelled_with_what_is_heard_in_it() -> None:
    """Nothing but whole scenes: more than one clip's labels come together, and only theirs."""
    scenes = examples(AugmentSpec(0.0, 0, 0, 0, 0, 0.0, 0.0, (0.0, 0.0), 1.0))
    targets = torch.stack([scenes[number].target for number in range(40)])
    assert targets[:, 3].sum() == 0  # Cat
    assert ((targets[:, 1] + targets[:, 2]) == 2).any()  # no clip has both
    assert torch.isfinite(scenes[0].samples).all() and scenes[0].samples.abs().max() <= 1.0


@pytest.mark.parametrize("samples", [LENGTH, 320_000], ids=["a window of 2 s", "of 10 s"])
def test_a_scene_has_the_clip_that_was_drawn_and_no_label_of_what_is_not_in_the_window(samples: int) -> None:
    """Tones far above the background, one a class: which of them are in the window is seen in its spectrum."""
    clips, spec = Tones(), replace(PLAIN, scenes=1.0)
    clips.labels = Labels.of([(one,) for one in range(len(ROWS))], len(ROWS))
    draws = BalancedDraws(clips.labels, 5)
    loud = SceneSpec(shortest=0.5, snr=(40.0, 40.0), background=(-60.0, -60.0), texture=0.0)
    scenes = Examples(clips, draws, spec, loud, [str(one) for one in range(len(ROWS))], None, 5, samples, 200, 64)
    several = 0
    for number in range(24):
        found = scenes[number]
        assert found.target[draws(number)[0]] == 1
        power = np.abs(np.fft.rfft(found.samples.numpy())) ** 2
        at = [round(0.02 * (one + 1) / (2 * np.pi) * samples) for one in range(len(ROWS))]
        heard = np.array([power[place - 3 : place + 4].sum() for place in at]) > 0.003 * power.sum()
        assert (found.target.numpy()[~heard] == 0).all()
        several += int(found.target.sum() > 1)
    assert several > 3


def test_gain_and_background_are_as_loud_as_said() -> None:
    rng = np.random.default_rng(0)
    clip = Tones().samples(3, LENGTH)
    gains = [20 * np.log10(np.abs(gained(clip, 6.0, rng)).max() / np.abs(clip).max()) for _ in range(200)]
    assert -6 <= min(gains) < -5 and 5 < max(gains) <= 6
    assert np.abs(gained(4.9 * clip, 20.0, rng)).max() <= 1.0001
    for background in (None, rng.normal(0, 0.3, LENGTH).astype(np.float32)):
        noise = over_background(clip, background, (10.0, 10.0), rng) - clip
        assert 10 * np.log10((clip**2).mean() / (noise**2).mean()) == pytest.approx(10.0, abs=0.05)
    silence = np.zeros(100, np.float32)
    assert over_background(silence, None, (0.0, 0.0), rng) is silence


def test_stripes_hide_frames_and_bins_behind_their_mean() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([stripes(2, 64, 1000, rng) for _ in range(500)])
    widths = drawn[..., 1] - drawn[..., 0]
    assert widths.min() == 0 and widths.max() == 63 and drawn.min() >= 0 and drawn.max() <= 1000
    frames = torch.randn(3, 50, 8)
    time, mel = torch.tensor([[[5, 9]], [[0, 0]], [[48, 50]]]), torch.tensor([[[0, 0]], [[2, 3]], [[0, 0]]])
    found = masked(frames, time, mel)
    mean = frames.mean((0, 1))
    assert torch.equal(found[0, 5:9], mean.expand(4, -1)) and torch.equal(found[1, :, 2], mean[2].expand(50))
    found[0, 5:9], found[1, :, 2], found[2, 48:] = frames[0, 5:9], frames[1, :, 2], frames[2, 48:]
    assert torch.equal(found, frames)


def test_mixup_mixes_pairs() -> None:
    share = torch.tensor([0.25, 0.9, 1.0, 0.3])
    values = torch.tensor([[0.0, 4.0], [8.0, 0.0], [1.0, 1.0], [5.0, 5.0]])
    assert mixed_pairs(values, share).tolist() == [[6.0, 1.0], [1.0, 1.0]]
    assert mixed_pairs(torch.zeros(4, 5, 6), share).shape == (2, 5, 6)
