"""Weakly labelled 10 s scenes, mixed from single events: the data of the first training.

A scene is a pure function of (pool, seed, index): onsets, durations, levels and backgrounds are
drawn from `numpy.random.default_rng([seed, index])`. It carries its weak labels (which sounds
are in it) and, since it was mixed here, when each of them is active.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RATE = 32_000  # Hz
SCENE = 10 * RATE  # samples
MARGIN = 512  # samples before and after, so that the first and last frame see real neighbours
FADE = RATE // 100  # samples, 10 ms
MAX_EVENTS = 3
HEARD = RATE // 5  # samples of a sound, at least, for it to count
TEXTURES = frozenset(  # sounds that last: one of them can lie under the whole scene
    {"Rain", "Waves, surf", "Crackle", "Helicopter", "Chainsaw", "Wind", "Engine", "Tick-tock"}
)


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """The ranges that scenes are drawn from."""

    shortest: float = 0.2  # s
    longest: float = 3.0  # s
    snr: tuple[float, float] = (0.0, 25.0)  # dB, event over background, both as RMS while active
    background: tuple[float, float] = (-65.0, -35.0)  # dBFS
    texture: float = 0.15  # share of scenes with a lasting sound under everything
    late_start: float = 0.1  # share of scenes that begin with digital silence, like a new stream


@dataclass(frozen=True, slots=True)
class Event:
    """One sound in a scene."""

    clip: int  # index into the pool
    onset: int  # sample of the scene
    offset: int  # sample of the scene, exclusive


@dataclass(frozen=True, slots=True)
class Scene:
    """10 s of sound, `MARGIN` real samples on both sides, and what is in it."""

    samples: NDArray[np.float32]  # [MARGIN + SCENE + MARGIN]
    events: tuple[Event, ...]
    silent: int  # samples of digital silence at the start


@dataclass
class Pool:
    """The clips that scenes are made of, by class, so that every class is drawn equally often."""

    samples: Sequence[NDArray[np.float32]]
    primary: Sequence[str]  # most specific label of each clip
    by_class: dict[str, list[int]] = field(init=False)
    active: list[tuple[int, int]] = field(init=False)  # each clip without its silent ends

    def __post_init__(self) -> None:
        self.by_class = {}
        for index, name in enumerate(self.primary):
            self.by_class.setdefault(name, []).append(index)
        self.active = [active_part(samples) for samples in self.samples]
        self.names = sorted(self.by_class)
        self.textures = [name for name in self.names if name in TEXTURES]


def active_part(samples: NDArray[np.float32], floor_db: float = -40.0) -> tuple[int, int]:
    """First and last-but-one sample of the part within `floor_db` of the loudest 20 ms."""
    step = RATE // 50
    whole = len(samples) // step * step
    if whole == 0:
        return 0, len(samples)
    power = (samples[:whole].reshape(-1, step).astype(np.float64) ** 2).mean(1)
    loud = np.flatnonzero(power > power.max() * 10 ** (floor_db / 10))
    return (int(loud[0]) * step, (int(loud[-1]) + 1) * step) if len(loud) else (0, len(samples))


def coloured_noise(rng: np.random.Generator, samples: int) -> NDArray[np.float32]:
    """Noise of RMS 1 whose power falls by 0 to 9 dB an octave, above a random corner."""
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    corner = 10 ** rng.uniform(1.5, 3.5)  # Hz
    slope = rng.uniform(0.0, 1.5)  # 1.0 is 6 dB an octave
    shape = (1 + frequency / corner) ** -slope
    spectrum = shape * (rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency)))
    noise = np.fft.irfft(spectrum, samples)
    scaled: NDArray[np.float32] = (noise / np.sqrt((noise**2).mean())).astype(np.float32)
    return scaled


def excerpt(pool: Pool, clip: int, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """At most `length` samples out of the sounding part of a clip, faded at both ends, RMS 1."""
    start, stop = pool.active[clip]
    length = min(length, stop - start)
    first = start + int(rng.integers(0, stop - start - length + 1))
    cut = pool.samples[clip][first : first + length].astype(np.float32)
    fade = min(FADE, length // 2)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    cut[:fade] *= ramp
    cut[length - fade :] *= ramp[::-1]
    rms = float(np.sqrt((cut.astype(np.float64) ** 2).mean()))
    return cut / np.float32(max(rms, 1e-6))


def lasting(pool: Pool, clip: int, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Excerpts of one clip, laid end over end with crossfades until they fill `length`."""
    out = np.zeros(length, np.float32)
    at = 0
    while at < length:
        piece = excerpt(pool, clip, length, rng)[: length - at]
        out[at : at + len(piece)] += piece
        at += max(len(piece) - FADE, FADE)
    return out


def mix(pool: Pool, seed: int, index: int, spec: SceneSpec, wanted: int | None = None) -> Scene:
    """Scene number `index` of the endless list that `seed` names.

    Args:
        wanted: clip of the first event that is not a lasting one, in place of one drawn from the pool.
    """
    rng = np.random.default_rng([seed, index])
    total = SCENE + 2 * MARGIN
    level = rng.uniform(*spec.background)
    samples = coloured_noise(rng, total) * np.float32(10 ** (level / 20))
    silent = int(rng.uniform(0.0, 0.9) * SCENE) if rng.random() < spec.late_start else 0
    events: list[Event] = []

    def add(sound: NDArray[np.float32], at: int, clip: int, low: float, high: float) -> None:
        gain = np.float32(10 ** ((level + rng.uniform(low, high)) / 20))
        samples[at : at + len(sound)] += gain * sound
        onset, offset = max(at - MARGIN, silent), min(at - MARGIN + len(sound), SCENE)
        if offset - onset >= HEARD:
            events.append(Event(clip, onset, offset))

    if pool.textures and rng.random() < spec.texture:
        clip = int(rng.choice(pool.by_class[str(rng.choice(pool.textures))]))
        add(lasting(pool, clip, total, rng), 0, clip, 5.0, 15.0)
    for number in range(int(rng.integers(1, MAX_EVENTS + 1))):
        clip = int(rng.choice(pool.by_class[str(rng.choice(pool.names))]))
        if wanted is not None and number == 0:
            clip = wanted
        seconds = np.exp(rng.uniform(np.log(spec.shortest), np.log(spec.longest)))
        sound = excerpt(pool, clip, int(seconds * RATE), rng)
        onset = int(rng.integers(silent, max(silent + 1, SCENE - len(sound) // 2)))
        add(sound[: SCENE + MARGIN - onset], onset + MARGIN, clip, *spec.snr)
    if silent:
        samples[: MARGIN + silent] = 0.0
    peak = float(np.abs(samples).max())
    if peak > 0.99:
        samples *= np.float32(0.99 / peak)
    return Scene(samples, tuple(events), silent)
