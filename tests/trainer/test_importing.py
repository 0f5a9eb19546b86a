"""Published checkpoints, as they are published, become bundles; what is none is refused by name."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glatd.errors import ConfigError, DataError
from glatd.trainer.backbones.folding import fold_batchnorm
from glatd.trainer.bundle import read_bundle
from glatd.trainer.checkpoint import load_mn
from glatd.trainer.frontend import Frontend
from glatd.trainer.importing import import_checkpoint
from glatd.trainer.weak.begin import make_network
from glatd.trainer.weak.recipe import read_clip_recipe
from tests.conftest import ROOT

RECIPES = ROOT / "trainer" / "recipes"


class Evil:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Any]:
    """A checkpoint of CNN10 laid out as PANNs' are, with the weights of the golden vectors."""
    keys = json.loads((shared / "golden" / "panns_cnn10_keys.json").read_text())
    with np.load(shared / "golden" / "panns_cnn10.npz") as golden:
        scale = float(golden["Cnn10_fc_scale"])
    weights = runpy.run_path(str(shared / "golden" / "fill.py"))["filled"](keys, scale)
    state = {key: torch.from_numpy(weights[key]) if key in weights else torch.zeros(keys[key]) for key in keys}
    return {"iteration": 600_000, "model": state}


@pytest.fixture
def broken(published: dict[str, Any]) -> dict[str, Any]:
    """A copy to be spoilt."""
    return published | {"model": dict(published["model"])}


@torch.no_grad()
def test_cnn10_as_published_gives_its_published_scores(shared: Path, published: dict[str, Any], tmp_path: Path) -> None:
    torch.save(published, tmp_path / "Cnn10.pth")
    import_checkpoint(tmp_path / "Cnn10.pth", "cnn10", tmp_path / "bundle")
    model, described = read_bundle(tmp_path / "bundle")
    assert described.name == "imported-cnn10" and described.provenance["imported"] == "Cnn10.pth"
    with np.load(shared / "golden" / "panns_cnn10.npz") as golden:
        wave = torch.from_numpy(golden["wave_int16"][:1].astype(np.float32) / 32_767)
        expected = golden["Cnn10_clip"][:1]
    frames = Frontend(model.global_stream.frontend).clip(wave)
    for stream in (model.global_stream, model.local_stream):
        assert np.abs(stream.clip_logits(frames).sigmoid().numpy() - expected).max() <= 1e-4


@torch.no_grad()
def test_an_mn_as_published_is_imported_with_its_width(shared: Path, tmp_path: Path) -> None:
    model = import_checkpoint(shared / "models" / "mn04_as_mAP_432.pt", "mn", tmp_path / "bundle")
    read, described = read_bundle(tmp_path / "bundle")
    assert read.global_stream.config["width"] == 0.4
    frames = torch.randn(1, 300, 128)
    torch.testing.assert_close(read.local_stream.clip_logits(frames), model.global_stream.clip_logits(frames))
    # It may be trained on, with its BatchNorm; an export folds it, and says the same.
    begun = make_network(read_clip_recipe(RECIPES / "mn-glat.toml"), described.labels, tmp_path / "bundle")
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in begun.state_dict().items())
    fold_batchnorm(read)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in read.modules())
    expected = load_mn(shared / "models" / "mn04_as_mAP_432.pt", 0.4).clip_logits(frames)
    torch.testing.assert_close(read.local_stream.clip_logits(frames), expected, atol=1e-4, rtol=1e-4)


def test_a_key_that_is_missing_unknown_or_misshapen_is_named(broken: dict[str, Any], tmp_path: Path) -> None:
    path, state = tmp_path / "x.pth", broken["model"]

    def told(**options: str) -> str:
        torch.save(broken, path)
        with pytest.raises(DataError) as caught:
            import_checkpoint(path, options.get("backbone", "cnn10"), tmp_path / "bundle")
        return str(caught.value)

    weight = state.pop("fc1.weight")
    assert "lacks 'fc1.weight' (1 in all); is it PANNs' CNN10?" in told()
    state["fc1.weight"] = weight[:5]
    assert "has another shape at 'fc1.weight'" in told()
    state["fc1.weight"], state["fc9.weight"] = weight, weight
    assert "has the unknown key 'fc9.weight'" in told()
    assert "lacks 'classifier.2.weight'; is it an MN" in told(backbone="mn")
    assert not (tmp_path / "bundle").exists()


def test_what_is_no_checkpoint_of_tensors_is_refused(broken: dict[str, Any], tmp_path: Path) -> None:
    path, touched = tmp_path / "x.pth", tmp_path / "touched"
    torch.save(broken | {"sampler": Evil(touched)}, path)
    with pytest.raises(DataError, match="no checkpoint of plain tensors"):
        import_checkpoint(path, "cnn10", tmp_path / "bundle")
    assert not touched.exists()
    with pytest.raises(DataError, match="cannot read the checkpoint"):
        import_checkpoint(tmp_path / "absent.pth", "cnn10", tmp_path / "bundle")
    with pytest.raises(ConfigError, match="no published weights of 'talnet' are known; there are cnn10, mn, resnet38"):
        import_checkpoint(path, "talnet", tmp_path / "bundle")
