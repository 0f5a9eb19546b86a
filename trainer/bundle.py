"""The weights bundle: what training writes and what engines are built from.

`model.json` says which network it is, `weights.safetensors` holds both streams, as float16 where they were
trained here (the network that is judged and exported is the one that is read back, so nothing is lost later), as
float32 where they were imported, and `glatd train export` adds the float32 graphs.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from glatd.config import build
from glatd.errors import ConfigError, EngineError
from glatd.labels import audioset
from glatd.trainer.backbones import make_backbone
from glatd.trainer.glat import Glat, GlatSpec

VERSION = 1
MODEL, WEIGHTS = "model.json", "weights.safetensors"


@dataclass(frozen=True, slots=True)
class BundleModel:
    """model.json."""

    version: int
    name: str
    backbone: dict[str, int | float | str | bool]
    glat: GlatSpec
    labels: tuple[str, ...]
    weights_sha256: str
    provenance: dict[str, str]
    licence: str


def write_bundle(
    folder: Path,
    model: Glat,
    name: str,
    provenance: dict[str, str],
    licence: str,
    half: bool = True,
    labels: Sequence[str] = (),
) -> None:
    """Write weights and model.json into `folder`.

    Args:
        labels: names of the classes; AudioSet's when empty.
        half: whether the weights are stored as float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A counter of BatchNorm is no weight: float16 ends at 65504 steps. What streams share is stored for each.
    state = {
        key: (value.half() if half else value.float()).contiguous().clone() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    save_file(state, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # it is made private
    described = BundleModel(
        version=VERSION,
        name=name,
        backbone=model.global_stream.config,
        glat=model.spec,
        labels=tuple(labels) or tuple(label.name for label in audioset()),
        weights_sha256=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        provenance=provenance,
        licence=licence,
    )
    text = json.dumps(asdict(described), indent=1, ensure_ascii=False)
    (folder / MODEL).write_text(text + "\n", encoding="utf-8")


def read_model(folder: Path) -> BundleModel:
    """Read and check model.json.

    Raises:
        EngineError: no bundle, damaged, or of another version.
    """
    path = folder / MODEL
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EngineError(f"{folder} is no weights bundle: it has no {MODEL}") from error
    except (OSError, ValueError) as error:
        raise EngineError(f"cannot read {path}: {error}") from error
    version = tree.get("version") if isinstance(tree, dict) else None
    if version != VERSION:
        raise EngineError(f"{path} has version {version!r}, this glatd reads {VERSION}; train or export it again")
    # `backbone` holds plain values of several types, which the typed reader has no name for.
    backbone = tree.pop("backbone", None)
    if not isinstance(backbone, dict):
        raise EngineError(f"{path} lacks the table 'backbone'")
    try:
        return replace(build(BundleModel, tree | {"backbone": {}}, str(path)), backbone=backbone)
    except ConfigError as error:
        raise EngineError(str(error)) from error


def read_bundle(folder: Path) -> tuple[Glat, BundleModel]:
    """The network of a bundle, in evaluation mode and float32, and its description.

    Raises:
        EngineError: damaged weights, or weights that do not fit the network.
    """
    described = read_model(folder)
    path = folder / WEIGHTS
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise EngineError(f"cannot read {path}: {error}; copy the bundle again") from error
    if found != described.weights_sha256:
        raise EngineError(f"{path} is not the file that {MODEL} describes (hash {found[:12]}); copy the bundle again")
    model = Glat(make_backbone(described.backbone), described.glat)
    try:
        model.load_state_dict({k: v.to(torch.float32) if v.is_floating_point() else v for k, v in state.items()})
    except RuntimeError as error:
        raise EngineError(f"{path} does not fit the network in {MODEL}: {error}") from error
    return model.eval(), described
