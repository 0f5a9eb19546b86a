"""MN equals the published network: scores of mn04 on labelled clips."""

from pathlib import Path

import numpy as np
import pytest
import torch

from glatd.errors import DataError
from glatd.trainer.backbones import make_backbone
from glatd.trainer.backbones.mn import MN
from glatd.trainer.checkpoint import load_mn
from glatd.trainer.corpus import Clip, load_clips, read_corpus
from glatd.trainer.dataset import clip_scores
from glatd.trainer.frontend import MN_FRONTEND, Frontend
from tests.conftest import SHARED, needs_shared

PARAMETERS = 983_599  # of mn04_as, as published
TOLERANCE = 2e-3  # the reference is stored as float16


def worst_difference(every: int) -> float:
    """Largest score difference to the stored reference, over every n-th clip."""
    clips: list[Clip] = read_corpus(SHARED / "audio")
    network = load_mn(SHARED / "models" / "mn04_as_mAP_432.pt", 0.4)
    with np.load(SHARED / "audio" / "mn04_teacher.npz") as stored:
        files, scores = stored["files"].tolist(), stored["probs"]
    chosen = clips[::every]
    ours = clip_scores(network, Frontend(MN_FRONTEND), load_clips(chosen, MN_FRONTEND.rate)).numpy()
    rows = [files.index(clip.path.relative_to(SHARED / "audio").as_posix()) for clip in chosen]
    return float(np.abs(ours - scores[rows].astype(np.float32)).max())


@needs_shared
def test_scores_equal_the_published_network_on_a_slice() -> None:
    assert worst_difference(every=40) <= TOLERANCE


@needs_shared
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_scores_equal_the_published_network_on_every_clip() -> None:
    assert worst_difference(every=1) <= TOLERANCE


def test_size_and_shapes() -> None:
    network = MN(width=0.4).eval()
    assert sum(value.numel() for value in network.parameters()) == PARAMETERS
    feature = network.feature(torch.zeros(2, 1000, 128))
    assert feature.shape == (2, 384, 32)
    assert network.logits(feature).shape == (2, 527)
    assert network.frame_logits(feature).shape == (2, 527, 32)
    assert network.feature(torch.zeros(1, 300, 128)).shape == (1, 384, 10)


def test_width_is_a_parameter() -> None:
    sizes = [sum(value.numel() for value in MN(width=width).parameters()) for width in (0.1, 0.4, 1.0)]
    assert sizes == sorted(sizes)


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    plain = MN(width=0.1)
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    frames = torch.randn(2, 300, 128)
    expected = plain.eval().clip_logits(frames)
    from glatd.trainer.backbones.folding import fold_batchnorm

    fold_batchnorm(plain)
    torch.testing.assert_close(plain.clip_logits(frames), expected, atol=1e-4, rtol=1e-4)
    folded = MN(width=0.1, folded=True).eval()
    folded.load_state_dict(plain.state_dict())
    torch.testing.assert_close(folded.clip_logits(frames), expected, atol=1e-4, rtol=1e-4)


def test_config_makes_the_network_again() -> None:
    again = make_backbone(MN(width=0.1, classes=7, folded=True).config)
    assert again.clip_logits(torch.zeros(1, 300, 128)).shape == (1, 7)


def test_checkpoint_errors_name_the_key(tmp_path: Path) -> None:
    state = MN(width=0.1).state_dict()
    path = tmp_path / "broken.pt"
    del state["classifier.5.bias"]
    torch.save(state, path)
    with pytest.raises(DataError, match=r"lacks 'classifier.5.bias'"):
        load_mn(path, 0.1)
    state["classifier.5.bias"] = torch.zeros(3)
    torch.save(state, path)
    with pytest.raises(DataError, match=r"another shape at 'classifier.5.bias'"):
        load_mn(path, 0.1)
    torch.save(MN(width=0.1).state_dict() | {"more": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="unknown key 'more'"):
        load_mn(path, 0.1)


def test_a_checkpoint_that_wants_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.pt"
    torch.save({"model": Path("/")}, path)
    with pytest.raises(DataError, match="no checkpoint of plain tensors"):
        load_mn(path, 0.1)
    with pytest.raises(DataError, match="cannot read"):
        load_mn(tmp_path / "absent.pt", 0.1)
