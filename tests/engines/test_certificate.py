"""The certificate: measured at a build, written or the build refused, read back, and touched by nobody since."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glatd.engines import certify
from glatd.engines.build import build_engine, certify_again
from glatd.engines.certificate import (
    FILE,
    TOLERANCES,
    Certificate,
    Errors,
    read_certificate,
    sealed,
    write_certificate,
)
from glatd.engines.load import load_engine
from glatd.engines.manifest import read_manifest
from glatd.engines.material import FILE as MATERIAL
from glatd.engines.material import TONE, read_material
from glatd.errors import EngineError
from tests.daemon.processes import glatd

WINDOWS = 12


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with labelled windows. Not to be changed."""
    pytest.importorskip("onnx")
    from tests.engines.answered import write_sounds
    from tests.engines.small import CLASSES, SIZES, small_bundle

    folder = small_bundle(tmp_path_factory.mktemp("certificate") / "bundle")
    write_sounds(folder, SIZES, CLASSES, WINDOWS)
    return folder


@pytest.fixture(scope="module")
def built(bundle: Path) -> Path:
    """An engine of it. Not to be changed."""
    build_engine(bundle, bundle.with_name("engine"))
    return bundle.with_name("engine")


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(built, tmp_path / "engine"))


def of(folder: Path) -> Certificate:
    found = read_certificate(folder, read_manifest(folder))
    assert found is not None
    return found


def change_material(bundle: Path, out: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a bundle whose network says something else."""
    copy = Path(shutil.copytree(bundle, out))
    with np.load(copy / MATERIAL) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(copy / MATERIAL, **arrays)
    return copy


def test_a_build_measures_its_engine(built: Path) -> None:
    found = of(built)
    assert (found.windows, found.clips, found.scenes) == (WINDOWS, 5, 6)
    assert found.engine == read_manifest(built).hash and found.computed == "float32"
    assert set(found.graphs) == {"frontend", "global", "activations", "local"}
    assert found.end_to_end.max <= 1e-5 and found.crops == found.top5 == 1.0 and found.classes == 6
    assert found.map_network == found.map_engine > 0.5 and not found.faults()


def test_the_certificate_is_not_of_what_the_engine_computes(bundle: Path, built: Path, tmp_path: Path) -> None:
    """Else the hash of an engine would change with the hour of its making."""
    plain = Path(shutil.copytree(bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns(MATERIAL)))
    assert build_engine(plain, tmp_path / "engine").hash == read_manifest(built).hash
    assert read_certificate(tmp_path / "engine", read_manifest(tmp_path / "engine")) is None


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_fast_precision_is_measured_in_it_or_says_in_what(bundle: Path, tmp_path: Path, precision: str) -> None:
    build_engine(bundle, tmp_path / "engine", precision=precision)
    found = of(tmp_path / "engine")
    assert found.precision == precision
    if found.computed == "float32":
        assert precision == "float16" and found.end_to_end.max <= 1e-5
    else:
        assert found.computed in (precision, f"{precision}, imitated") and found.end_to_end.max > 1e-5
    load_engine(tmp_path / "engine")


def test_int8_needs_labelled_clips(bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    plain = Path(shutil.copytree(bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns(MATERIAL)))
    with pytest.raises(EngineError, match=r"int8 takes its ranges from labelled clips, and .* has none; `glatd train"):
        build_engine(plain, tmp_path / "engine", precision="int8")
    assert not (tmp_path / "engine").exists()


def test_int8_is_int8_between_heads_of_float32(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf")
    from glatd.engines import build
    from glatd.engines.targets.cpu import the_core

    monkeypatch.setattr(build, "refuse", lambda faults, precision: None)  # six windows are no calibration
    build_engine(bundle, tmp_path / "engine", precision="int8")
    found = of(tmp_path / "engine")
    assert found.computed == "int8" and 1e-4 < found.end_to_end.max < 0.3
    kinds = {}
    for piece in ("input", "trunk", "head"):
        model = the_core().read_model(tmp_path / "engine" / f"global.{piece}.xml")
        kinds[piece] = sum(operation.get_type_name() == "FakeQuantize" for operation in model.get_ops())
    assert kinds["trunk"] >= 2 and kinds["input"] == kinds["head"] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays.update(fused=arrays["fused"] + 0.01), "a fused score differs by 0.01"),
        (lambda arrays: arrays.update(of_crops=arrays["of_crops"] - 0.01), "a local score differs by 0.01"),
        (lambda arrays: arrays.update({"global": arrays["global"] + 2e-5}), "global scores differ by 2e-05 on average"),
        (lambda arrays: arrays.update(starts=(arrays["starts"] + 1) % 28), "0.0% of the crops are the network's"),
        (lambda arrays: arrays.update(truth=arrays["fused"] < np.median(arrays["fused"], 0)), ""),
    ],
    ids=["fused", "local", "mean", "crops", "other labels"],
)
def test_a_build_beyond_its_tolerance_leaves_the_old_engine(
    bundle: Path, folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    other = change_material(bundle, tmp_path / "bundle", change)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    if not said:
        build_engine(other, folder)  # the network does no better by these
        return
    with pytest.raises(EngineError) as caught:
        build_engine(other, folder)
    assert said in str(caught.value) and "the engine is too far from its network" in str(caught.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert len(list(folder.parent.iterdir())) == 2  # the engine, and the bundle


def good(**changed: Any) -> Certificate:
    small = Errors(1e-4, 1e-6)
    values: dict[str, Any] = {
        "version": 1, "engine": "e", "weights_sha256": "w", "precision": "float32", "computed": "float32",
        "machine": "m", "runtime": "r", "made": "t", "windows": 200, "clips": 100, "scenes": 99, "classes": 9,
        "graphs": dict.fromkeys(("frontend", "global", "activations", "local"), small), "local": small, "fused": small,
        "end_to_end": small, "quiet_tone": 0.001, "top5": 1.0, "crops": 1.0, "map_network": 0.5, "map_engine": 0.5,
        "hash": "",
    }  # fmt: skip
    return Certificate(**values | changed)


@pytest.mark.parametrize(
    ("precision", "most", "mean", "crops", "lost"),
    [
        ("float32", 1e-3, 1e-5, 0.99, 0.0),
        ("float16", 0.02, 1e-3, 0.95, 0.002),
        ("bfloat16", 0.1, 3e-3, 0.85, 0.005),
        ("int8", 0.1, 5e-3, 0.85, 0.01),
    ],
)
def test_the_bounds_of_each_precision(precision: str, most: float, mean: float, crops: float, lost: float) -> None:
    assert set(TOLERANCES) == {"float32", "float16", "bfloat16", "int8"}
    at = {"precision": precision, "fused": Errors(most, mean), "crops": crops, "map_engine": 0.5 - lost}
    assert not good(**at).faults()
    for beyond in (
        {"fused": Errors(most * 1.01, mean)},
        {"local": Errors(most * 1.01, mean)},
        {"end_to_end": Errors(0.0, mean * 1.01)},
        {"crops": crops - 0.001},
        {"map_engine": 0.5 - lost - 0.0001},
        {"fused": Errors(float("inf"), float("nan"))},
    ):
        assert len(good(**at | beyond).faults()) == 1


@pytest.mark.parametrize(
    ("change", "seal", "said"),
    [
        (lambda tree: tree.update(crops=1.0, map_engine=0.9), False, "was changed after it was made"),
        (lambda tree: tree.update(engine="0" * 16), True, "is of the engine 0000000000000000, not of "),
        (lambda tree: tree.update(version=2), True, "has version 2, this glatd reads 1"),
        (lambda tree: tree.pop("fused"), True, "the key 'fused' is missing"),
        (lambda tree: tree["graphs"]["global"].pop("max"), True, "the key 'max' is missing"),
    ],
)
def test_a_certificate_that_was_touched_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], seal: bool, said: str
) -> None:
    tree = json.loads((folder / FILE).read_text())
    change(tree)
    if seal:
        tree["hash"] = sealed(tree)
    (folder / FILE).write_text(json.dumps(tree))
    with pytest.raises(EngineError) as caught:
        of(folder)
    assert said in str(caught.value) and str(folder / FILE) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\x00"])
def test_what_is_no_certificate_is_refused(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text)
    with pytest.raises(EngineError, match=r"cannot read|has version None"):
        of(folder)


def test_a_certificate_is_shown_verified_and_made_anew(bundle: Path, folder: Path) -> None:
    shown = glatd("engine", "show", folder)
    assert shown.returncode == 0 and "12 windows (5 clips, 6 scenes)" in shown.stdout
    (folder / FILE).unlink()
    assert "certificate      NONE" in glatd("engine", "show", folder).stdout
    verified = glatd("engine", "verify", folder)
    assert verified.returncode == 0 and "NONE: it was held against the probe alone" in verified.stdout
    again = glatd("engine", "verify", folder, "--bundle", bundle)
    assert again.returncode == 0 and "12 windows" in again.stdout and again.stdout.endswith("good\n")
    assert not of(folder).faults()


def test_verify_fails_where_the_certificate_does(folder: Path) -> None:
    write_certificate(folder, dataclasses.replace(of(folder), crops=0.5))
    verified = glatd("engine", "verify", folder)
    assert verified.returncode == 4 and "beyond           50.0% of the crops" in verified.stdout


def test_a_build_says_loudly_that_it_has_none(bundle: Path, tmp_path: Path) -> None:
    plain = Path(shutil.copytree(bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns(MATERIAL)))
    done = glatd("engine", "build", plain, "--out", tmp_path / "engine", "--no-cache")
    assert done.returncode == 0
    assert "has NO certificate" in done.stderr and f"glatd train export {plain} --data CLIPS" in done.stderr


def test_an_engine_is_held_against_its_own_network_only(bundle: Path, folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    tree = json.loads((other / "model.json").read_text())
    (other / "model.json").write_text(json.dumps(tree | {"weights_sha256": "1" * 64}))
    with pytest.raises(EngineError, match=r"was not built from .*, whose weights are others"):
        certify_again(folder, other)
    with pytest.raises(EngineError, match=r"was made for other weights or sizes than this bundle has; `glatd train"):
        build_engine(other, tmp_path / "out")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "is damaged: "),
        (lambda path: path.write_bytes(b""), "is damaged: "),
        (lambda path: np.savez(path, about=np.zeros(3, np.uint8)), "is damaged: "),
    ],
)
def test_damaged_material_is_named(
    bundle: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    from tests.engines.small import SIZES

    other = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    damage(other / MATERIAL)
    with pytest.raises(EngineError) as caught:
        read_material(other, "0" * 64, SIZES)
    assert said in str(caught.value) and "material.npz" in str(caught.value) and "again" in str(caught.value)


def test_a_batch_that_is_not_full_counts_each_window_once(
    bundle: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.engines.small import SIZES

    material = read_material(bundle, "0" * 64, SIZES)
    assert material is not None and material.about.names[0] == TONE
    alone = certify.certify(built, material)
    real = certify.load_for_certificate

    def in_fives(folder: Path) -> tuple[object, str]:
        engine, computed = real(folder)
        engine.most_windows = 5
        return engine, computed

    monkeypatch.setattr(certify, "load_for_certificate", in_fives)
    together = certify.certify(built, material)
    assert dataclasses.replace(together, made="") == dataclasses.replace(alone, made="")


def test_a_score_that_is_no_number_is_a_fault(
    bundle: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.engines.small import SIZES

    material = read_material(bundle, "0" * 64, SIZES)
    assert material is not None
    real = certify.load_for_certificate

    def broken(folder: Path) -> tuple[object, str]:
        engine, computed = real(folder)
        local = engine.graphs["local"]
        graphs = dict(engine.graphs) | {"local": lambda crops: (local(crops)[0] * np.float32("nan"),)}
        engine.graphs = graphs
        return engine, computed

    monkeypatch.setattr(certify, "load_for_certificate", broken)
    assert any("differs by inf" in fault for fault in certify.certify(built, material).faults())
