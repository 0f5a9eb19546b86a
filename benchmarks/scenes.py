"""Labelled scenes of unseen clips, for what a precision costs; and scenes to calibrate on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glatd.engines.manifest import Geometry

CALIBRATION_CLIPS = 150  # of the training folds, evenly over the list
BATCH = 8
SEED = 909  # of the scenes; training has its own


@dataclass(frozen=True, slots=True)
class Scenes:
    """N scenes."""

    frames: NDArray[np.float16]  # [N, window, M]
    audible: NDArray[np.float32]  # [N, F]
    truth: NDArray[np.bool_]  # [N, C]

    def batches(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Inputs of `Engine.look`."""
        for first in range(0, len(self.truth), BATCH):
            rows = slice(first, first + BATCH)
            yield np.array(self.frames[rows], np.float32), self.audible[rows]


def make(data: Path, recipe_file: Path, sizes: Geometry, count: int, unseen: bool, work: Path) -> Scenes:
    """Scenes mixed as those of the tests in `recipe_file`, from clips that training never saw (or else that it saw).

    Args:
        data: folder with corpus.csv and clips/.
        work: folder for what is rendered.
    """
    # Here, not above: this needs torch, and the benchmarks of the daemon do not.
    from glatd.trainer.backbones.mn import MN
    from glatd.trainer.corpus import load_clips, read_corpus
    from glatd.trainer.dataset import label_matrix, render_scenes, test_clips, training_clips
    from glatd.trainer.frontend import Frontend
    from glatd.trainer.recipe import read_recipe

    recipe = read_recipe(recipe_file)
    corpus = read_corpus(data)
    if unseen:
        clips = test_clips(corpus, recipe)
    else:
        clips = training_clips(corpus, recipe)
        clips = clips[:: max(1, len(clips) // CALIBRATION_CLIPS)]
    frontend = Frontend(MN(width=recipe.width).frontend)
    samples = load_clips(clips, sizes.rate)
    scenes = render_scenes(clips, samples, frontend, recipe.test_scenes, SEED, count, work, lambda done: None)
    middles = np.arange(sizes.frames) * sizes.stride + sizes.stride // 2
    audible = (middles >= scenes.silent[:, None]).astype(np.float32)
    return Scenes(scenes.frames, audible, scenes.truth(label_matrix(clips)))
