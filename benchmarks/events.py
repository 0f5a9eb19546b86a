"""How well events are timed and told: scenes with one sound of an unseen clip, and minutes with eight (detection.py).

A clip's onset is that of its first 10 ms that are within 20 dB of its loudest, or above the background where that is
less. The background is noise, or, of busy scenes, noise and another unseen clip over and over.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import detection, scored
from benchmarks.machine import commit, described, load_average
from benchmarks.progress import say
from glatd.audio import read_mono
from glatd.daemon.announce import Announcer
from glatd.daemon.clock import WallClock
from glatd.daemon.events.decider import Decider
from glatd.daemon.events.rules import resolve
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.events.tape import Ended, Looked, decide
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.errors import DataError
from glatd.labels import ancestors

RATE = 32_000
PART = 320  # samples, 10 ms
SECONDS = 24.0  # of a scene
SEED = 606
COLLAR = 0.5  # s
COST_SCENES = 4  # busy ones, in which deciding is timed


@dataclass(frozen=True, slots=True)
class Scene:
    """A clip in noise."""

    samples: NDArray[np.float32]
    onset: float  # s
    labels: tuple[str, ...]


def make_scene(
    clip: NDArray[np.float32], labels: tuple[str, ...], other: NDArray[np.float32] | None, rng: np.random.Generator
) -> Scene:
    """The clip at 10 to 30 dB above coloured noise or another clip, beginning 6 to 12 s into the scene."""
    from glatd.trainer.scenes import coloured_noise

    power = np.square(clip[: len(clip) // PART * PART].reshape(-1, PART), dtype=np.float64).mean(1)
    snr = rng.uniform(10, 30)  # dB, of the loudest 10 ms
    loud = np.flatnonzero(power >= power.max() * 10 ** (-min(20.0, snr) / 10))
    noise = coloured_noise(rng, round(SECONDS * RATE))
    if other is not None:
        noise = 0.1 * noise + np.resize(other / np.sqrt(np.square(other).mean()), len(noise))
    noise *= np.float32(np.sqrt(power.max()) * 10 ** (-snr / 20))
    at = int(rng.uniform(6, 12) * RATE)
    clip = clip[: len(noise) - at]
    noise[at : at + len(clip)] += clip
    level = 10 ** (rng.uniform(-30, -6) / 20) / np.abs(noise).max()
    return Scene((noise * level).astype(np.float32), (at + PART * int(loud[0])) / RATE, labels)


def scenes(data: Path, recipe_file: Path, count: int, busy: bool) -> Iterator[Scene]:
    """Scenes of clips that training has not heard, each clip as often as the others."""
    from glatd.trainer.corpus import read_corpus
    from glatd.trainer.dataset import test_clips
    from glatd.trainer.recipe import read_recipe

    rng = np.random.default_rng(SEED)
    clips = test_clips(read_corpus(data), read_recipe(recipe_file))
    order = [clips[index] for turn in range(count // len(clips) + 1) for index in rng.permutation(len(clips))]
    for clip in order[:count]:
        others = [other for other in clips if not set(other.labels) & set(clip.labels)]
        other = read_mono(others[rng.integers(len(others))].path, RATE) if busy else None
        yield make_scene(read_mono(clip.path, RATE), clip.labels, other, rng)


def measure(
    data: Path, recipe_file: Path, count: int, minutes: int, work: Path | None, before: dict[str, Any]
) -> dict[str, Any]:
    """All figures of events, with the default engine.

    Args:
        count: scenes in noise, and as many busy ones; 0 to keep their figures of `before`.
        minutes: with eight sounds, to set thresholds on, and as many to judge on.
        work: folder in which scores are kept, so that another run needs the networks no more; None for none.
    """
    if not count and not {"in_noise", "busy"} <= before.keys():
        raise DataError("there are no figures of scenes from before; give --scenes")
    load, engine = load_average(), load_engine()
    command = f"python -m benchmarks events --scenes {count} --minutes {minutes}"
    noisy, busy = (list(scenes(data, recipe_file, max(count, COST_SCENES), both)) for both in (False, True))
    single = (
        {"in_noise": figures(engine, noisy, work), "busy": figures(engine, busy, work)}
        if count
        else {key: before[key] for key in ("in_noise", "busy")}
    )
    return {
        **described(command, load),
        "model": engine.manifest.model,
        "engine": engine.manifest.hash,
        **single,
        "scenes_of_commit": commit() if count else before.get("scenes_of_commit", before.get("commit", "586a6df")),
        "detection": detection.measure(engine, data, recipe_file, minutes, work),
        "deciding_ms": cost(engine, busy[:COST_SCENES]),
    }


def figures(engine: Engine, made: Sequence[Scene], work: Path | None) -> dict[str, Any]:
    """Figures over scenes, with the default rules."""
    names, rate = engine.manifest.names, engine.sizes.rate
    rules = resolve(EventSettings(), engine.manifest.labels, engine.sizes, scored.hop_of(engine), "audio")
    errors, first_errors, delays, ends = [], [], [], []
    told = others = windows_over = 0
    for number, scene in enumerate(made):
        if number % 20 == 0:
            say(f"scene {number + 1} of {len(made)}")
        hearings = scored.heard(engine, scene.samples, work)
        indices = [names.index(name) for name in scene.labels if name in names]
        mids = {engine.manifest.labels[index].mid for index in indices}
        windows_over += any((hearing.scores[indices] >= 0.5).any() for hearing in hearings)
        turns = [*(Looked(hearing, hearing.window.end / rate) for hearing in hearings), Ended("end of stream")]
        events = decide(turns, rules, engine.manifest, "audio")
        taken = {event.id for event in events if event.phase == "retract"}
        mine = [e for e in events if e.id not in taken and (e.mid in mids or ancestors(e.mid) & mids)]
        others += len({e.id for e in events} - taken - {e.id for e in mine})
        ended = {e.id: e for e in mine if e.phase == "end"}
        for event in ended.values():
            if not event.cause and event.offset_time is not None:
                ends.append(detection.seconds_of(event.time) - event.offset_time / RATE)
        starts = [e for e in mine if e.phase == "start"]
        if not starts:
            continue
        told += 1
        start = min(starts, key=lambda e: e.onset)
        errors.append(ended[start.id].onset / RATE - scene.onset)
        first_errors.append(start.onset / RATE - scene.onset)
        delays.append(detection.seconds_of(start.time) - scene.onset)
    size = np.abs(errors)
    return {
        "scenes": len(made),
        "with_a_window_over_0.5": windows_over,
        "told": told,
        "onset_error_median": round(float(np.median(size)), 3),
        "onset_error_median_of_starts": round(float(np.median(np.abs(first_errors))), 3),
        "onset_bias": round(float(np.median(errors)), 3),
        "within_collar": round(float((size <= COLLAR).mean()), 3),
        "start_delay_median": round(float(np.median(delays)), 2),
        "end_delay_median": round(float(np.median(ends)), 2),
        "end_delay_most": round(float(np.max(ends)), 2),
        "other_events_per_scene": round(others / len(made), 2),
    }


def cost(engine: Engine, made: Sequence[Scene]) -> dict[str, float]:
    """Milliseconds of its thread that the decider takes of a window, by whether any class scores 0.5 in it."""
    loud: list[float] = []
    quiet: list[float] = []
    rules = resolve(EventSettings(), engine.manifest.labels, engine.sizes, scored.hop_of(engine), "audio")
    for scene in made:
        clock = WallClock(0.0, engine.sizes.rate)
        decider = Decider(Announcer("", "", "audio", "", engine.manifest, clock, None), rules)
        for seen in scored.looks(engine, scene.samples):
            began = time.thread_time()
            decider.take(seen)
            (loud if (seen.scores >= rules.on).any() else quiet).append(1000 * (time.thread_time() - began))
    return {
        "windows": len(loud) + len(quiet),
        "with_a_class_median": round(float(np.median(loud)), 3),
        "with_a_class_mean": round(float(np.mean(loud)), 3),
        "without_median": round(float(np.median(quiet)), 3) if quiet else 0.0,
    }
