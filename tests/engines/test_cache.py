"""The cache: the same is built once, anything else anew; damaged, too large or unwritable, it does no harm."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glatd.engines.build import build_engine
from glatd.engines.cache import Cache, default_cache
from glatd.engines.load import load_engine
from glatd.engines.manifest import FILE, read_manifest
from glatd.engines.targets.cpu import Cpu
from glatd.engines.targets.target import Order
from tests.daemon.processes import glatd


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    pytest.importorskip("onnx")
    from tests.engines.small import small_bundle

    return small_bundle(tmp_path_factory.mktemp("cache") / "bundle")


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The precision of everything that is really built."""
    done = []
    real = Cpu.convert

    def counted(self: Cpu, order: Order) -> None:
        done.append(order.precision)
        real(self, order)

    monkeypatch.setattr(Cpu, "convert", counted)
    return done


def test_the_same_is_built_once(bundle: Path, tmp_path: Path, conversions: list[str]) -> None:
    cache = Cache(tmp_path / "cache")
    first = build_engine(bundle, tmp_path / "first", cache=cache)
    second = build_engine(bundle, tmp_path / "second", cache=cache)
    assert conversions == ["float32"] and first == second
    load_engine(tmp_path / "second")
    build_engine(bundle, tmp_path / "third")
    build_engine(bundle, tmp_path / "fourth", precision="float16", cache=cache)
    assert conversions == ["float32", "float32", "float16"]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "local.onnx").write_bytes((folder / "global.onnx").read_bytes()),
        lambda folder: np.savez(folder / "probe.npz", **{"global": np.zeros((1, 6))}),
        lambda folder: relabel(folder),
    ],
    ids=["graph", "probe", "labels"],
)
def test_what_differs_in_anything_is_not_taken(
    bundle: Path,
    tmp_path: Path,
    conversions: list[str],
    change: Callable[[Path], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from glatd.engines import build

    monkeypatch.setattr(build, "prove", lambda *_: None)
    cache = Cache(tmp_path / "cache")
    build_engine(bundle, tmp_path / "first", cache=cache)
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    change(other)
    build_engine(other, tmp_path / "second", cache=cache)
    assert len(conversions) == 2
    monkeypatch.setattr(build, "processor_name", lambda runtime: "another machine")
    build_engine(bundle, tmp_path / "third", cache=cache)
    assert len(conversions) == 3


def relabel(folder: Path) -> None:
    tree = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(tree | {"labels": tree["labels"][::-1]}))


@pytest.mark.parametrize("damage", ["cut", "missing", "no manifest", "certificate"])
def test_a_damaged_engine_in_it_is_built_anew(
    bundle: Path, tmp_path: Path, conversions: list[str], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path / "cache")
    build_engine(bundle, tmp_path / "first", cache=cache)
    (entry,) = cache.folder.iterdir()
    if damage == "cut":
        (entry / "local.bin").write_bytes(b"cut")
    elif damage == "missing":
        (entry / "local.bin").unlink()
    elif damage == "certificate":
        (entry / "certificate.json").write_text("{}")
    else:
        (entry / FILE).unlink()
    with caplog.at_level(logging.WARNING):
        manifest = build_engine(bundle, tmp_path / "second", cache=cache)
    assert "is of no use and is built anew" in caplog.text
    assert len(conversions) == 2 and manifest == read_manifest(tmp_path / "second")
    load_engine(tmp_path / "second")
    build_engine(bundle, tmp_path / "third", cache=cache)
    assert len(conversions) == 2


def test_it_is_bounded_and_the_longest_unused_go(tmp_path: Path) -> None:
    engines = Cache(tmp_path / "cache", most=2500)
    work = tmp_path / "work"
    work.mkdir()
    (work / FILE).write_bytes(b"x" * 1000)
    for number, key in enumerate(("a", "b", "c")):
        engines.keep(key, work)
        os.utime(engines.folder / key, (number + 1, number + 1))
    assert {entry.name for entry in engines.folder.iterdir()} == {"b", "c"}
    os.utime(engines.folder / "b", (9, 9))  # it was asked for
    (engines.folder / ".left").mkdir()
    os.utime(engines.folder / ".left", (1, 1))
    engines.keep("d", work)
    assert {entry.name for entry in engines.folder.iterdir()} == {"b", "d"}


def test_one_that_cannot_be_written_is_no_reason_to_fail(
    bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        build_engine(bundle, tmp_path / "engine", cache=Cache(tmp_path / "file" / "cache"))
    assert "is not kept in the cache" in caplog.text
    load_engine(tmp_path / "engine")


def test_it_lies_where_caches_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_cache() == Path.home() / ".cache" / "glatd" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "glatd" / "engines"


def test_the_command_uses_it_unless_it_is_told_not_to(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert glatd("engine", "build", bundle, "--out", tmp_path / "engine", "--no-cache").returncode == 0
    assert not default_cache().exists()
    assert glatd("engine", "build", bundle, "--out", tmp_path / "engine").returncode == 0
    assert len(list(default_cache().iterdir())) == 1
