"""The exam of a two-stream network: scenes of unseen clips, beside its base model."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from glatd.labels import audioset
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.corpus import Clip, load_clips, read_corpus
from glatd.trainer.dataset import (
    Progress,
    clip_scores,
    label_matrix,
    render_scenes,
    test_clips,
    training_clips,
)
from glatd.trainer.frontend import Frontend
from glatd.trainer.glat import Glat
from glatd.trainer.judge import BATCH, judge
from glatd.trainer.looker import Network
from glatd.trainer.metrics import Report, evaluate
from glatd.trainer.recipe import Recipe
from glatd.trainer.scenes import SceneSpec


@dataclass(frozen=True, slots=True)
class Table:
    """mAP, mAUC and d-prime on one set of scenes, by way of looking (the keys of `judge`)."""

    spec: SceneSpec
    scenes: int
    trained: dict[str, Report]  # over the classes with training clips
    kept_out: dict[str, Report]
    base_trained: dict[str, Report]  # the base model in both streams, untrained
    base_kept_out: dict[str, Report]


@dataclass(frozen=True, slots=True)
class Exam:
    """What came of it."""

    short: Table  # on the recipe's test_scenes
    long: Table  # on scenes as training has them
    drift: float  # mean |global score - teacher| on test clips over untrained classes
    drift_worst: float  # the largest mean over the clips of one class
    train_clips: int
    test_clips: int
    licences: dict[str, int]  # of the training clips
    trained_classes: int


def class_lists(clips: list[Clip], recipe: Recipe) -> tuple[list[int], list[int], NDArray[np.bool_]]:
    """Classes with training clips, classes kept out, and a mask of the former."""
    trained = np.asarray(label_matrix(training_clips(clips, recipe)).any(0), bool)
    names = [label.name for label in audioset()]
    return np.flatnonzero(trained).tolist(), [names.index(name) for name in recipe.data.kept_out], trained


def examine(model: Glat, base: Backbone, recipe: Recipe, corpus: Path, work: Path, progress: Progress) -> Exam:
    """Judge `model` and, in the same way, the base model in both streams.

    Args:
        corpus: folder with corpus.csv and clips/.
        work: folder for the rendered scenes.
    """
    all_clips = read_corpus(corpus)
    clips = test_clips(all_clips, recipe)
    frontend = Frontend(base.frontend)
    samples = load_clips(clips, frontend.spec.rate, lambda done: progress("decoding test clips", done, len(clips)))
    trained, kept_out, mask = class_lists(all_clips, recipe)
    untrained = Glat(base, recipe.glat)

    def judged(spec: SceneSpec, count: int, seed: int) -> Table:
        scenes = render_scenes(
            clips,
            samples,
            frontend,
            spec,
            seed,
            count,
            work,
            lambda done: progress("mixing test scenes", done, count),
        )
        truth = scenes.truth(label_matrix(clips))

        def scores(network: Glat, what: str) -> dict[str, NDArray[np.float32]]:
            return judge(Network(network), scenes.batches(BATCH), progress=lambda done: progress(what, done, count))

        ours, theirs = scores(model, "judging"), scores(untrained, "judging the base model")

        def reports(scores: dict[str, NDArray[np.float32]], classes: list[int]) -> dict[str, Report]:
            return {way: evaluate(truth, values, classes) for way, values in scores.items()}

        return Table(
            spec,
            count,
            reports(ours, trained),
            reports(ours, kept_out),
            reports(theirs, trained),
            reports(theirs, kept_out),
        )

    difference = (clip_scores(model.global_stream, frontend, samples) - clip_scores(base, frontend, samples)).abs()
    untouched = difference[:, torch.from_numpy(~mask)]
    used = training_clips(all_clips, recipe)
    count = recipe.data.test_scenes
    return Exam(
        short=judged(recipe.test_scenes, count, recipe.seed + 1),
        long=judged(recipe.scenes, count // 2, recipe.seed + 2),
        drift=float(untouched.mean()),
        drift_worst=float(untouched.mean(0).max()),
        train_clips=len(used),
        test_clips=len(clips),
        licences=dict(Counter(clip.licence for clip in used).most_common()),
        trained_classes=len(trained),
    )
