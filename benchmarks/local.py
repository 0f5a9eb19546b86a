"""Second looks where the first one wants them, or everywhere: what both find and cost (`local` of the configuration).

Three figures of each: mAP on weakly labelled scenes of unseen clips, event F1 in minutes with eight sounds, thresholds
set on others; and the CPU of a window once the stream runs, where crops that are known are not looked at again.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import detection, minutes
from benchmarks.machine import described, load_average
from benchmarks.progress import say
from benchmarks.scenes import Scenes, make
from glatd.audio import read_mono
from glatd.daemon.crops import LocalScores
from glatd.daemon.looking import Everywhere, Looking, TopK
from glatd.daemon.stream import Stream
from glatd.daemon.tagging import hop_frames, make_frames, see, silence
from glatd.engines.engine import Engine, pool
from glatd.engines.load import load_engine
from glatd.engines.manifest import DEFAULT_HOP_SECONDS

SKIP = 11  # windows before it counts: the first ones have fewer crops
STEPS_S = (0.32, 0.96, 1.92)  # between the crops of "all", for mAP


def ways(engine: Engine) -> dict[str, Looking]:
    """By name, as the configuration has them."""
    return {"top-k": TopK(), "all": Everywhere(hop_frames(engine, DEFAULT_HOP_SECONDS))}


def measure(data: Path, recipe_file: Path, scenes: int, minutes_: int, work: Path | None) -> dict[str, Any]:
    """All three, of the default engine.

    Args:
        data: folder with corpus.csv and clips/.
        work: folder for scenes and scores, so that another run needs them no more; None for one that is deleted.
    """
    load, engine = load_average(), load_engine(threads=1)
    with TemporaryDirectory() as name:
        folder = work or Path(name)
        sound = np.concatenate([read_mono(path, engine.sizes.rate) for path in sorted(data.rglob("*.ogg"))[:120:4]])
        say("what a window costs")
        cost = {way: cost_of(engine, looking, sound) for way, looking in ways(engine).items()}
        say(f"{scenes} scenes")
        found = map_of(engine, make(data, recipe_file, engine.sizes, scenes, True, folder))
        events = {}
        for way, looking in ways(engine).items():
            say(f"events, local = {way}")
            events[way] = f1_of(engine, looking, data, recipe_file, minutes_, folder)
    return {
        **described(f"python -m benchmarks local --minutes {minutes_} --scenes {scenes}", load),
        "model": engine.manifest.model,
        "engine": engine.manifest.hash,
        "hop_s": DEFAULT_HOP_SECONDS,
        "scenes": scenes,
        "minutes": minutes_,
        "cost": cost,
        "map": found,
        "events": events,
    }


def cost_of(engine: Engine, looking: Looking, sound: NDArray[np.float32]) -> dict[str, float]:
    """Means over the windows of one stream, on one thread, after the first ones; and the median of the CPU."""
    stream = Stream(engine.sizes, hop_frames(engine, DEFAULT_HOP_SECONDS), silence(engine))
    took: list[float] = []
    number, at = 0, 0
    while at < len(sound):
        stream.append(piece := sound[at : at + stream.wanted()])
        at += len(piece)
        make_frames(engine, [stream])
        window = stream.window_due()
        if window is None or not stream.publishable(window):
            continue
        number += 1
        if number == SKIP:
            stream.local.computed = stream.local.known = 0
        began = time.process_time()
        see(engine, [(stream, window)], looking)
        if number >= SKIP:
            took.append(1000 * (time.process_time() - began))
    local: LocalScores = stream.local
    return {
        "windows": len(took),
        "cpu_ms": round(float(np.mean(took)), 2),
        "cpu_ms_median": round(float(np.median(took)), 2),
        "new_crops": round(local.computed / len(took), 3),
        "hit_rate": round(local.known / (local.known + local.computed), 3),
    }


def map_of(engine: Engine, scenes: Scenes) -> dict[str, float]:
    """mAP fused, of both, of the global stream alone, and of "all" at other hops."""
    from glatd.trainer.metrics import evaluate

    sizes = engine.sizes
    steps = {step: hop_frames(engine, step) for step in STEPS_S}
    grid = sorted({start for hop in steps.values() for start in range(sizes.window - sizes.crop, -1, -hop)})
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for number, (frames, audible, everywhere) in enumerate(looked(engine, scenes, grid)):
        if number % 50 == 0:
            say(f"scene {number + 1} of {len(scenes.truth)}")
        glance = engine.look_globally(frames, audible)
        look = engine.fuse(glance, everywhere[:, np.searchsorted(grid, glance.starts[0])])
        parts.setdefault("global", []).append(look.global_)
        parts.setdefault("top-k", []).append(look.scores)
        for step, hop in steps.items():
            middles = [(start + sizes.crop // 2) // sizes.stride for start in grid]
            chosen = [
                number
                for number, start in enumerate(grid)
                if (sizes.window - sizes.crop - start) % hop == 0 and audible[0, middles[number]]
            ]
            local = pool(everywhere[:, chosen or [len(grid) - 1]], 1)
            fused = pool(np.stack([glance.scores, local]), 0)
            parts.setdefault("all" if step == DEFAULT_HOP_SECONDS else f"all, every {step:g} s", []).append(fused)
    return {name: round(evaluate(scenes.truth, np.concatenate(rows)).map, 4) for name, rows in parts.items()}


def looked(
    engine: Engine, scenes: Scenes, grid: list[int]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]:
    """Frames [1, window, M], audible [1, F] and local scores [1, len(grid), C] of each scene."""
    for batch, of_batch in scenes.batches():
        for frames, audible in zip(batch, of_batch, strict=True):
            crops = [engine.look_locally(frames[None, start : start + engine.sizes.crop])[0] for start in grid]
            yield frames[None], audible[None], np.stack(crops)[None]


def f1_of(
    engine: Engine, looking: Looking, data: Path, recipe_file: Path, count: int, work: Path
) -> dict[str, float | int]:
    """Event F1 over classes, and how well onsets are placed."""
    one, other = minutes.sides(data, recipe_file)
    labels = sorted(one)
    setting = detection.listen(engine, one, count, 0, work, looking)
    judging = detection.listen(engine, other, count, 1, work, looking)
    counts, thresholds = detection.by_events(engine, labels, setting, judging)
    errors, _ = detection.timing(engine, thresholds, judging)
    return {
        "sounds": sum(map(len, judging.sounds)),
        "f1_macro": detection.macro(counts),
        "f1_micro": detection.micro(counts),
        "told": len(errors),
        "within_collar": round(float((np.abs(errors) <= detection.COLLAR).mean()), 3),
    }
