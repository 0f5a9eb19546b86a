"""Loading: a broken engine is refused in one line before anything runs, a good one takes what it should."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glatd.engines.load import default_engine, load_engine
from glatd.engines.manifest import FILE, content_hash, file_entry
from glatd.errors import EngineError
from tests.daemon.processes import glatd


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest, and give it a hash that fits."""
    tree = json.loads((folder / FILE).read_text(encoding="utf-8"))
    change(tree)
    tree["hash"] = content_hash(tree)
    (folder / FILE).write_text(json.dumps(tree), encoding="utf-8")


def cut(path: Path, bytes_: int = 1) -> None:
    path.write_bytes(path.read_bytes()[:-bytes_])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "is no engine: it has no manifest.json"),
    "no manifest": (lambda folder: (folder / FILE).unlink(), "is no engine: it has no manifest.json"),
    "bad JSON": (lambda folder: cut(folder / FILE, 2), "cannot read "),
    "changed manifest": (
        lambda folder: (folder / FILE).write_text((folder / FILE).read_text().replace('"Speech"', '"Screech"')),
        "was changed after it was built",
    ),
    "another version": (
        lambda folder: edit(folder, lambda tree: tree.update(version=3)),
        "has version 3, this glatd reads up to 2",
    ),
    "a key less": (lambda folder: edit(folder, lambda tree: tree.pop("licence")), "the key 'licence' is missing"),
    "a file less": (
        lambda folder: (folder / "global.bin").unlink(),
        "global.bin is missing; copy the whole folder again",
    ),
    "a file cut short": (lambda folder: cut(folder / "local.bin"), "local.bin has "),
    "a changed file": (lambda folder: flip(folder / "frontend.bin"), "frontend.bin is damaged (hash "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_engine_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    damage, said = BROKEN[name]
    folder = Path(shutil.copytree(default_engine(), tmp_path / "engine"))
    damage(folder)
    done = glatd("replay", "a.wav", "--engine", folder)
    assert done.returncode == 4 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("glatd: ") and said in line and str(folder) in line and ("again" in line or "build" in line)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda tree: tree["runtime"].update(target="tensorrt"),
            "cannot run here: the runtime 'openvino' is not known",
        ),
        (lambda tree: tree["runtime"].update(precision="int2"), "has precision 'int2', this glatd knows float32"),
        (lambda tree: tree["geometry"].update(frames=30), "frames 30 for a window of 1000 at stride 32"),
        (lambda tree: tree["geometry"].update(crop=1001), "a crop of 1001 in a window of 1000"),
        (lambda tree: tree["geometry"].update(crops=0), "0 crops"),
        (lambda tree: tree["geometry"].update(block=16), "blocks of 16 frames at stride 32"),
        (lambda tree: tree.update(labels=[]), "0 labels"),
        (lambda tree: tree["geometry"].update(window=1024), "global.xml takes"),
        (lambda tree: tree["geometry"].update(left=500), "frontend.xml takes"),
    ],
)
def test_sizes_that_the_graphs_do_not_have_are_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    """A manifest that is whole but wrong, as another program might write it."""
    edit(folder, change)
    with pytest.raises(EngineError) as caught:
        load_engine(folder)
    assert said in str(caught.value)


def test_a_graph_that_is_none_is_refused(folder: Path) -> None:
    """Files that are what the manifest says, but no graphs."""
    (folder / "global.xml").write_text("<net/>")

    def reseal(tree: dict[str, Any]) -> None:
        entry = file_entry(folder / "global.xml")
        tree["files"] = [
            {"name": entry.name, "bytes": entry.bytes, "sha256": entry.sha256} if old["name"] == entry.name else old
            for old in tree["files"]
        ]

    edit(folder, reseal)
    with pytest.raises(EngineError, match=r"cannot load .*global\.xml: .*; build the engine again"):
        load_engine(folder)


def test_rows_of_a_batch_do_not_touch_each_other(built: Path) -> None:
    """To the last bit, for every output."""
    engine = load_engine(built)
    sizes = engine.sizes
    generator = np.random.default_rng(0)
    frames = generator.normal(-6.0, 3.0, (5, sizes.window, sizes.mels)).astype(np.float32)
    audible = np.ones((5, sizes.frames), np.float32)
    together = engine.look(frames, audible)
    for row in range(5):
        alone = engine.look(frames[row : row + 1], audible[row : row + 1])
        for name in ("scores", "global_", "local", "starts", "classes", "activations"):
            np.testing.assert_array_equal(getattr(together, name)[row], getattr(alone, name)[0], err_msg=name)


def test_inputs_of_another_shape_or_kind_are_refused(built: Path) -> None:
    engine = load_engine(built)
    with pytest.raises(EngineError, match=r"frontend\.xml was given float32 \(1, 5\)"):
        engine.frontend(np.zeros((1, 5), np.float32))
    with pytest.raises(EngineError, match=r"frontend\.xml was given float64"):
        engine.frontend(np.zeros((1, engine.sizes.block_samples)))  # type: ignore[arg-type]


def test_threads_change_nothing(built: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (2, load_engine(built).sizes.block_samples)).astype(np.float32)
    one, two = (load_engine(built, threads).frontend(samples) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_an_engine_is_shown_and_verified(folder: Path) -> None:
    shown = glatd("engine", "show", folder)
    assert shown.returncode == 0 and shown.stderr == ""
    rows = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
    assert rows["model"] == "tiny" and rows["labels"] == "527" and rows["hop"] == "a multiple of 0.32 s"
    verified = glatd("engine", "verify", folder)
    assert verified.returncode == 0 and verified.stdout.splitlines()[-1] == "good"


def test_an_engine_that_answers_otherwise_is_told(folder: Path) -> None:
    """Graphs of another network, whole in themselves."""
    probe = dict(np.load(folder / "probe.npz"))
    probe["fused"] = probe["fused"] + np.float32(0.01)
    np.savez(folder / "probe.npz", **probe)

    def reseal(tree: dict[str, Any]) -> None:
        entry = file_entry(folder / "probe.npz")
        tree["files"] = [old for old in tree["files"] if old["name"] != entry.name]
        tree["files"].append({"name": entry.name, "bytes": entry.bytes, "sha256": entry.sha256})

    edit(folder, reseal)
    done = glatd("engine", "verify", folder)
    assert done.returncode == 4
    assert "1.00e-02, allowed 0.001" in done.stdout and "beyond the tolerance: build it again" in done.stdout


def test_the_default_engine_agrees_with_its_network() -> None:
    done = glatd("engine", "verify")
    assert done.returncode == 0, done.stdout
    assert "100 % at the same place" in done.stdout


def test_a_build_at_the_command_line(bundle: Path, tmp_path: Path) -> None:
    done = glatd("engine", "build", bundle, "--out", tmp_path / "engine")
    assert done.returncode == 0 and "has NO certificate" in done.stderr  # the bundle has no labelled clips
    assert load_engine(tmp_path / "engine").manifest.hash in done.stdout
    refused = glatd("engine", "build", tmp_path, "--out", tmp_path / "other")
    assert refused.returncode == 4
    (line,) = refused.stderr.splitlines()
    assert "is no weights bundle" in line
