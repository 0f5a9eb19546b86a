"""Compile a bundle's graphs into an engine folder, whole or not at all."""

import json
import shutil
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

import glatd
from glatd.config import build as build_tree
from glatd.engines.atomic import put_in_place, work_folder
from glatd.engines.cache import Cache, key_of
from glatd.engines.certificate import Certificate, write_certificate
from glatd.engines.certify import certify
from glatd.engines.machine import processor_name
from glatd.engines.manifest import (
    FILE,
    GRAPHS,
    VERSION,
    Geometry,
    LabelEntry,
    Manifest,
    Profile,
    Runtime,
    file_entry,
    graph_inputs,
    read_manifest,
    write_manifest,
)
from glatd.engines.material import FILE as MATERIAL
from glatd.engines.material import Material, read_material
from glatd.engines.probe import FILE as PROBE
from glatd.engines.targets import find_target
from glatd.engines.targets.target import Order
from glatd.engines.verify import verify_engine
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
    bundle: Path,
    out: Path,
    target: str = "cpu",
    precision: str = "float32",
    streams: int | None = None,
    cache: Cache | None = None,
) -> Manifest:
    """Build `bundle` for `target` into `out`, which appears only when it is whole, and good where that can be told.

    With labelled material in the bundle, and a machine that can run what it builds, the engine gets a certificate.
    Without, its answers to the probe are all that is looked at.

    Args:
        streams: at most, that are looked at together; a GPU's engine is compiled for as many. None: `STREAMS`.
        cache: where to look for the same engine first.

    Raises:
        EngineError: nothing to build from, an unknown target, something in the way, no place to write, or an engine
            that is too far from its network.
    """
    builder = find_target(target)
    if precision not in builder.precisions:
        raise EngineError(f"precision {precision!r} is not known for {target}; known: {', '.join(builder.precisions)}")
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / FILE).is_file())):
        raise EngineError(f"{out} is something else (it has no {FILE}); choose another --out")
    model, sizes = read_bundle_files(bundle)
    profile = builder.profile(streams or STREAMS)
    # A GPU looks at the whole of a window sooner than the host can keep and hand over what is known of it.
    used = sizes if profile is None else replace(sizes, trunks=())
    runtime = builder.runtime(precision)
    try:
        key = ""
        if cache is not None:
            asked = {"runtime": asdict(runtime), "profile": profile and asdict(profile), "glatd": glatd.__version__}
            key = key_of(sources(bundle, used), asked | {"machine": processor_name(runtime), "model": asdict(model)})
        place = out.resolve()  # a link stays one
        with work_folder(place) as work:
            if cache is None or not cache.take(key, work):
                material = read_material(bundle, model.weights_sha256, sizes)
                builder.convert(Order(bundle, work, graph_inputs(used), used, precision, profile, material))
                shutil.copyfile(bundle / PROBE, work / PROBE)
                manifest = write_manifest(work, described(work, model, used, runtime, profile))
                prove(work, manifest, material)
                if cache is not None:
                    cache.keep(key, work)
            manifest = read_manifest(work)
            put_in_place(work, place)
    except OSError as error:
        raise EngineError(
            f"cannot write {out}: {error.strerror or error}; make room or choose another --out"
        ) from error
    return manifest


def sources(bundle: Path, sizes: Geometry) -> list[Path]:
    """Every file of a bundle that decides what is built from it."""
    graphs = [bundle / f"{name}{kind}" for name in graph_inputs(sizes) for kind in (".onnx", ".pt2")]
    found = [*graphs, bundle / GEOMETRY, bundle / PROBE, bundle / MATERIAL]
    return [path for path in found if path.is_file()]


def described(work: Path, model: Description, sizes: Geometry, runtime: Runtime, profile: Profile | None) -> Manifest:
    """The manifest of the files in `work`."""
    mids = {label.name: label.mid for label in audioset()}
    return Manifest(
        version=VERSION,
        model=model.name,
        geometry=sizes,
        runtime=runtime,
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
    )


def prove(work: Path, manifest: Manifest, material: Material | None) -> None:
    """Hold an engine against its network, where this machine can run it, and write its certificate.

    Raises:
        EngineError: it is beyond the tolerance of its precision.
    """
    precision = manifest.runtime.precision
    if find_target(manifest.runtime.target).obstacle(manifest):
        return
    if material is None:
        verdict = verify_engine(work)
        # Not the fused scores: which of two equal frames an untrained network chooses says nothing.
        if not verdict.global_ <= verdict.tolerance:
            refuse([f"a global score differs by {verdict.global_:.2g} (allowed: {verdict.tolerance:g})"], precision)
        return
    certificate = certify(work, material)
    refuse(certificate.faults(), precision)
    write_certificate(work, certificate)


def refuse(faults: list[str], precision: str) -> None:
    """Raise an EngineError that names what is beyond the tolerance, if anything is."""
    if faults:
        remedy = "build it in float32" if precision != "float32" else "export the bundle again"
        raise EngineError(f"the engine is too far from its network: {'; '.join(faults)}; {remedy}")


def certify_again(folder: Path, bundle: Path) -> Certificate:
    """Hold the engine in `folder` against the network of its bundle on this machine, and give it that certificate.

    Raises:
        EngineError: the bundle is another engine's, or has no labelled clips; or the engine does not run.
    """
    manifest = read_manifest(folder)
    model, sizes = read_bundle_files(bundle)
    if model.weights_sha256 != manifest.provenance.get("weights_sha256"):
        raise EngineError(f"{folder} was not built from {bundle}, whose weights are others; give the --bundle it is of")
    material = read_material(bundle, model.weights_sha256, sizes)
    if material is None:
        raise EngineError(f"{bundle} has no labelled clips; `glatd train export {bundle} --data CLIPS`")
    certificate = certify(folder, material)
    try:
        return write_certificate(folder, certificate)
    except OSError as error:
        raise EngineError(f"cannot write {folder}: {error.strerror}; copy the engine to where you may write") from error
