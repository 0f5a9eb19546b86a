"""Compile a bundle's graphs into an engine folder, whole or not at all."""

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import glatd
from glatd.config import build as build_tree
from glatd.engines import openvino_cpu
from glatd.engines.manifest import (
    FILE,
    GRAPHS,
    VERSION,
    Geometry,
    LabelEntry,
    Manifest,
    Runtime,
    file_entry,
    read_manifest,
    write_manifest,
)
from glatd.engines.probe import FILE as PROBE
from glatd.errors import ConfigError, EngineError
from glatd.labels import audioset

GEOMETRY = "geometry.json"  # written by `glatd train export` beside the graphs
TARGETS = ("cpu",)


def write_geometry(folder: Path, sizes: Geometry) -> None:
    """Write the sizes of the graphs beside them."""
    (folder / GEOMETRY).write_text(json.dumps(asdict(sizes), indent=1) + "\n", encoding="utf-8")


def read_bundle_files(bundle: Path) -> tuple[dict[str, Any], Geometry]:
    """model.json and the sizes of the exported graphs; all of the bundle that a build needs.

    Raises:
        EngineError: no bundle, or its graphs were not exported.
    """
    if not (bundle / "model.json").is_file():
        raise EngineError(f"{bundle} is no weights bundle: it has no model.json")
    missing = [
        name for name in (*(f"{graph}.onnx" for graph in GRAPHS), GEOMETRY, PROBE) if not (bundle / name).is_file()
    ]
    if missing:
        raise EngineError(f"{bundle} lacks {', '.join(missing)}; make them with `glatd train export {bundle}`")
    try:
        model = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
        sizes = build_tree(Geometry, json.loads((bundle / GEOMETRY).read_text(encoding="utf-8")), GEOMETRY)
    except (ValueError, ConfigError) as error:
        raise EngineError(f"{bundle} is damaged: {error}; `glatd train export {bundle}` again") from error
    return model, sizes


def build_engine(bundle: Path, out: Path, target: str = "cpu", precision: str = "float32") -> Manifest:
    """Build `bundle` for `target` into `out`, which appears only when it is whole.

    Raises:
        EngineError: nothing to build from, an unknown target, or a folder in the way.
    """
    if target not in TARGETS:
        raise EngineError(f"target {target!r} is not known; known: {', '.join(TARGETS)}")
    if precision not in openvino_cpu.PRECISIONS:
        raise EngineError(f"precision {precision!r} is not known; known: {', '.join(openvino_cpu.PRECISIONS)}")
    if out.exists() and any(out.iterdir()) and not (out / FILE).is_file():
        raise EngineError(f"{out} is a folder of something else (it has no {FILE}); choose another --out")
    model, sizes = read_bundle_files(bundle)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        convert(bundle, work)
        shutil.copyfile(bundle / PROBE, work / PROBE)
        mids = {label.name: label.mid for label in audioset()}
        manifest = write_manifest(
            work,
            Manifest(
                version=VERSION,
                model=str(model["name"]),
                geometry=sizes,
                runtime=Runtime(target, openvino_cpu.NAME, openvino_cpu.version(), precision),
                labels=tuple(LabelEntry(name, mids.get(name, "")) for name in model["labels"]),
                files=tuple(file_entry(path) for path in sorted(work.iterdir())),
                provenance={
                    "weights_sha256": str(model["weights_sha256"]),
                    "glatd": glatd.__version__,
                    "built": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
                licence=str(model["licence"]),
                hash="",
            ),
        )
        work.chmod(0o755)  # mkdtemp makes it private
        replace_folder(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    assert read_manifest(out) == manifest
    return manifest


def convert(bundle: Path, work: Path) -> None:
    """ONNX -> OpenVINO's intermediate representation.

    `convert_model` simplifies the graphs, where `read_model` would keep them as they are: less than
    half as many operations, and a fifth less to do at every start. Runs are as fast either way.
    Weights of the networks are stored as float16, which loses nothing since the bundle has them
    so; the front end's kernels are not weights and stay float32.
    """
    ov = openvino_cpu.runtime()
    for name in GRAPHS:
        model = ov.convert_model(bundle / f"{name}.onnx")
        ov.save_model(model, work / f"{name}.xml", compress_to_fp16=name != "frontend")


def replace_folder(new: Path, out: Path) -> None:
    """Put `new` in the place of `out`; an engine that stood there stays until the last moment."""
    if not out.exists():
        os.rename(new, out)
        return
    old = out.with_name(f".{out.name}.old.{os.getpid()}")
    os.rename(out, old)
    os.rename(new, out)
    shutil.rmtree(old)
