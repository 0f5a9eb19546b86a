"""A trunk in pieces is the trunk in one piece, away from the edges of what is looked at; which networks have one."""

from itertools import accumulate

import pytest
import torch
from torch import Tensor

from glatd.trainer.backbones import BACKBONES, make_backbone
from glatd.trainer.backbones.spec import Backbone, Reach, reach
from glatd.trainer.trunk import Pieces, Trunk, pieces

REACHES = {"cnn10": Reach(16, 30, 30), "talnet": Reach(4, 30, 30), "resnet38": Reach(32, 302, 302)}


# Sizes at which a run of 5 new output frames is less than the whole.
LENGTHS = {"cnn10": 13, "talnet": 20, "resnet38": 30}  # output frames
NARROW = {"cnn10": 1.0, "talnet": 1.0, "resnet38": 0.1}  # of width 1, ResNet38 takes seconds


def made(name: str, width: float = 1.0) -> Backbone:
    """With statistics and offsets that are not those of a new network, so that a padded zero is no real neighbour."""
    torch.manual_seed(0)
    backbone = make_backbone({"name": name, "classes": 3, "width": width})
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.bias, 0.3, 0.2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # of residual blocks it begins at 0
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return backbone.eval().double()


def outline(name: str) -> Backbone:
    """Without weights: those of ResNet38 take seconds to draw."""
    with torch.device("meta"):
        return make_backbone({"name": name, "classes": 3})


def sound(backbone: Backbone, frames: int) -> Tensor:
    return torch.randn(1, frames, backbone.frontend.n_mels, dtype=torch.float64)


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_which_networks_have_a_trunk(name: str) -> None:
    assert (reach(layers) if (layers := outline(name).layers) else None) == REACHES.get(name)


@pytest.mark.parametrize("name", ["cnn10", "talnet", pytest.param("resnet38", marks=pytest.mark.slow)])
def test_reach_is_that_of_the_network(name: str) -> None:
    """The declared layers reach as far as the network does, no further and no less: by the gradient."""
    backbone, seen = made(name), REACHES[name]
    t = -(-seen.left // seen.stride) + 1
    frames = sound(backbone, seen.stride * (t + 1) + seen.right + 3 * seen.stride).requires_grad_()
    backbone.trunk(frames)[0, :, t].sum().backward()  # type: ignore[no-untyped-call]
    assert frames.grad is not None
    touched = frames.grad[0].abs().amax(1).nonzero()[:, 0]
    first, last = int(touched[0]), int(touched[-1])
    assert first == seen.stride * t - seen.left
    assert last == seen.stride * (t + 1) + seen.right - 1


@torch.no_grad()
@pytest.mark.parametrize("name", ["cnn10", "talnet", "resnet38"])
def test_in_blocks_as_in_one_piece(name: str) -> None:
    """A short window that moves by odd numbers of output frames: each run of the trunk gives what the whole gives."""
    backbone = made(name, NARROW[name])
    stride = backbone.stride
    sizes = Pieces(reach(backbone.layers), LENGTHS[name] * stride + stride // 2, step=5)
    assert sizes.rows == sizes.step + sizes.provisional < sizes.frames
    trunk = Trunk(backbone, sizes)
    assert sum(value.numel() for value in trunk.parameters()) == sum(value.numel() for value in backbone.parameters())
    hops = (1, 5, 3)  # output frames, at most a run's
    stream = sound(backbone, sizes.length + sizes.reach.left + sum(hops) * stride)
    kept = torch.zeros(1, backbone.trunk_size, 0, dtype=torch.float64)
    for at in accumulate(hops, initial=0):
        end = sizes.reach.left + sizes.length + at * stride
        if not at:
            # The first window: run after run, each but the last without its provisional frames.
            rows = range(0, sizes.frames - sizes.rows, sizes.step)
            starts = [*rows, sizes.frames - sizes.rows]
        else:
            starts = [sizes.frames - sizes.rows]
        first = end - sizes.length
        for row in starts:
            begin = first + row * stride - sizes.reach.left
            new = trunk(stream[:, begin : begin + sizes.run])
            kept = torch.cat([kept[:, :, : at + row], new], 2)
        window = kept[:, :, at : at + sizes.frames]
        whole = backbone.trunk(stream[:, first:end])
        assert window.shape == whole.shape
        torch.testing.assert_close(window[:, :, sizes.edge :], whole[:, :, sizes.edge :], atol=1e-12, rtol=0)
        # And the frames at the edge do differ: they see what was before the window.
        assert not torch.allclose(window[:, :, : sizes.edge], whole[:, :, : sizes.edge], atol=1e-6)
    single = trunk.float()(stream[:, end - sizes.run : end].float())
    torch.testing.assert_close(single.double(), whole[:, :, -sizes.rows :], atol=1e-4, rtol=1e-4)


def test_what_pieces_are_made_of() -> None:
    window, crop = pieces(outline("cnn10"), 1000), pieces(outline("cnn10"), 300)
    assert window is not None and crop is not None
    assert (window.frames, window.tail, window.provisional, window.edge) == (62, 8, 2, 2)
    assert (window.rows, window.run) == (8, 30 + 8 * 16 + 8)
    assert (crop.frames, crop.tail, crop.provisional, crop.rows) == (18, 12, 2, 8)
    # Of 3 s of TALNet, half of the output frames see an edge; of 10 s of ResNet38, whose output frames see 6.4 s, most.
    assert pieces(outline("talnet"), 400) is not None and pieces(outline("talnet"), 120) is None
    assert pieces(outline("resnet38"), 1000) is None
    for name in ("at_sca", "mn"):
        assert pieces(outline(name), 1000) is None
    with pytest.raises(ValueError, match="neither"):
        reach([(3, 2)])
