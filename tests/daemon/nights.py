"""Nights: sites with a noise floor of their own, and a sound now and then."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glatd.audio import read_mono
from glatd.daemon.gate import LevelGate, Setting, loudest
from glatd.daemon.tagger import Tagger
from glatd.engines.engine import Engine
from glatd.messages import Tags
from glatd.trainer.corpus import Clip, read_corpus
from glatd.trainer.scenes import coloured_noise
from tests.daemon.sounds import RATE, Floats

HOP = 30_720  # samples
HOPS = 11  # in a window
FOUND = 0.3  # a score that something may be made of


@dataclass(frozen=True)
class Night:
    """A site."""

    seed: int
    floor: float  # dBFS
    pause: float  # mean seconds between sounds
    minutes: int


def recorded(night: Night, corpus: Path) -> Floats:
    """Mono at RATE: coloured noise that drifts by up to 3 dB, and clips at -5 to 40 dB above it from 70 s on."""
    rng = np.random.default_rng(night.seed)
    clips: list[Clip] = read_corpus(corpus)
    seconds = 60 * night.minutes
    drift = np.clip(np.cumsum(rng.normal(0, 0.15, seconds)), -3, 3)
    gain = 10 ** ((night.floor + drift) / 20)
    sound = np.resize(coloured_noise(rng, 20 * RATE), seconds * RATE) * np.repeat(gain, RATE).astype(np.float32)
    at = 70 * RATE
    while True:
        at += int(rng.exponential(night.pause) * RATE)
        clip = read_mono(clips[rng.integers(len(clips))].path, RATE)
        if at + len(clip) > len(sound):
            return np.clip(sound, -1, 1)
        level = min(night.floor + rng.uniform(-5, 40), -6)
        power = float(np.mean(np.square(clip, dtype=np.float64)))
        sound[at : at + len(clip)] += clip * np.float32(10 ** (level / 20) / np.sqrt(power))
        at += len(clip)


@dataclass(frozen=True)
class Watched:
    """What a gate does with a night."""

    windows: int
    skipped: int
    # Skipped, though a class other than Silence scores FOUND or more:
    late: tuple[Tags, ...]  # the next window was looked at, 0.96 s later
    lost: tuple[Tags, ...]  # the next was skipped too


def watch(engine: Engine, sound: Floats, setting: Setting) -> Watched:
    """Look at every window, and ask the gate about each."""
    gate, tagger = LevelGate(setting, HOPS), Tagger(engine, top=2)
    looked: list[bool] = []
    found: list[Tags | None] = []
    busy = False
    for at in range(0, len(sound), RATE):
        for message in tagger.push(sound[at : at + RATE]):
            assert isinstance(message, Tags)
            finds = any(tag.score >= FOUND and tag.label != "Silence" for tag in message.tags)
            quiet = gate.quiet(loudest(sound[max(0, message.end - HOP) : message.end]), busy)
            busy = busy if quiet else finds
            looked.append(not quiet)
            found.append(message if finds and quiet else None)
    missed = [(at, message) for at, message in enumerate(found) if message is not None]
    after = [*looked[1:], False]
    return Watched(
        len(looked),
        looked.count(False),
        late=tuple(message for at, message in missed if after[at]),
        lost=tuple(message for at, message in missed if not after[at]),
    )
