"""How well events are timed: scenes with one sound of an unseen clip, whose onset is known.

A clip's onset is that of its first 10 ms that are within 20 dB of its loudest, or above the background where that is
less. The background is noise, or, of busy scenes, noise and another unseen clip over and over.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.audio import read_mono
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.tagger import Tagger
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.labels import ancestors
from glatd.messages import Event, Tags

RATE = 32_000
PART = 320  # samples, 10 ms
SECONDS = 24.0  # of a scene
SEED = 606
COLLAR = 0.5  # s


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


def measure(data: Path, recipe_file: Path, count: int) -> dict[str, Any]:
    """Figures over `count` scenes, and as many busy ones, with the default engine and rules."""
    engine = load_engine()
    return {
        name: figures(engine, scenes(data, recipe_file, count, busy), count)
        for name, busy in (("in_noise", False), ("busy", True))
    }


def figures(engine: Engine, made: Iterable[Scene], count: int) -> dict[str, Any]:
    """Figures over scenes."""
    errors, first_errors, delays, ends = [], [], [], []
    told = others = windows_over = 0
    for scene in made:
        tagger = Tagger(engine, top=None, events=EventSettings(), start=0.0)
        messages = [m for at in range(0, len(scene.samples), RATE) for m in tagger.push(scene.samples[at : at + RATE])]
        messages += tagger.finish()
        mids = {label.mid for label in engine.manifest.labels if label.name in scene.labels}
        windows_over += any(
            isinstance(m, Tags) and any(tag.mid in mids and tag.score >= 0.5 for tag in m.tags) for m in messages
        )
        events = [m for m in messages if isinstance(m, Event)]
        taken = {event.id for event in events if event.phase == "retract"}
        mine = [e for e in events if e.id not in taken and (e.mid in mids or ancestors(e.mid) & mids)]
        others += len({e.id for e in events} - taken - {e.id for e in mine})
        ended = {e.id: e for e in mine if e.phase == "end"}
        for event in ended.values():
            if not event.cause and event.offset_time is not None:
                ends.append(seconds_of(event) - event.offset_time / RATE)
        starts = [e for e in mine if e.phase == "start"]
        if not starts:
            continue
        told += 1
        start = min(starts, key=lambda e: e.onset)
        errors.append(ended[start.id].onset / RATE - scene.onset)
        first_errors.append(start.onset / RATE - scene.onset)
        delays.append(seconds_of(start) - scene.onset)
    size = np.abs(errors)
    return {
        "scenes": count,
        "with_a_window_over_0.5": windows_over,
        "told": told,
        "onset_error_median": round(float(np.median(size)), 3),
        "onset_error_median_of_starts": round(float(np.median(np.abs(first_errors))), 3),
        "onset_bias": round(float(np.median(errors)), 3),
        "within_collar": round(float((size <= COLLAR).mean()), 3),
        "start_delay_median": round(float(np.median(delays)), 2),
        "end_delay_median": round(float(np.median(ends)), 2),
        "end_delay_most": round(float(np.max(ends)), 2),
        "other_events_per_scene": round(others / count, 2),
    }


def seconds_of(event: Event) -> float:
    """Stream seconds at which an event was told, by its wall clock, which begins at 0."""
    hours, minutes, rest = event.time[11:-1].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)
