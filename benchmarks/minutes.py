"""Minutes with eight sounds each, whose onsets and offsets are known: to set thresholds on, and to judge them.

The clips are ones that training has not heard. Every recording that clips were cut from is on one side only: in the
minutes that thresholds are set on, or in those that they are judged on. All classes sound equally often. A class that
is said by another one of them (Music, of a flute) is left out: its events would be everywhere.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glatd.audio import read_mono
from glatd.labels import ancestors, audioset

RATE = 32_000
PART = 320  # samples, 10 ms
SECONDS = 60.0
SOUNDS = 8
FIRST, EVERY, JITTER = 3.0, 6.75, 3.5  # s: sounds begin in slots, and may reach into the next one
PAUSE = 2.0  # s of quiet in a clip that make two sounds of it
SNR = (10.0, 30.0)  # dB, of a sound's loudest 10 ms above the noise
LEAST_TAKES = 5  # recordings of a class, two or more for either side
SEED = 1606


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound in a minute."""

    onset: float  # s
    offset: float  # s
    label: str  # most specific one


@dataclass(frozen=True, slots=True)
class Minute:
    """A recording and what is in it."""

    samples: NDArray[np.float32]
    sounds: tuple[Sound, ...]


def sides(data: Path, recipe_file: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Clips by class: to set thresholds on, to judge on."""
    from glatd.trainer.corpus import read_corpus
    from glatd.trainer.dataset import test_clips
    from glatd.trainer.recipe import read_recipe

    takes: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for clip in test_clips(read_corpus(data), read_recipe(recipe_file)):
        shared = clip.group == "esc" or clip.group == "librosa"  # clips of one address are of one recording
        takes[clip.labels[0]][clip.url if shared else str(clip.path)].append(clip.path)
    mids = {label.name: label.mid for label in audioset()}
    said = {mid for name in takes for mid in ancestors(mids[name])}
    one: dict[str, list[Path]] = {}
    other: dict[str, list[Path]] = {}
    for name in sorted(takes):
        if len(takes[name]) < LEAST_TAKES or mids[name] in said:
            continue
        groups = [takes[name][key] for key in sorted(takes[name])]
        one[name] = [path for group in groups[0::2] for path in group]
        other[name] = [path for group in groups[1::2] for path in group]
    return one, other


def minutes(clips: dict[str, list[Path]], count: int, seed: int) -> Iterator[Minute]:
    """The first so many of an endless list, the same in every run."""
    names = sorted(clips)
    shuffles = np.random.default_rng([SEED, seed])
    order: list[str] = []
    for number in range(count):
        while len(order) < SOUNDS:
            order += shuffles.permutation(names).tolist()
        rng = np.random.default_rng([SEED, seed, number])
        chosen = [(name, clips[name][rng.integers(len(clips[name]))]) for name in order[:SOUNDS]]
        del order[:SOUNDS]
        yield make_minute(chosen, rng)


def make_minute(chosen: Sequence[tuple[str, Path]], rng: np.random.Generator) -> Minute:
    """The clips one after the other in coloured noise."""
    from glatd.trainer.scenes import coloured_noise

    mixed = coloured_noise(rng, round(SECONDS * RATE))
    sounds: list[Sound] = []
    for slot, (name, path) in enumerate(chosen):
        clip = read_mono(path, RATE)
        at = int((FIRST + EVERY * slot + rng.uniform(0, JITTER)) * RATE)
        clip = clip[: len(mixed) - at].copy()
        power = np.square(clip[: len(clip) // PART * PART].reshape(-1, PART), dtype=np.float64).mean(1)
        snr = rng.uniform(*SNR)
        mixed[at : at + len(clip)] += clip * np.float32(10 ** (snr / 20) / np.sqrt(power.max()))
        loud = np.flatnonzero(power >= power.max() * 10 ** (-min(20.0, snr) / 10))
        for run in np.split(loud, np.flatnonzero(np.diff(loud) * PART >= PAUSE * RATE) + 1):
            sounds.append(Sound((at + PART * run[0]) / RATE, (at + PART * (run[-1] + 1)) / RATE, name))
    mixed *= np.float32(10 ** (rng.uniform(-30, -6) / 20)) / np.abs(mixed).max()
    return Minute(mixed, tuple(sounds))
