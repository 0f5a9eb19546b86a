"""What new sounds are told from: what a network knows of a thousand scenes of other sounds, kept beside its weights.

Somebody who adds a sound of his own has ten recordings of it and none of all that it is not. `contrast.npz` has that:
the vectors in front of the last layer (see `hidden`) of scenes mixed from the training's clips, for windows, for
output frames, and for the crops that the global stream chose in them. They are no audio, and as uint8 they are small.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from glatd.errors import DataError
from glatd.trainer.bundle import read_bundle
from glatd.trainer.corpus import load_clips, read_corpus
from glatd.trainer.dataset import training_clips
from glatd.trainer.frontend import Frontend
from glatd.trainer.glat import Glat
from glatd.trainer.hidden import hidden
from glatd.trainer.recipe import Recipe
from glatd.trainer.scenes import Pool, mix
from glatd.trainer.sceneset import scene_frames

FILE = "contrast.npz"
SCENES = 1000
SEED = 77  # others than the scenes of training and test
A_SCENE = 2  # output frames, and crops, that are kept of each
PARTS = ("windows", "frames", "crops")


@dataclass(frozen=True, slots=True)
class Contrast:
    """Vectors [n, H] of sounds that are none of the new ones."""

    windows: Tensor  # of the global stream
    frames: Tensor  # of the global stream
    crops: Tensor  # of the local stream


def trunk(model: Glat) -> str:
    """A digest of all weights but the last layers': two networks of one trunk give the same vectors."""
    last = {id(part) for stream in (model.global_stream, model.local_stream) for part in stream.output.parameters()}
    digest = hashlib.sha256()
    for name, value in model.named_parameters():
        if id(value) not in last:
            digest.update(name.encode() + value.detach().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def make_contrast(bundle: Path, recipe: Recipe, corpus: Path, progress: Callable[[str, int, int], None]) -> Path:
    """Write `contrast.npz` into a bundle, from the clips that its recipe trains on.

    Args:
        corpus: folder with corpus.csv and clips/.

    Raises:
        DataError: no corpus.
    """
    model, _ = read_bundle(bundle)
    frontend = Frontend(model.global_stream.frontend)
    clips = training_clips(read_corpus(corpus), recipe)
    samples = load_clips(clips, frontend.spec.rate, lambda done: progress("decoding clips", done, len(clips)))
    pool = Pool(samples, [clip.labels[0] for clip in clips])
    rng = np.random.default_rng(SEED)
    found: dict[str, list[Tensor]] = {part: [] for part in PARTS}
    for index in range(SCENES):
        scene = mix(pool, SEED, index, recipe.scenes)
        frames = scene_frames(frontend, [scene])
        of_clip, of_frames = hidden(model.global_stream, frames)
        output = model(frames, torch.tensor([-(-scene.silent // frontend.spec.hop)]))
        of_crops, _ = hidden(model.local_stream, output.crops[0])
        found["windows"].append(of_clip)
        found["frames"].append(of_frames[0, rng.choice(of_frames.shape[1], A_SCENE, replace=False)])
        found["crops"].append(of_crops[rng.choice(len(of_crops), A_SCENE, replace=False)])
        progress("scenes of other sounds", index + 1, SCENES)
    arrays: dict[str, np.ndarray] = {"trunk": np.array(trunk(model))}
    for part, rows in found.items():
        values = torch.cat(rows).numpy()
        low, high = values.min(0), values.max(0)
        step = np.maximum(high - low, 1e-9) / 255
        arrays |= {part: np.rint((values - low) / step).astype(np.uint8), f"{part}_low": low, f"{part}_step": step}
    np.savez_compressed(bundle / FILE, allow_pickle=False, **arrays)
    return bundle / FILE


def read_contrast(bundle: Path, model: Glat) -> Contrast:
    """Read what a bundle has.

    Raises:
        DataError: there is none, it is damaged, or it is of another network.
    """
    path = bundle / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            of = str(file["trunk"])
            parts = [
                torch.from_numpy(file[part].astype(np.float32) * file[f"{part}_step"] + file[f"{part}_low"])
                for part in PARTS
            ]
    except FileNotFoundError as error:
        raise DataError(f"{bundle} has no {FILE}: glatd train contrast {bundle} makes one of labelled clips") from error
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}; copy the bundle again") from error
    if of != trunk(model):
        raise DataError(f"{path} is of another network than the weights beside it; glatd train contrast makes it again")
    return Contrast(*parts)
