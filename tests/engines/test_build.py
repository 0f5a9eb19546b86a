"""A build is whole or it is not there, and what it cannot use it names."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glatd.engines import build
from glatd.engines.build import build_engine
from glatd.engines.load import load_engine
from glatd.engines.manifest import FILE, check_files, read_manifest
from glatd.engines.targets.cpu import TARGET
from glatd.engines.verify import verify_engine
from glatd.errors import EngineError


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_build_is_an_engine_that_agrees_with_its_network(built: Path) -> None:
    manifest = read_manifest(built)
    check_files(built, manifest)
    assert {entry.name for entry in manifest.files} | {FILE} == {path.name for path in built.iterdir()}
    verdict = verify_engine(built)
    assert verdict.good and verdict.crops == 1.0
    assert max(verdict.global_, verdict.fused) <= 1e-4
    assert verdict.frames <= 1e-3  # of the logarithm, down to the floor of float32
    assert not list(built.parent.glob(".*"))  # nothing is left beside it


def test_two_builds_have_the_same_content_hash(bundle: Path, built: Path, tmp_path: Path) -> None:
    assert build_engine(bundle, tmp_path / "again").hash == read_manifest(built).hash


def test_a_fast_precision_is_another_engine_within_its_tolerance(bundle: Path, built: Path, tmp_path: Path) -> None:
    manifest = build_engine(bundle, tmp_path / "fast", precision="bfloat16")
    assert manifest.hash != read_manifest(built).hash
    assert verify_engine(tmp_path / "fast").tolerance == 0.1
    assert load_engine(tmp_path / "fast").manifest.runtime.precision == "bfloat16"


def test_a_new_build_takes_the_place_of_an_old_engine(bundle: Path, folder: Path) -> None:
    (folder / "left over").write_text("from another version")
    build_engine(bundle, folder)
    assert "left over" not in contents(folder)
    load_engine(folder)


def test_an_empty_folder_is_taken(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    build_engine(bundle, tmp_path / "out")
    load_engine(tmp_path / "out")


def test_an_error_in_the_middle_leaves_the_old_engine(
    bundle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for place, step in ((TARGET, "convert"), (build, "write_manifest"), (build, "put_in_place")):
        with monkeypatch.context() as patch:
            patch.setattr(place, step, fail)
            with pytest.raises(EngineError, match=r"cannot write .*: No space left on device; make room"):
                build_engine(bundle, folder)
        assert contents(folder) == before
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_build_that_is_killed_leaves_the_old_engine(bundle: Path, folder: Path) -> None:
    """Killed where the new engine is all but finished; what it leaves beside does not hinder the next build."""
    before = contents(folder)
    killed = (
        "import os, signal, sys; from pathlib import Path; from glatd.engines import build;"
        "build.write_manifest = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "build.build_engine(*map(Path, sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", killed, bundle, folder], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert contents(folder) == before
    load_engine(folder)
    build_engine(bundle, folder)
    load_engine(folder)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_else_in_the_way_is_left_alone(bundle: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
    else:
        out.write_text("years of work")
    with pytest.raises(EngineError, match=r"is something else \(it has no manifest\.json\); choose another --out"):
        build_engine(bundle, out)
    assert (out / "thesis.txt" if kind == "folder" else out).read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_named(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=r"cannot write .*; make room or choose another --out"):
        build_engine(bundle, tmp_path / "file" / "engine")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "model.json").unlink(), "is no weights bundle: it has no model.json"),
        (lambda folder: (folder / "local.onnx").unlink(), "lacks local.onnx; make them with `glatd train export"),
        (lambda folder: (folder / "geometry.json").unlink(), "lacks geometry.json"),
        (lambda folder: (folder / "model.json").write_text("{"), "is damaged: "),
        (lambda folder: (folder / "model.json").write_text("[]"), "the key 'name' is missing"),
        (lambda folder: (folder / "model.json").write_text('{"name": 3}'), "name = 3 must be of type str"),
        (lambda folder: (folder / "geometry.json").write_text("{}"), "the key 'rate' is missing"),
        (lambda folder: (folder / "probe.npz").write_bytes(b"PK"), "is damaged: "),
        (lambda folder: np.savez(folder / "probe.npz", x=1), "is damaged: "),
        (lambda folder: (folder / "global.onnx").write_bytes(b""), "cannot convert "),
        (
            lambda folder: (folder / "global.onnx").write_bytes((folder / "global.onnx").read_bytes()[:999]),
            "cannot convert ",
        ),
    ],
)
def test_a_bundle_that_is_damaged_is_named(
    bundle: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    broken = Path(shutil.copytree(bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns("*.pt2", "*.safetensors")))
    damage(broken)
    with pytest.raises(EngineError) as caught:
        build_engine(broken, tmp_path / "out")
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_labels_that_do_not_fit_the_classes_are_refused(bundle: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    model = json.loads((other / "model.json").read_text())
    model["labels"] = model["labels"][:-1]
    (other / "model.json").write_text(json.dumps(model))
    with pytest.raises(EngineError, match="has 526 labels for 527 classes"):
        build_engine(other, tmp_path / "out")


def test_unknown_targets_and_precisions_are_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="target 'abacus' is not known; known: cpu"):
        build_engine(bundle, tmp_path / "out", target="abacus")
    with pytest.raises(EngineError, match="precision 'int2' is not known for cpu; known: float32"):
        build_engine(bundle, tmp_path / "out", precision="int2")
