"""Compile a bundle's graphs into an engine folder, whole or not at all."""

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

import glatd
from glatd.config import build as build_tree
from glatd.engines.manifest import (
    FILE,
    GRAPHS,
    VERSION,
    Geometry,
    LabelEntry,
    Manifest,
    file_entry,
    graph_inputs,
    read_manifest,
    write_manifest,
)
from glatd.engines.probe import FILE as PROBE
from glatd.engines.targets import find_target
from glatd.engines.targets.target import Order
from glatd.errors import ConfigError, EngineError
from glatd.labels import audioset, own_mid

GEOMETRY = "geometry.json"  # written by `glatd train export` beside the graphs
STREAMS = 16  # of a GPU's engine, where nobody says how many


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
    if lost := [name for name in graph_inputs(sizes) if not (bundle / f"{name}.onnx").is_file()]:
        raise EngineError(f"{bundle} lacks {', '.join(lost)}.onnx; make them with `glatd train export {bundle}`")
    if classes != len(model.labels):
        raise EngineError(f"{bundle} has {len(model.labels)} labels for {classes} classes; train or export it again")
    return model, sizes


def build_engine(
    bundle: Path, out: Path, target: str = "cpu", precision: str = "float32", streams: int = STREAMS
) -> Manifest:
    """Build `bundle` for `target` into `out`, which appears only when it is whole.

    Args:
        streams: at most, that are looked at together; a GPU's engine is compiled for as many.

    Raises:
        EngineError: nothing to build from, an unknown target, something in the way, or no place to write.
    """
    builder = find_target(target)
    if precision not in builder.precisions:
        raise EngineError(f"precision {precision!r} is not known for {target}; known: {', '.join(builder.precisions)}")
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / FILE).is_file())):
        raise EngineError(f"{out} is something else (it has no {FILE}); choose another --out")
    model, sizes = read_bundle_files(bundle)
    profile = builder.profile(streams)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise EngineError(f"cannot write {out}: {error.strerror}; choose another --out") from error
    try:
        builder.convert(Order(bundle, work, graph_inputs(sizes), sizes, precision, profile))
        shutil.copyfile(bundle / PROBE, work / PROBE)
        mids = {label.name: label.mid for label in audioset()}
        manifest = write_manifest(
            work,
            Manifest(
                version=VERSION,
                model=model.name,
                geometry=sizes,
                runtime=builder.runtime(precision),
                labels=tuple(LabelEntry(name, mids.get(name) or own_mid(name)) for name in model.labels),
                files=tuple(file_entry(path) for path in sorted(work.iterdir())),
                provenance={
                    "weights_sha256": model.weights_sha256,
                    "glatd": glatd.__version__,
                    "built": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
                licence=model.licence,
                hash="",
                profile=profile,
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
