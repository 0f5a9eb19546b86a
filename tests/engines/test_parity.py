"""The float32 engine against the PyTorch network that it was built from, on real sounds, from the waveform on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glatd.audio import read_mono
from glatd.engines.engine import Engine, Floats
from glatd.engines.load import default_engine, load_engine
from glatd.engines.manifest import read_manifest
from glatd.engines.verify import frames_in_blocks
from tests.conftest import ROOT, needs_shared

torch = pytest.importorskip("torch")

CLIPS = ("applause", "birds1", "car_engine", "dog", "guitar", "gunshots", "thunder", "typing")
MOST = 1e-3  # difference of a score

pytestmark = needs_shared


@pytest.fixture(scope="module")
def windows(shared: Path) -> tuple[Floats, Floats]:
    """Eight windows of 10 s with real neighbours, and what of them may be chosen; the last two begin late."""
    engine_samples = 400 + 320 * 999 + 401
    rows, audible = [], np.ones((len(CLIPS), 32), np.float32)
    for number, clip in enumerate(CLIPS):
        samples = np.pad(read_mono(shared / "audio" / "clips" / "ibm" / f"{clip}.ogg", 32_000), (400, 401))
        rows.append(np.resize(samples, engine_samples))
        if number >= len(CLIPS) - 2:
            rows[-1][: engine_samples // 2] = 0.0
            audible[number, :16] = 0.0
    return np.stack(rows), audible


def by_network(bundle: Path, samples: Floats, audible: Floats) -> dict[str, np.ndarray[Any, Any]]:
    """What the network of a bundle says, at the engine's grid."""
    from glatd.trainer.bundle import read_bundle
    from glatd.trainer.export import graphs
    from glatd.trainer.glat import cut, fuse, pool

    network, _ = read_bundle(bundle)
    modules = {name: module.eval() for name, (module, _) in graphs(network, "stream").items()}
    with torch.no_grad():
        frames = modules["frontend"](torch.from_numpy(samples))
        scores, _, starts, classes, *_ = modules["global"](frames, torch.from_numpy(audible))
        crops = cut(frames, starts, network.spec.crop)
        local = pool(modules["local"](crops.flatten(0, 1))[0].unflatten(0, starts.shape), 1)
        found = {"global_": scores, "local": local, "scores": fuse(scores, local), "starts": starts, "classes": classes}
    return {name: value.numpy() for name, value in found.items()}


def assert_parity(engine: Engine, bundle: Path, windows: tuple[Floats, Floats]) -> None:
    samples, audible = windows
    expected = by_network(bundle, samples, audible)
    look = engine.look(np.ascontiguousarray(frames_in_blocks(engine, samples)), audible)
    np.testing.assert_array_equal(look.classes, expected["classes"])
    np.testing.assert_array_equal(look.starts, expected["starts"])
    for name in ("global_", "local", "scores"):
        assert np.abs(getattr(look, name) - expected[name]).max() <= MOST, name


def test_an_engine_says_what_its_network_says(built: Path, bundle: Path, windows: tuple[Floats, Floats]) -> None:
    assert_parity(load_engine(built), bundle, windows)


def bundle_of(engine: Path, tracked: list[str]) -> Path:
    """The bundle in this repo that an engine was built from."""
    wanted = read_manifest(engine).provenance["weights_sha256"]
    for path in [ROOT / name for name in tracked if name.endswith("/model.json")]:
        if json.loads(path.read_text(encoding="utf-8"))["weights_sha256"] == wanted:
            return path.parent
    pytest.skip("the bundle of the default engine is not in this checkout")


def test_the_default_engine_says_what_its_network_says(windows: tuple[Floats, Floats], tracked: list[str]) -> None:
    assert_parity(load_engine(), bundle_of(default_engine(), tracked), windows)


@pytest.fixture(scope="module")
def mn_bundle(tmp_path_factory: pytest.TempPathFactory, windows: tuple[Floats, Floats]) -> Path:
    """A narrow MN whose normalisation has seen sound, so that its activations differ from frame to frame."""
    from glatd.trainer.backbones.mn import MN
    from glatd.trainer.bundle import write_bundle
    from glatd.trainer.export import export
    from glatd.trainer.frontend import MN_FRONTEND, Frontend
    from glatd.trainer.glat import Glat, GlatSpec

    torch.manual_seed(0)
    backbone = MN(width=0.1)
    with torch.no_grad():
        for module in backbone.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the average of everything seen
        frames = Frontend(MN_FRONTEND)(torch.from_numpy(windows[0]))
        for _ in range(3):
            backbone.train()(frames)
        last = backbone.classifier[5]
        last.load_state_dict({name: 30 * value for name, value in last.state_dict().items()})
    folder = tmp_path_factory.mktemp("mn") / "bundle"
    write_bundle(folder, Glat(backbone.eval(), GlatSpec()), "mn01", {}, "MIT")
    export(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_engine_of_mn_says_what_its_network_says(mn_bundle: Path, windows: tuple[Floats, Floats]) -> None:
    from glatd.engines.build import build_engine

    build_engine(mn_bundle, mn_bundle.with_name("engine"))
    assert_parity(load_engine(mn_bundle.with_name("engine")), mn_bundle, windows)
