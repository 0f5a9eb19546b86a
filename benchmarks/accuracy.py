"""What each precision costs: mAP on labelled scenes, and how far its answers are from float32."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.contenders import REFERENCE, Contender, load
from benchmarks.scenes import Scenes
from glatd.engines.engine import Engine, Look
from glatd.engines.manifest import Manifest


def looks(engine: Engine, scenes: Scenes) -> Look:
    """What an engine says of every scene."""
    parts = [engine.look(frames, audible) for frames, audible in scenes.batches()]
    return Look(*(np.concatenate([getattr(part, name) for part in parts]) for name in Look.__slots__))


def measure(
    listed: Sequence[Contender], manifest: Manifest, scenes: Scenes, threads: int
) -> list[dict[str, Any]]:
    """Rows of the accuracy table."""
    from glatd.trainer.metrics import evaluate

    rows: list[dict[str, Any]] = []
    all_looks = {
        contender.name: looks(Engine(manifest, load(contender, threads).graphs), scenes)
        for contender in listed
    }
    reference = all_looks[REFERENCE]
    for name, look in all_looks.items():
        judged = evaluate(scenes.truth, look.scores)
        same = (look.starts == reference.starts) & (look.classes == reference.classes)
        rows.append({
            "contender": name,
            "map": round(judged.map, 4),
            "map_global": round(evaluate(scenes.truth, look.global_).map, 4),
            "map_local": round(evaluate(scenes.truth, look.local).map, 4),
            "classes": judged.classes,
            "scenes": len(scenes.truth),
            "largest_difference": round(float(np.abs(look.scores - reference.scores).max()), 6),
            "mean_difference": round(float(np.abs(look.scores - reference.scores).mean()), 6),
            "same_crops": round(float(same.mean()), 4),
        })
    for row in rows:
        row["map_change"] = round(row["map"] - rows[0]["map"], 4)
    return rows
