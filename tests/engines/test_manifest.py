"""The manifest: what is written is read, and what was touched since is refused by name."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glatd.engines.load import default_engine
from glatd.engines.manifest import (
    FILE,
    Geometry,
    GraphEntry,
    LabelEntry,
    Manifest,
    Profile,
    Runtime,
    check_files,
    content_hash,
    file_entry,
    read_manifest,
    write_manifest,
)
from glatd.errors import EngineError
from glatd.labels import audioset

GEOMETRY = Geometry(
    rate=32_000, hop=320, left=400, right=401, mels=128, block=32, window=1000, crop=300, crops=5, stride=32,
    frames=32, grid="stream",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest of one file that is no graph."""
    (tmp_path / "global.xml").write_bytes(b"a graph")
    write_manifest(tmp_path, made(tmp_path))
    return tmp_path


def made(folder: Path) -> Manifest:
    return Manifest(
        version=1, model="m", geometry=GEOMETRY, runtime=Runtime("cpu", "openvino", "2026.1", "float32"),
        labels=(LabelEntry("Dog", "/m/0bt9lr"), LabelEntry("Glühwürmchen", "/m/x")),
        files=(file_entry(folder / "global.xml"),), provenance={"built": "today"}, licence="MIT", hash="",
    )


def change(folder: Path, edit: Callable[[dict[str, Any]], object], seal: bool) -> None:
    """Edit the manifest, and where `seal` give it a matching hash, as another program might."""
    path = folder / FILE
    tree = json.loads(path.read_text(encoding="utf-8"))
    edit(tree)
    if seal:
        tree["hash"] = content_hash(tree)
    path.write_text(json.dumps(tree), encoding="utf-8")


def test_what_is_written_is_read(folder: Path) -> None:
    read = read_manifest(folder)
    assert read == dataclasses.replace(made(folder), hash=read.hash)
    assert read.names == ("Dog", "Glühwürmchen")
    assert len(read.hash) == 16
    check_files(folder, read)


def test_the_hash_is_of_what_is_computed_not_of_when(folder: Path) -> None:
    hashed = read_manifest(folder).hash
    assert write_manifest(folder, dataclasses.replace(made(folder), provenance={"built": "later"})).hash == hashed
    assert write_manifest(folder, dataclasses.replace(made(folder), model="n")).hash != hashed
    (folder / "global.xml").write_bytes(b"a Graph")
    assert write_manifest(folder, made(folder)).hash != hashed


@pytest.mark.parametrize(
    ("edit", "seal", "said"),
    [
        (lambda tree: tree.update(version=3), True, "has version 3, this glatd reads up to 2; build the engine again"),
        (lambda tree: tree.update(version=True), True, "has version True"),
        (lambda tree: tree.pop("version"), True, "has version None"),
        (lambda tree: tree.update(model="n"), False, "was changed after it was built"),
        (lambda tree: tree["labels"].reverse(), False, "was changed after it was built"),
        (lambda tree: tree.pop("labels"), True, "the key 'labels' is missing; build the engine again"),
        (lambda tree: tree["geometry"].pop("stride"), True, "geometry: the key 'stride' is missing"),
        (lambda tree: tree.update(colour="red"), True, "unknown key 'colour'"),
        (lambda tree: tree["geometry"].update(window="long"), True, "geometry: window = 'long' must be of type int"),
        (lambda tree: tree.update(files={}), True, "files = {} must be an array"),
    ],
)
def test_a_manifest_that_was_touched_is_refused(
    folder: Path, edit: Callable[[dict[str, Any]], object], seal: bool, said: str
) -> None:
    change(folder, edit, seal)
    with pytest.raises(EngineError) as caught:
        read_manifest(folder)
    assert said in str(caught.value) and str(folder) in str(caught.value)


NEW: list[dict[str, Any]] = [
    {"graphs": (GraphEntry("blocks", ((16, 64), (4,))),)},
    {"profile": Profile(8, 64)},
    {"runtime": Runtime("cpu", "openvino", "2026.1", "float32", built_for={"gpu": "a GPU"})},
]


@pytest.mark.parametrize("new", NEW, ids=["graphs", "profile", "built_for"])
def test_what_needs_version_2_is_written_so_and_all_else_as_version_1(folder: Path, new: dict[str, Any]) -> None:
    """The hash of an engine that uses nothing new stays what it was."""
    plain = read_manifest(folder)
    assert plain.version == 1
    tree = json.loads((folder / FILE).read_text(encoding="utf-8"))
    assert not {"graphs", "profile"} & set(tree) and "built_for" not in tree["runtime"]
    written = write_manifest(folder, dataclasses.replace(made(folder), version=2, **new))
    assert written == read_manifest(folder) == dataclasses.replace(plain, version=2, hash=written.hash, **new)
    assert written.hash != plain.hash


def test_the_inputs_of_every_graph_are_told_by_the_manifest(folder: Path) -> None:
    manifest = write_manifest(folder, dataclasses.replace(made(folder), version=2, **NEW[0]))
    assert manifest.inputs == {
        "frontend": ((400 + 320 * 31 + 401,),),
        "global": ((1000, 128), (32,)),
        "local": ((300, 128),),
        "blocks": ((16, 64), (4,)),
    }


@pytest.mark.parametrize("text", ["", "words", "[1, 2]", "null", '"version"', "{"])
def test_what_is_no_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / FILE).write_text(text)
    with pytest.raises(EngineError, match=r"cannot read .*build the engine again|has version None"):
        read_manifest(folder)


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EngineError, match="cannot read"):
        read_manifest(folder)


def test_a_folder_without_a_manifest_is_no_engine(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(
            EngineError, match=r"is no engine: it has no manifest\.json; make one with `glatd engine build`"
        ):
            read_manifest(folder)
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="cannot read"):
        read_manifest(tmp_path / "file")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "is missing; copy the whole folder again"),
        (lambda path: path.write_bytes(b"a gra"), "has 5 bytes, not 7"),
        (lambda path: path.write_bytes(b"a grapf"), "is damaged (hash "),
    ],
    ids=["missing", "cut short", "changed"],
)
def test_files_are_held_against_their_size_and_hash(folder: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(folder / "global.xml")
    with pytest.raises(EngineError) as caught:
        check_files(folder, read_manifest(folder))
    assert said in str(caught.value) and "global.xml" in str(caught.value)


def test_the_default_engine_has_the_labels_of_audioset_and_a_licence() -> None:
    manifest = read_manifest(default_engine())
    assert manifest.labels == tuple(LabelEntry(label.name, label.mid) for label in audioset())
    assert manifest.licence and manifest.provenance["weights_sha256"]
    assert (manifest.runtime.target, manifest.geometry.grid) == ("cpu", "stream")
    check_files(default_engine(), manifest)
