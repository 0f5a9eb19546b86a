"""What an engine is held against: labelled windows and what the float32 network in PyTorch says of them.

`glatd train export --data CLIPS` writes it into the bundle as one file, so that a machine that builds needs neither
torch nor the clips. Samples are whole numbers of 16 bits, and the network was asked about just those.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from glatd.config import build
from glatd.engines.engine import Floats
from glatd.engines.manifest import Geometry
from glatd.errors import ConfigError, EngineError

FILE = "material.npz"
VERSION = 1
EVERY = 50  # of the front end's frames, one in so many is kept
TONE = "tone"  # the window with a tone at -60 dBFS beside a loud one
FULL_SCALE = 32_768.0


@dataclass(frozen=True, slots=True)
class About:
    """Whose answers they are, and of what."""

    version: int
    weights_sha256: str
    geometry: Geometry
    names: tuple[str, ...]  # of the windows: "clip FILE", "scene NUMBER", TONE


@dataclass(frozen=True, slots=True)
class Material:
    """N windows that are judged, and M others that an int8 build takes its ranges from."""

    about: About
    samples: NDArray[np.int16]  # [N, left + hop * (window - 1) + right]
    audible: Floats  # [N, F]
    truth: NDArray[np.bool_]  # [N, C] labels
    frames: Floats  # [N, window / EVERY, M] of the network's front end
    global_: Floats  # [N, C]
    activations: Floats  # [N, K, F] of the chosen classes
    starts: NDArray[np.int64]  # [N, K] mel frames
    classes: NDArray[np.int64]  # [N, K]
    of_crops: Floats  # [N, K, C]
    fused: Floats  # [N, C]
    seen_frames: NDArray[np.float16]  # [M, window, mels] log-mel
    seen_audible: Floats  # [M, F]
    seen_starts: NDArray[np.int64]  # [M, K] mel frames

    def rows(self, first: int, count: int) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Numbers, samples and audible of `count` windows, the last one again where there are no more."""
        index = np.minimum(np.arange(first, first + count), len(self.samples) - 1)
        return index, self.samples[index].astype(np.float32) / np.float32(FULL_SCALE), self.audible[index]

    def calibration(self) -> dict[str, list[dict[str, Floats]]]:
        """Inputs of `global` and `local`, a window a step, by their names in the graphs."""
        length = np.arange(self.about.geometry.crop)
        rows: dict[str, list[dict[str, Floats]]] = {"global": [], "local": []}
        for frames, audible, starts in zip(self.seen_frames, self.seen_audible, self.seen_starts, strict=True):
            whole = frames.astype(np.float32)
            rows["global"].append({"frames": whole[None], "audible": audible[None]})
            rows["local"].append({"frames": whole[starts[:, None] + length]})
        return rows


def write_material(folder: Path, about: About, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write the file into a bundle; `arrays` are the fields of `Material` but the first."""
    path = folder / FILE
    text = np.frombuffer(json.dumps(asdict(about), ensure_ascii=False).encode(), np.uint8)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, allow_pickle=False, about=text, **arrays)
    partial.rename(path)
    return path


def read_material(folder: Path, weights_sha256: str, sizes: Geometry) -> Material | None:
    """The material in a bundle, or None where there is none.

    Raises:
        EngineError: damaged, or of other weights or sizes.
    """
    path = folder / FILE
    if not path.exists():
        return None
    again = f"`glatd train export {folder} --data CLIPS` again"
    try:
        with path.open("rb") as file, np.load(file) as stored:
            arrays = dict(stored)
        about = build(About, json.loads(arrays.pop("about").tobytes().decode()), FILE)
        material = Material(about, **{f"{key}_" if key == "global" else key: value for key, value in arrays.items()})
        sizes_agree = len({len(material.samples), len(material.truth), len(material.fused), len(about.names)}) == 1
    except (OSError, ValueError, TypeError, LookupError, EOFError, BadZipFile, ConfigError) as error:
        raise EngineError(f"{path} is damaged: {error}; {again}") from error
    if about.version != VERSION:
        raise EngineError(f"{path} has version {about.version!r}, this glatd reads {VERSION}; {again}")
    if about.weights_sha256 != weights_sha256 or about.geometry != sizes or not sizes_agree:
        raise EngineError(f"{path} was made for other weights or sizes than this bundle has; {again}")
    return material
