"""An engine with trunks and heads: exported, compiled, loaded; one that is damaged or refuses to be one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glatd.engines.build import GEOMETRY, build_engine, read_bundle_files
from glatd.engines.load import load_engine
from glatd.engines.manifest import Manifest, read_manifest, write_manifest
from glatd.errors import EngineError

torch = pytest.importorskip("torch")
# Exporting seven graphs takes a while; tests/daemon/test_features.py has the same graphs, run by PyTorch.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a small CNN10, exported."""
    from glatd.trainer.backbones import BACKBONES
    from glatd.trainer.bundle import write_bundle
    from glatd.trainer.export import export
    from glatd.trainer.glat import Glat, GlatSpec
    from tests.engines.tiny_cnn import TinyCNN

    folder = tmp_path_factory.mktemp("trunks") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "tiny_cnn", TinyCNN)
        torch.manual_seed(0)
        network = Glat(TinyCNN(), GlatSpec())
        network.local_stream.load_state_dict(TinyCNN().state_dict())
        write_bundle(folder, network, "tiny_cnn", {}, "MIT")
        export(folder)
    return folder


@pytest.fixture(scope="module")
def built(bundle: Path) -> Path:
    folder = bundle.with_name("engine")
    build_engine(bundle, folder)
    return folder


def test_trunk_and_head_are_the_graph_that_they_stand_for(built: Path) -> None:
    engine = load_engine(built, threads=1)
    sizes = engine.sizes
    assert [trunk.of for trunk in sizes.trunks] == ["global", "local"]
    draw = np.random.default_rng(0)
    frames = draw.normal(-60, 20, (1, sizes.window + sizes.lookback, sizes.mels)).astype(np.float32)
    window = np.ascontiguousarray(frames[:, sizes.lookback :])
    audible = np.ones((1, sizes.frames), np.float32)
    trunk = sizes.trunk_for("global")
    assert trunk is not None
    starts = [*range(0, trunk.frames - trunk.rows, trunk.rows - trunk.provisional), trunk.frames - trunk.rows]
    kept = np.zeros((1, trunk.frames, trunk.size), np.float32)
    for row in starts:
        run = frames[:, sizes.lookback - trunk.left + row * trunk.stride :][:, : trunk.run]
        kept[:, row : row + trunk.rows] = engine.extend(trunk, np.ascontiguousarray(run))
    found, whole = engine.glance_at(kept, audible), engine.look_globally(window, audible)
    np.testing.assert_allclose(found.framewise[..., 2:], whole.framewise[..., 2:], atol=2e-5)
    assert found.starts.shape == whole.starts.shape == (1, sizes.crops)

    local = sizes.trunk_for("local")
    assert local is not None and local.left == trunk.left
    scores = engine.score_crops(np.zeros((2, local.frames, local.size), np.float32))
    assert scores.shape == (2, len(engine.manifest.labels)) and (scores[0] == scores[1]).all()
    assert len(list(engine.warm_up([1], 2))) == 1 + 2 + 1 + 2


def test_it_can_be_told_to_look_at_everything(built: Path) -> None:
    engine = load_engine(built, threads=1, incremental=False)
    assert engine.sizes.trunks == () and engine.sizes.lookback == 0
    assert engine.manifest.hash == read_manifest(built).hash  # it is the same engine
    assert set(engine.graphs) == {"frontend", "global", "local"}


def test_the_manifest_says_so_only_where_it_is_so(built: Path, tmp_path: Path) -> None:
    manifest = read_manifest(built)
    assert manifest.version == 2 and len(manifest.geometry.trunks) == 2
    plain = write_manifest(tmp_path, replace(manifest, geometry=replace(manifest.geometry, trunks=())))
    assert plain.version == 1
    tree = json.loads((tmp_path / "manifest.json").read_text())
    assert "trunks" not in tree["geometry"]  # older readers know it
    assert isinstance(read_manifest(tmp_path), Manifest)


def test_sizes_that_cannot_be_are_refused(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    shutil.copytree(built, folder)
    manifest = read_manifest(folder)
    first, second = manifest.geometry.trunks
    wrong = replace(first, rows=first.provisional)
    write_manifest(folder, replace(manifest, geometry=replace(manifest.geometry, trunks=(wrong, second))))
    with pytest.raises(EngineError, match="global_trunk of 70 frames"):
        load_engine(folder)


def test_a_bundle_whose_graphs_are_not_all_there_is_refused(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    (folder / "local_head.onnx").unlink()
    assert (folder / GEOMETRY).is_file()
    with pytest.raises(EngineError, match=r"lacks local_head\.onnx; make them with"):
        read_bundle_files(folder)
