"""The bundle: what is written is what is read, and damage is named."""

import json
from pathlib import Path

import pytest
import torch

from glatd.errors import EngineError
from glatd.trainer.backbones.mn import MN
from glatd.trainer.bundle import MODEL, WEIGHTS, read_bundle, write_bundle
from glatd.trainer.glat import Glat, GlatSpec


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    write_bundle(
        tmp_path / "b", Glat(MN(width=0.1, folded=True), GlatSpec(crops=3)), "small", {"by": "test"}, "MIT"
    )
    return tmp_path / "b"


def test_round_trip(bundle: Path) -> None:
    model, described = read_bundle(bundle)
    assert (described.name, described.licence, described.glat.crops) == ("small", "MIT", 3)
    assert len(described.labels) == 527
    torch.manual_seed(0)
    before = Glat(MN(width=0.1, folded=True), GlatSpec(crops=3)).state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(
            value, before[name].half().float() if before[name].is_floating_point() else before[name]
        )


def test_damage_is_named(bundle: Path) -> None:
    weights = bundle / WEIGHTS
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    with pytest.raises(EngineError, match=WEIGHTS):
        read_bundle(bundle)
    weights.write_bytes(bytes([*whole[:-1], whole[-1] ^ 1]))
    with pytest.raises(EngineError, match=r"not the file that model\.json describes"):
        read_bundle(bundle)


def test_another_version_is_refused_by_name(bundle: Path) -> None:
    tree = json.loads((bundle / MODEL).read_text())
    (bundle / MODEL).write_text(json.dumps(tree | {"version": 2}))
    with pytest.raises(EngineError, match="version 2"):
        read_bundle(bundle)
    del tree["glat"]
    (bundle / MODEL).write_text(json.dumps(tree))
    with pytest.raises(EngineError, match="'glat' is missing"):
        read_bundle(bundle)
    with pytest.raises(EngineError, match="no weights bundle"):
        read_bundle(bundle.parent)
