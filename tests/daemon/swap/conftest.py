"""Engines to swap between: tiny networks behind two front ends, and what becomes of them in bad hands."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glatd.engines.load import default_engine
from glatd.engines.manifest import FileEntry, Manifest, read_manifest, write_manifest
from tests.daemon.swap.made import COARSE, FINE, make, rehash

KEPT, GONE, NEW = "Accordion", "Bluegrass", "Xylophone of tests"  # classes: in both, only in the first, only in another
GROUP = "Country"  # above GONE


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of engines by name. Not to be changed."""
    root = tmp_path_factory.mktemp("engines")
    labels = read_manifest(default_engine()).labels
    make(root / "tiny", FINE, labels, seed=0)
    make(root / "other", COARSE, labels, seed=1)
    _made(root, "half", lambda manifest: replace(manifest, runtime=replace(manifest.runtime, precision="bfloat16")))
    _made(root, "relabelled", _relabelled)
    _made(root, "slow", lambda manifest: replace(manifest, geometry=replace(manifest.geometry, rate=16_000)))
    _made(root, "large", lambda manifest: replace(manifest, files=(*manifest.files, FileEntry("huge", 10**13, ""))))
    lying = _copy(root, "lying")
    with np.load(lying / "probe.npz") as stored:
        answers = dict(stored)
    answers["fused"] = 1 - answers["fused"]
    np.savez(lying / "probe.npz", **answers)
    rehash(lying, read_manifest(lying))
    (_copy(root, "forged") / "certificate.json").write_text("{}", encoding="utf-8")
    damaged = _copy(root, "damaged") / "global.bin"
    damaged.write_bytes(damaged.read_bytes()[:-4] + b"oops")
    return root


def _copy(root: Path, name: str) -> Path:
    return Path(shutil.copytree(root / "tiny", root / name))


def _made(root: Path, name: str, change: Callable[[Manifest], Manifest]) -> None:
    folder = _copy(root, name)
    write_manifest(folder, change(read_manifest(folder)))


def _relabelled(manifest: Manifest) -> Manifest:
    """In another order, and one class is another."""
    labels = [replace(label, name=NEW, mid="/m/test") if label.name == GONE else label for label in manifest.labels]
    return replace(manifest, labels=tuple(reversed(labels)))


def hash_of(folder: Path) -> str:
    """Content hash of an engine."""
    found: str = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["hash"]
    return found
