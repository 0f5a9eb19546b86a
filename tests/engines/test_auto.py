"""Of the engines that are found, the best that this machine can run; and a word on those that it cannot."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from glatd.engines.build import build_engine
from glatd.engines.choose import choose, chosen_folder, engine_folders, find_engines, folders_of, load_best, ranked
from glatd.engines.load import default_engine
from glatd.engines.manifest import FILE, content_hash
from glatd.errors import EngineError
from tests.engines.small import small_bundle


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Engines for the CPU in two precisions, and one for a GPU that is not here."""
    folder = tmp_path_factory.mktemp("auto")
    bundle = small_bundle(folder / "bundle")
    for precision in ("float32", "bfloat16"):
        build_engine(bundle, folder / "engines" / f"cpu-{precision}", precision=precision)
    gpu = Path(shutil.copytree(folder / "engines" / "cpu-float32", folder / "engines" / "gpu"))
    built_for = {"gpu": "NVIDIA Test 9", "compute_capability": "99.0"}
    change(gpu, {"target": "tensorrt", "name": "tensorrt-rtx", "version": "0.1", "built_for": built_for})
    return folder / "engines"


def change(folder: Path, runtime: dict[str, object], **others: object) -> None:
    """Write another manifest into an engine."""
    tree = json.loads((folder / FILE).read_text())
    tree = {"graphs": [], "profile": None} | tree | others | {"version": 2}
    tree["runtime"] = tree["runtime"] | runtime
    tree["hash"] = content_hash(tree)
    (folder / FILE).write_text(json.dumps(tree))


def test_engines_stand_where_data_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert engine_folders() == [Path("/var/lib/glatd/engines"), tmp_path / "glatd" / "engines"]
    assert folders_of("") == engine_folders()
    with pytest.raises(EngineError, match="is no folder; make it, or leave the setting out"):
        folders_of(str(tmp_path / "none"))


def test_what_is_found(shelf: Path, tmp_path: Path) -> None:
    assert {path.name for path in find_engines([shelf])} == {"cpu-float32", "cpu-bfloat16", "gpu"}
    assert find_engines([shelf / "gpu"]) == [shelf / "gpu"]
    assert find_engines([tmp_path, tmp_path / "none"]) == []


def test_a_build_that_is_not_finished_is_not_found(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "cpu-float32", tmp_path / ".cpu.x7")
    assert find_engines([tmp_path]) == []


def test_a_gpu_comes_first_and_the_default_last(shelf: Path) -> None:
    assert [folder.name for folder, _ in ranked([shelf])] == ["gpu", "cpu-bfloat16", "cpu-float32", "default"]


def test_the_newest_of_equals_comes_first(shelf: Path, tmp_path: Path) -> None:
    for name, day in (("a", "2026-01-01T00:00:00Z"), ("b", "2026-03-01T00:00:00Z"), ("c", "2026-02-01T00:00:00Z")):
        shutil.copytree(shelf / "cpu-float32", tmp_path / name)
        change(tmp_path / name, {}, provenance={"built": day})
    assert [folder.name for folder, _ in ranked([tmp_path])] == ["b", "c", "a", "default"]


def test_what_cannot_run_is_passed_over_with_the_reason(shelf: Path) -> None:
    choice = choose([shelf])
    assert choice.folder.name == "cpu-bfloat16"
    assert "cpu-bfloat16 (small for cpu in bfloat16): the best that can run here" in choice.why
    (reason,) = choice.others
    assert "gpu cannot run here: " in reason


def test_nothing_found_is_the_default_without_a_word(tmp_path: Path) -> None:
    choice = choose([tmp_path])
    assert choice.folder == default_engine() and not choice.others
    assert chosen_folder("auto", str(tmp_path)) == default_engine()
    assert chosen_folder("/there", "") == Path("/there")


@pytest.mark.parametrize("text", ["{", '{"version": 99}'])
def test_a_damaged_engine_is_told_and_passed_over(shelf: Path, tmp_path: Path, text: str) -> None:
    shutil.copytree(shelf / "cpu-float32", tmp_path / "damaged")
    (tmp_path / "damaged" / FILE).write_text(text)
    choice = choose([tmp_path])
    assert choice.folder == default_engine()
    assert str(tmp_path / "damaged" / FILE) in choice.others[0]


def test_an_engine_of_the_future_is_passed_over(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "cpu-float32", tmp_path / "later")
    change(tmp_path / "later", {"precision": "int2"})
    assert "is for cpu in int2, which is not known" in choose([tmp_path]).others[0]


def test_falling_back_to_the_cpu_is_a_warning(shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        engine, choice = load_best([shelf], 1)
    assert engine.manifest.runtime.precision == "bfloat16" and choice.folder.name == "cpu-bfloat16"
    told = [(record.levelname, record.getMessage()) for record in caplog.records if "auto" in record.getMessage()]
    assert [level for level, _ in told] == ["WARNING", "WARNING", "INFO"]
    assert "gpu cannot run here: " in told[0][1]
    assert told[1][1] == "engine auto: falling back to the CPU"


def test_what_does_not_load_is_passed_over_too(shelf: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(shelf / "cpu-bfloat16", tmp_path / "cut")
    shutil.copytree(shelf / "cpu-float32", tmp_path / "whole")
    graph = next((tmp_path / "cut").glob("local*.bin"))
    graph.write_bytes(graph.read_bytes()[:-1])
    engine, choice = load_best([tmp_path], 1)
    assert choice.folder.name == "whole" and engine.manifest.runtime.precision == "float32"
    assert "local" in choice.others[0] and "copy or build the engine again" in choice.others[0]
    assert any("copy or build" in record.getMessage() for record in caplog.records if record.levelname == "WARNING")
