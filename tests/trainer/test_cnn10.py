"""CNN10 equals the published network: golden vectors of the reference implementation."""

import json
import runpy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glatd.trainer.backbones import make_backbone
from glatd.trainer.backbones.cnn10 import CNN10
from glatd.trainer.frontend import PANNS_FRONTEND, Frontend

PARAMETERS = 5_219_279  # as published
Golden = Mapping[str, NDArray[np.generic]]


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    with np.load(shared / "golden" / "panns_cnn10.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def network(shared: Path, golden: Golden) -> CNN10:
    """With the weights that the golden vectors were computed with."""
    keys = json.loads((shared / "golden" / "panns_cnn10_keys.json").read_text())
    filled = runpy.run_path(str(shared / "golden" / "fill.py"))["filled"]
    weights = filled(keys, float(golden["Cnn10_fc_scale"]))
    made = CNN10()
    missing, unknown = made.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=False)
    assert not unknown and all(key.endswith("num_batches_tracked") for key in missing)
    return made.eval()


@pytest.fixture(scope="module")
def waves(golden: Golden) -> torch.Tensor:
    return torch.from_numpy(golden["wave_int16"].astype(np.float32) / 32_767)


@torch.no_grad()
def test_log_mel_equals_the_published(golden: Golden, waves: torch.Tensor) -> None:
    frames = Frontend(PANNS_FRONTEND).clip(waves)
    assert frames.shape == (2, 1001, 64)
    assert np.abs(frames[:, ::10].numpy() - golden["logmel"][:, 0]).max() <= 1e-3  # dB


@torch.no_grad()
def test_feature_and_scores_equal_the_published(golden: Golden, waves: torch.Tensor, network: CNN10) -> None:
    frontend = Frontend(PANNS_FRONTEND)
    feature = network.feature(frontend.clip(waves))
    assert feature.shape == tuple(golden["Cnn10_fm_shape"]) == (2, 512, 62)
    assert np.abs(feature[:, ::8].numpy() - golden["Cnn10_fm"]).max() <= 1e-4
    scores = network.logits(feature).sigmoid()
    assert np.abs(scores.numpy() - golden["Cnn10_clip"]).max() <= 1e-4
    short = network.clip_logits(frontend.clip(waves[:, 100_000:196_000])).sigmoid()
    assert np.abs(short.numpy() - golden["Cnn10_clip3s"]).max() <= 1e-4


@torch.no_grad()
def test_a_frame_activation_is_the_classifier_on_that_frame(network: CNN10) -> None:
    """Pooling doubles a lone frame (its maximum and its mean), so half of one is that frame."""
    feature = torch.rand(2, 512, 5)
    activations = network.frame_logits(feature)
    assert activations.shape == (2, 527, 5)
    alone = network.logits(feature[:, :, 3:4] / 2)
    torch.testing.assert_close(activations[:, :, 3], alone, atol=1e-4, rtol=1e-4)


def test_size_and_shapes() -> None:
    made = CNN10().eval()
    assert sum(value.numel() for value in made.parameters()) == PARAMETERS
    for frames in (1000, 1001, 300, 301, 96, 16):
        feature = made.feature(torch.zeros(1, frames, 64))
        assert feature.shape == (1, 512, made.output_frames(frames))
    again = make_backbone(CNN10(classes=7, dropout=False).config)
    assert again.clip_logits(torch.zeros(2, 300, 64)).shape == (2, 7)


@pytest.mark.parametrize("training", [True, False], ids=["training", "frozen"])
def test_gradients_equal_those_of_float64(training: bool) -> None:
    """On frames in a transposed view, where BatchNorm2d as published has wrong gradients."""
    torch.manual_seed(0)
    single = CNN10(classes=5, dropout=False).train(training)
    single.bn0.running_mean.fill_(-30.0)
    single.bn0.running_var.fill_(400.0)
    double = CNN10(classes=5, dropout=False).double().train(training)
    double.load_state_dict(single.state_dict())
    frames = Frontend(PANNS_FRONTEND).clip(0.1 * torch.randn(2, 20_000)).mT.contiguous().mT
    assert not frames.is_contiguous()
    gradients = []
    for made, given in ((single, frames), (double, frames.double())):
        clip, frame = made(given)
        (clip.square().mean() + frame.square().mean()).backward()
        gradients.append([value.grad for value in made.parameters()])
    for mine, exact in zip(*gradients, strict=True):
        assert mine is not None and exact is not None
        error = float((mine.double() - exact).norm() / exact.norm().clamp(min=1e-9))
        assert error <= 2e-2  # the wrong ones are off by more than their own size


def test_the_stream_equals_the_clip_away_from_its_edges() -> None:
    frontend = Frontend(PANNS_FRONTEND)
    spec = frontend.spec
    assert (spec.left, spec.right) == (512, 512)
    sound = 0.1 * torch.randn(1, 20_000, generator=torch.Generator().manual_seed(0))
    streamed = frontend(sound[:, 320 * 2 - 512 :])
    torch.testing.assert_close(streamed, frontend.clip(sound)[:, 2 : 2 + streamed.shape[1]], atol=1e-3, rtol=0)
    silent = frontend(torch.zeros(1, 1024))
    assert silent.shape == (1, 1, 64) and torch.allclose(silent, torch.tensor(spec.silence))
    assert spec.silence == pytest.approx(-100.0)
