"""mAP of the contenders on the same weakly labelled scenes, so that speed is never bought blindly."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from benchmarks.peers.turns import Process
from benchmarks.scenes import SEED
from glatd.labels import audioset

RATES = (32_000, 16_000)  # Hz
Truth = NDArray[np.bool_]


def write_scenes(data: Path, recipe_file: Path, count: int, path: Path) -> Truth:
    """Scenes of clips that training never saw, as in `benchmarks.scenes`, as sound at every rate; their labels [N, C].

    Args:
        path: of the .npz to write, int16.
    """
    from glatd.trainer.corpus import load_clips, read_corpus
    from glatd.trainer.dataset import label_matrix, test_clips
    from glatd.trainer.recipe import read_recipe
    from glatd.trainer.scenes import MARGIN, SCENE, Pool, mix

    recipe = read_recipe(recipe_file)
    clips = test_clips(read_corpus(data), recipe)
    pool = Pool(load_clips(clips, RATES[0]), [clip.labels[0] for clip in clips])
    labels = label_matrix(clips)
    truth = np.zeros((count, labels.shape[1]), bool)
    whole = np.zeros((count, SCENE), np.int16)
    half = np.zeros((count, SCENE // 2), np.int16)
    for number in range(count):
        scene = mix(pool, SEED, number, recipe.test_scenes)
        truth[number] = labels[[event.clip for event in scene.events]].any(0)
        samples = scene.samples[MARGIN : MARGIN + SCENE]
        whole[number] = np.round(32_767 * samples)
        half[number] = np.round(32_767 * np.clip(soxr.resample(samples, *RATES), -1, 1))
    np.savez(path, **{str(RATES[0]): whole, str(RATES[1]): half})
    return truth


def scores(process: Process, scenes: Path, work: Path) -> dict[str, NDArray[np.float32]]:
    """Scores [N, 527] in the order of AudioSet's classes by pooling of windows; NaN where a class is unknown."""
    out = work / f"{process.contender.key}.npy"
    process.ask("judge", scenes, out)
    said = np.load(out)  # [N, n, C]
    ways = {"one window": said[:, 0]} if said.shape[1] == 1 else {"max": said.max(1), "mean": said.mean(1)}
    place = {mid: number for number, mid in enumerate(process.about["mids"])}
    found = {}
    for way, of in ways.items():
        full = np.full((len(of), len(audioset())), np.nan, np.float32)
        for column, label in enumerate(audioset()):
            if label.mid in place:
                full[:, column] = of[:, place[label.mid]]
        found[way] = full
    return found


def judge(
    truth: Truth, said: dict[str, dict[str, NDArray[np.float32]]], untrained: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """By contender: mAP over the classes that all of them know, of the way of pooling that is better for it."""
    from glatd.trainer.metrics import evaluate

    known = np.ones(truth.shape[1], bool)
    for ways in said.values():
        known &= ~np.isnan(next(iter(ways.values()))[0])
    classes = np.flatnonzero(known).tolist()
    found: dict[str, dict[str, Any]] = {key: {"map": None, "map_of": "its weights are not here"} for key in untrained}
    for key, ways in said.items():
        reports = {way: evaluate(truth, of, classes) for way, of in ways.items()}
        best = max(reports, key=lambda way: reports[way].map)
        found[key] = {
            "map": round(reports[best].map, 4),
            "map_of": best,
            "map_ways": {way: round(report.map, 4) for way, report in reports.items()},
            "map_classes": reports[best].classes,
        }
    return found
