"""Every backbone behind the one interface: shapes, gradients, GL-AT on top; and the published keys of ResNet38."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from glatd.trainer.backbones import BACKBONES, make_backbone
from glatd.trainer.backbones.resnet38 import ResNet38
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.backbones.talnet import TALNet
from glatd.trainer.frontend import Frontend
from glatd.trainer.glat import Glat, GlatSpec

CLASSES = 7
COMPUTED = ("spectrogram_extractor", "logmel_extractor")  # of a published checkpoint, not learned


@pytest.fixture(params=sorted(BACKBONES))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    return make_backbone({"name": request.param, "classes": CLASSES})


def seconds(backbone: Backbone, length: float) -> int:
    """In mel frames."""
    return round(length * backbone.frontend.rate / backbone.frontend.hop)


def noise(backbone: Backbone, clips: int, length: float) -> torch.Tensor:
    sound = 0.1 * torch.randn(clips, round(length * backbone.frontend.rate))
    return Frontend(backbone.frontend).clip(sound)[:, : seconds(backbone, length)]


@torch.no_grad()
def test_shapes_and_companions(backbone: Backbone) -> None:
    """A clip has one shape whatever its companions, and scores that do not depend on them."""
    backbone.eval()
    frames = noise(backbone, 3, 3.0)
    feature = backbone.feature(frames)
    length = backbone.output_frames(frames.shape[1])
    assert feature.shape == (3, backbone.feature_size, length)
    clip, frame = backbone(frames)
    assert clip.shape == (3, CLASSES) and frame.shape == (3, CLASSES, length)
    torch.testing.assert_close(backbone.clip_logits(frames[1:2]), clip[1:2], atol=1e-4, rtol=1e-4)
    again = make_backbone(backbone.config).eval()
    again.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(again.clip_logits(frames), clip)


def test_every_weight_learns(backbone: Backbone) -> None:
    clip, frame = backbone.train()(noise(backbone, 2, 2.0))
    (clip.square().mean() + frame.square().mean()).backward()
    for name, value in backbone.named_parameters():
        assert value.grad is not None and torch.isfinite(value.grad).all(), name
        # What multiplies a BatchNorm that begins at 0 learns from the second step on.
        assert value.grad.abs().max() > 0 or "resnet" in name, name


@torch.no_grad()
def test_gl_at_stands_on_it(backbone: Backbone) -> None:
    spec = GlatSpec(seconds(backbone, 4.0), seconds(backbone, 1.0), 3, "stream")
    model = Glat(backbone, spec).eval()
    found = model(noise(backbone, 1, 4.0), torch.zeros(1, dtype=torch.int64))
    assert found.scores.shape == (1, CLASSES) and found.starts.shape == (1, 3)
    assert (found.starts >= 0).all() and (found.starts + spec.crop <= spec.window).all()


@pytest.mark.parametrize("name", sorted(BACKBONES))
@torch.no_grad()
def test_a_narrow_network_is_the_same_in_small(name: str) -> None:
    whole = make_backbone({"name": name, "classes": CLASSES})
    narrow = make_backbone({"name": name, "classes": CLASSES, "width": 0.125}).eval()
    sizes = [sum(value.numel() for value in made.parameters()) for made in (narrow, whole)]
    assert sizes[0] < sizes[1] / (4 if name == "mn" else 20)  # MN's published width is 0.4 of the MobileNet's
    if name != "mn":  # whose blocks leave out an expansion that expands nothing
        assert list(narrow.state_dict()) == list(whole.state_dict())
    clip, frame = narrow(noise(narrow, 1, 2.0))
    assert clip.shape == (1, CLASSES) and frame.shape[2] == whole.output_frames(seconds(whole, 2.0))
    assert make_backbone(narrow.config).feature_size == narrow.feature_size < whole.feature_size


def test_resnet38_has_the_keys_that_are_published(shared: Path) -> None:
    keys = json.loads((shared / "golden" / "panns_resnet38_keys.json").read_text())
    made = ResNet38()
    shapes = {name: list(value.shape) for name, value in made.state_dict().items()}
    learned = {name: shape for name, shape in keys.items() if not name.startswith(COMPUTED)}
    # BatchNorm over [B, M, T] counts as that over [B, M, T, 1] does.
    assert shapes == learned
    assert sum(value.numel() for value in made.parameters()) == pytest.approx(73.8e6, rel=2e-3)


@torch.no_grad()
def test_resnet38_at_its_full_size(shared: Path) -> None:
    keys = json.loads((shared / "golden" / "panns_resnet38_keys.json").read_text())
    weights = runpy.run_path(str(shared / "golden" / "fill.py"))["filled"](keys)
    made = ResNet38()
    missing, unknown = made.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    assert not unknown and all(key.endswith("num_batches_tracked") for key in missing)
    for frames, length in ((1001, 31), (1000, 31), (300, 9)):
        assert made.output_frames(frames) == length
    feature = made.eval().feature(-30 + 10 * torch.randn(1, 300, 64))
    assert feature.shape == (1, 2048, 9) and feature.std() > 0


@torch.no_grad()
def test_talnet_pools_as_published() -> None:
    """Linear softmax: the sum of squares over the sum, of clamped scores; a lone frame is itself."""
    made = TALNet(CLASSES).eval()
    feature = torch.randn(2, made.feature_size, 9)
    scores = made.frame_logits(feature).sigmoid().numpy().astype(np.float64)
    pooled = (scores**2).sum(2) / scores.sum(2)
    np.testing.assert_allclose(made.logits(feature).sigmoid().numpy(), pooled, atol=1e-5)
    torch.testing.assert_close(
        made.logits(feature[:, :, :1]), made.frame_logits(feature)[:, :, 0], atol=1e-3, rtol=1e-3
    )
    assert made.output_frames(400) == 100 and made.frontend.hop == 800
