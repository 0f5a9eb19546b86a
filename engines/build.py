"""Compile a bundle's graphs into an engine folder, whole or not at all."""

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

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
from glatd.labels import audioset, own_mid

GEOMETRY = "geometry.json"  # written by `glatd train export` beside the graphs
TARGETS = ("cpu",)


def write_geometry(folder: Path, sizes: Geometry) -> None:
    """Write the sizes of the graphs beside them."""
    (folder / GEOMETRY).write_text(json.dumps(asdict(sizes), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Description:
    """What a build takes from model.json."""

    name: str
    labels: tuple[str, ...]
    weights_sha256: str
    licence: str


def read_bundle_files(bundle: Path) -> tuple[Description, Geometry]:
    """What a bundle says of itself, and the sizes of its exported graphs.

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
        tree = json.loads((bundle / "model.json").read_text(encoding="utf-8"))
        known = {field.name for field in fields(Description)}  # the rest is the trainer's
        model = build_tree(Description, {key: tree[key] for key in known & set(tree)}, "model.json")
        sizes = build_tree(Geometry, json.loads((bundle / GEOMETRY).read_text(encoding="utf-8")), GEOMETRY)
        with np.load(bundle / PROBE) as probe:
            classes = probe["global"].shape[1]
    except (OSError, ValueError, TypeError, LookupError, EOFError, BadZipFile, ConfigError) as error:
        raise EngineError(f"{bundle} is damaged: {error}; `glatd train export {bundle}` again") from error
    if classes != len(model.labels):
        raise EngineError(f"{bundle} has {len(model.labels)} labels for {classes} classes; train or export it again")
    return model, sizes


def build_engine(bundle: Path, out: Path, target: str = "cpu", precision: str = "float32") -> Manifest:
    """Build `bundle` for `target` into `out`, which appears only when it is whole.

    Raises:
        EngineError: nothing to build from, an unknown target, something in the way, or no place to write.
    """
    if target not in TARGETS:
        raise EngineError(f"target {target!r} is not known; known: {', '.join(TARGETS)}")
    if precision not in openvino_cpu.PRECISIONS:
        raise EngineError(f"precision {precision!r} is not known; known: {', '.join(openvino_cpu.PRECISIONS)}")
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / FILE).is_file())):
        raise EngineError(f"{out} is something else (it has no {FILE}); choose another --out")
    model, sizes = read_bundle_files(bundle)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise EngineError(f"cannot write {out}: {error.strerror}; choose another --out") from error
    try:
        convert(bundle, work)
        shutil.copyfile(bundle / PROBE, work / PROBE)
        mids = {label.name: label.mid for label in audioset()}
        manifest = write_manifest(
            work,
            Manifest(
                version=VERSION,
                model=model.name,
                geometry=sizes,
                runtime=Runtime(target, openvino_cpu.NAME, openvino_cpu.version(), precision),
                labels=tuple(LabelEntry(name, mids.get(name) or own_mid(name)) for name in model.labels),
                files=tuple(file_entry(path) for path in sorted(work.iterdir())),
                provenance={
                    "weights_sha256": model.weights_sha256,
                    "glatd": glatd.__version__,
                    "built": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
                licence=model.licence,
                hash="",
            ),
        )
        work.chmod(0o755)  # mkdtemp makes it private
        replace_folder(work, out)
    except OSError as error:
        raise EngineError(
            f"cannot write {out}: {error.strerror or error}; make room or choose another --out"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    assert read_manifest(out) == manifest
    return manifest


def convert(bundle: Path, work: Path) -> None:
    """ONNX -> OpenVINO's intermediate representation.

    `convert_model` simplifies the graphs, where `read_model` would keep them as they are: less than
    half as many operations, and a fifth less to do at every start. Runs are as fast either way.
    Weights are stored as float16 where that loses nothing, since the bundle has them so. It would where OpenVINO
    has folded a normalisation into them, and in the front end, whose kernels are no weights.
    """
    ov = openvino_cpu.runtime()
    for name in GRAPHS:
        path = bundle / f"{name}.onnx"
        try:
            model = ov.convert_model(path)
        except Exception as error:  # of several kinds of OpenVINO's own, which have no base but this
            what = str(error).splitlines()[-1]
            raise EngineError(f"cannot convert {path}: {what}; `glatd train export {bundle}` again") from error
        # OpenVINO names operations by a counter of the process; a second build must have the same hash.
        for number, operation in enumerate(model.get_ordered_ops()):
            operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
        ov.save_model(model, work / f"{name}.xml", compress_to_fp16=holds_float16(model))


def holds_float16(model: Any) -> bool:
    """Whether float16 holds every constant of an OpenVINO model exactly; single numbers are never compressed."""
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "Constant" and operation.data.dtype == np.float32 and operation.data.size > 1:
            with np.errstate(over="ignore"):
                if not np.array_equal(operation.data, operation.data.astype(np.float16)):
                    return False
    return True


def replace_folder(new: Path, out: Path) -> None:
    """Put `new` in the place of `out`; an engine that stood there stays until the last moment, or comes back."""
    if not out.exists():
        os.rename(new, out)
        return
    old = out.with_name(f".{out.name}.old.{os.getpid()}")
    os.rename(out, old)
    try:
        os.rename(new, out)
    except OSError:
        os.rename(old, out)
        raise
    shutil.rmtree(old)
