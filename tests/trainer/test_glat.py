"""The two-stream network."""

import pytest
import torch

from glatd.trainer.backbones.mn import MN
from glatd.trainer.glat import Glat, GlatSpec, cut, fuse, pool
from glatd.trainer.looker import Network
from tests.engines.tiny import Tiny


@pytest.fixture(scope="module")
def model() -> Glat:
    """A small GL-AT with weights that make it prefer something."""
    torch.manual_seed(4)
    glat = Glat(MN(width=0.1, folded=True), GlatSpec(crops=5)).eval()
    for value in glat.parameters():
        if value.dim() > 1:
            torch.nn.init.normal_(value, 0, (2 / value[0].numel()) ** 0.5)
    return glat


def test_pooling_is_half_of_max_and_mean() -> None:
    scores = torch.tensor([[[0.2, 0.9], [0.6, 0.1]]])
    torch.testing.assert_close(pool(scores, 1), torch.tensor([[0.5, 0.7]]))
    torch.testing.assert_close(fuse(torch.tensor([[0.2]]), torch.tensor([[0.6]])), torch.tensor([[0.5]]))


def test_cut_takes_the_frames_that_starts_name() -> None:
    frames = torch.arange(2 * 50 * 3).reshape(2, 50, 3).float()
    crops = cut(frames, torch.tensor([[0, 40], [7, 3]]), 10)
    assert crops.shape == (2, 2, 10, 3)
    assert torch.equal(crops[1, 0], frames[1, 7:17])
    assert torch.equal(crops[0, 1], frames[0, 40:50])


def test_output_equals_the_streams_run_by_hand(model: Glat) -> None:
    frames = torch.randn(3, 1000, 128)
    output = model(frames, torch.zeros(3, dtype=torch.int64))
    assert output.starts.shape == output.classes.shape == (3, 5)
    for row in range(3):
        for k in range(5):
            start = int(output.starts[row, k])
            crop = frames[row : row + 1, start : start + 300]
            expected = model.local_stream.clip_logits(crop)[0]
            torch.testing.assert_close(output.crop_logits[row, k], expected, atol=1e-4, rtol=1e-4)
    by_hand = pool(torch.stack([output.global_scores, pool(output.crop_logits.sigmoid(), 1)]), 0)
    torch.testing.assert_close(output.scores, by_hand)


def test_the_streams_have_weights_of_their_own(model: Glat) -> None:
    ours = {id(value) for value in model.global_stream.parameters()}
    assert not ours & {id(value) for value in model.local_stream.parameters()}


@torch.no_grad()
def test_what_is_no_number_is_not_chosen() -> None:
    """Where every logit is negative, a 0 in the place of NaN would be the highest; of a class, and of a moment."""
    torch.manual_seed(0)
    tiny = Tiny(20)
    tiny.output.bias.fill_(-40.0)
    tiny.output.bias[7] = torch.nan
    glat = Glat(tiny, GlatSpec(crops=5)).eval()
    frames = torch.randn(2, 1000, 128)
    frames[1, 500:520] = torch.nan
    output = glat(frames, torch.zeros(2, dtype=torch.int64))
    assert (output.global_logits[0].nan_to_num(-1) < 0).all() and output.frame_logits[1].isnan().any()
    assert 7 not in output.classes[0]
    middles = output.starts[1] + glat.spec.crop // 2
    assert not ((middles > 490) & (middles < 530)).any()
    starts = Network(glat).look_globally(frames, torch.zeros(2, dtype=torch.int64))[1]["clip"]
    assert torch.equal(starts, output.starts)


def test_selection_takes_no_gradient(model: Glat) -> None:
    model.zero_grad()
    output = model(torch.randn(2, 1000, 128), torch.zeros(2, dtype=torch.int64))
    output.local_scores.sum().backward()
    assert all(value.grad is None for value in model.global_stream.parameters())
    assert any(value.grad is not None for value in model.local_stream.parameters())


@pytest.mark.parametrize("grid", ["clip", "stream"])
def test_crops_lie_inside_the_window(grid: str) -> None:
    glat = Glat(MN(width=0.1, classes=20), GlatSpec(grid=grid, crops=7)).eval()
    output = glat(torch.randn(2, 1000, 128), torch.tensor([0, 600]))
    assert output.starts.min() >= 0
    assert output.starts.max() <= 700
