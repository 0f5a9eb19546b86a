"""Hold an engine against the float32 network: what its certificate says is measured here."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glatd.engines.certificate import DIGITS, VERSION, Certificate, Errors
from glatd.engines.engine import Engine, Floats, pool
from glatd.engines.load import load_engine
from glatd.engines.machine import processor_name
from glatd.engines.manifest import read_manifest
from glatd.engines.material import EVERY, TONE, Material
from glatd.engines.ranking import judged_classes, mean_average_precision
from glatd.engines.targets import find_target
from glatd.engines.targets.target import Imitator
from glatd.engines.verify import frames_in_blocks

GRAPHS = ("frontend", "global", "activations", "local")
STREAMS = ("local stream", "fused", "end to end")
BATCH = 8  # windows at once, where an engine likes more than one
TOP = 5


class Tally:
    """The largest and the mean difference of many."""

    def __init__(self) -> None:
        self._max, self._sum, self._count = 0.0, 0.0, 0

    def add(self, found: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
        """Count two arrays of one shape. Returns their largest difference; infinite where one is no number."""
        difference = np.abs(found.astype(np.float64) - wanted)
        largest = float(difference.max()) if np.isfinite(difference).all() else float("inf")
        self._max = max(self._max, largest)
        self._sum += float(difference.sum())
        self._count += difference.size
        return largest

    @property
    def errors(self) -> Errors:
        """Of everything that was counted."""
        return Errors(self._max, self._sum / max(self._count, 1))


def load_for_certificate(folder: Path) -> tuple[Engine, str]:
    """An engine, and what it computes in: its precision, imitated where the machine lacks it, if that can be.

    Raises:
        EngineError: it does not load.
    """
    manifest = read_manifest(folder)
    target = find_target(manifest.runtime.target)
    if isinstance(target, Imitator):
        graphs, computed = target.imitate(folder, manifest)
        return Engine(manifest, graphs, target.most_windows(manifest)), computed
    return load_engine(folder), manifest.runtime.precision


def certify(folder: Path, material: Material) -> Certificate:
    """Measure the engine in `folder`. Whether it is good enough, `Certificate.faults` says.

    Raises:
        EngineError: it does not load or run.
    """
    engine, computed = load_for_certificate(folder)
    manifest = engine.manifest
    tallies = {name: Tally() for name in (*GRAPHS, *STREAMS)}
    quiet, same, top = 0.0, 0, 0.0
    scores = np.empty_like(material.fused)
    most = min(TOP, material.fused.shape[1])
    for rows, frames, audible in in_batches(engine, material):
        look = engine.look(frames, audible)
        of_crops = local_scores(engine, frames, material.starts[rows])
        for at, row in enumerate(dict.fromkeys(rows.tolist())):  # without those that fill the last batch up
            starts, classes, fused = material.starts[row], material.classes[row], material.fused[row]
            largest = tallies["frontend"].add(frames[at, ::EVERY], material.frames[row])
            if material.about.names[row] == TONE:
                quiet = max(quiet, largest)
            tallies["global"].add(look.global_[at], material.global_[row])
            tallies["activations"].add(look.framewise[at, classes], material.activations[row])
            tallies["local"].add(of_crops[at], material.of_crops[row])
            local = pool(of_crops[at], 0)
            tallies["local stream"].add(local, pool(material.of_crops[row], 0))
            tallies["fused"].add(pool(np.stack([look.global_[at], local]), 0), fused)
            tallies["end to end"].add(look.scores[at], fused)
            scores[row] = look.scores[at]
            same += sum((Counter(look.starts[at].tolist()) & Counter(starts.tolist())).values())
            top += len(np.intersect1d(highest(look.scores[at], most), highest(fused, most))) / most
    count = len(material.samples)
    names = material.about.names
    return Certificate(
        version=VERSION,
        engine=manifest.hash,
        weights_sha256=material.about.weights_sha256,
        precision=manifest.runtime.precision,
        computed=computed,
        machine=processor_name(manifest.runtime),
        runtime=f"{manifest.runtime.name} {find_target(manifest.runtime.target).version(manifest)}",
        made=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        windows=count,
        clips=sum(name.startswith("clip") for name in names),
        scenes=sum(name.startswith("scene") for name in names),
        classes=len(judged_classes(material.truth)),
        graphs={name: tallies[name].errors for name in GRAPHS},
        local=tallies["local stream"].errors,
        fused=tallies["fused"].errors,
        end_to_end=tallies["end to end"].errors,
        quiet_tone=quiet,
        top5=top / count,
        crops=same / material.starts.size,
        map_network=round(mean_average_precision(material.truth, material.fused), DIGITS + 2),
        map_engine=round(mean_average_precision(material.truth, np.nan_to_num(scores)), DIGITS + 2),
        hash="",
    )


def in_batches(engine: Engine, material: Material) -> Iterator[tuple[NDArray[np.int64], Floats, Floats]]:
    """Numbers of windows, their frames [P, window, M] by the engine and audible [P, F]; every batch of one size."""
    size = max(1, min(BATCH, engine.most_windows))
    for first in range(0, len(material.samples), size):
        rows, samples, audible = material.rows(first, size)
        yield rows, np.ascontiguousarray(frames_in_blocks(engine, samples)), audible


def local_scores(engine: Engine, frames: Floats, starts: NDArray[np.int64]) -> Floats:
    """Scores [P, K, C] of the crops at `starts` [P, K]."""
    sizes = engine.sizes
    cut = frames[np.arange(len(frames))[:, None, None], starts[:, :, None] + np.arange(sizes.crop)]
    scores = engine.look_locally(np.ascontiguousarray(cut.reshape(-1, sizes.crop, sizes.mels)))
    return scores.reshape(*starts.shape, -1)


def highest(scores: Floats, count: int) -> NDArray[np.int64]:
    """The classes [count] of the highest scores [C]; of equal ones the earlier."""
    return np.argsort(-scores, kind="stable")[:count]
