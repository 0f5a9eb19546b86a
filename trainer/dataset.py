"""From a corpus and a recipe to what training needs: scenes, labels and the teacher's opinions."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glatd.labels import audioset, class_index
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.corpus import Clip, load_clips, read_corpus
from glatd.trainer.frontend import Frontend
from glatd.trainer.losses import Targets
from glatd.trainer.recipe import Recipe
from glatd.trainer.scenes import Pool, SceneSpec
from glatd.trainer.sceneset import SceneSet, render

Progress = Callable[[str, int, int], None]  # what is being done, done, of how many
BATCH = 16


def training_clips(clips: list[Clip], recipe: Recipe) -> list[Clip]:
    """Clips of the training folds that may be shipped and carry no label that is kept out."""
    data = recipe.data
    return [
        clip
        for clip in clips
        if clip.fold in data.train_folds
        and clip.shippable
        and clip.recognisable
        and not set(clip.labels) & set(data.kept_out)
    ]


def test_clips(clips: list[Clip], recipe: Recipe) -> list[Clip]:
    """Clips of the test folds, and of every fold but 0 where a kept-out label is carried."""
    data = recipe.data
    return [
        clip
        for clip in clips
        if clip.recognisable
        and clip.fold != 0
        and (clip.fold in data.test_folds or set(clip.labels) & set(data.kept_out))
    ]


def label_matrix(clips: list[Clip]) -> NDArray[np.bool_]:
    """Labels [clips, 527]."""
    matrix = np.zeros((len(clips), len(audioset())), bool)
    for row, clip in enumerate(clips):
        matrix[row, [class_index(name) for name in clip.labels]] = True
    return matrix


@torch.no_grad()
def clip_scores(teacher: Backbone, frontend: Frontend, samples: list[NDArray[np.float32]]) -> Tensor:
    """The teacher's scores [clips, C] of each clip, at its own length."""
    teacher.eval()
    rows = [teacher.clip_logits(frontend.clip(torch.from_numpy(clip)[None])).sigmoid()[0] for clip in samples]
    return torch.stack(rows)


@torch.no_grad()
def scene_scores(teacher: Backbone, scenes: SceneSet, progress: Callable[[int], None]) -> Tensor:
    """The teacher's scores [N, C] of each whole scene."""
    teacher.eval()
    rows = []
    done = 0
    for frames, _ in scenes.batches(BATCH):
        rows.append(teacher.clip_logits(frames).sigmoid())
        done += len(frames)
        progress(done)
    return torch.cat(rows)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Rendered scenes and their targets."""

    scenes: SceneSet
    events: Tensor  # [clips + 1, C] score that each clip's sound deserves; the last row is 0
    teacher: Tensor  # [N, C] of the whole scenes
    trained: Tensor  # [C] bool

    def batch(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor, Targets]:
        """Frames [B, 1000, M], silent mel frames [B], and targets of the scenes `index`."""
        scenes = self.scenes
        targets = Targets(
            events=self.events[torch.from_numpy(scenes.clips[index])],
            spans=torch.from_numpy(scenes.spans[index]),
            scene=self.teacher[torch.from_numpy(index)],
            trained=self.trained,
        )
        frames = torch.from_numpy(np.array(scenes.frames[index], np.float32))
        return frames, torch.from_numpy(scenes.silent[index]), targets


def render_scenes(
    clips: list[Clip],
    samples: list[NDArray[np.float32]],
    frontend: Frontend,
    spec: SceneSpec,
    seed: int,
    count: int,
    work: Path,
    progress: Callable[[int], None],
) -> SceneSet:
    """Scenes of `clips`, from the cache under `work` where they stand there."""
    pool = Pool(samples, [clip.labels[0] for clip in clips])
    return render(work / "scenes", clips, pool, frontend, seed, count, spec, progress)


def training_data(recipe: Recipe, corpus: Path, teacher: Backbone, work: Path, progress: Progress) -> TrainingData:
    """Everything that `fit` reads.

    Args:
        corpus: folder with corpus.csv and clips/.
        teacher: the base model, unchanged.
        work: folder for the rendered scenes.
    """
    clips = training_clips(read_corpus(corpus), recipe)
    frontend = Frontend(teacher.frontend)
    samples = load_clips(clips, frontend.spec.rate, lambda done: progress("decoding clips", done, len(clips)))
    count = recipe.data.train_scenes
    scenes = render_scenes(
        clips,
        samples,
        frontend,
        recipe.scenes,
        recipe.seed,
        count,
        work,
        lambda done: progress("mixing scenes", done, count),
    )
    labels = torch.from_numpy(label_matrix(clips))
    opinion = clip_scores(teacher, frontend, samples)
    events = torch.where(labels, opinion.clamp(min=recipe.loss.positive), opinion)
    return TrainingData(
        scenes=scenes,
        events=torch.cat([events, torch.zeros_like(events[:1])]),  # row -1: no event
        teacher=scene_scores(teacher, scenes, lambda done: progress("asking the teacher", done, count)),
        trained=labels.any(0),
    )
