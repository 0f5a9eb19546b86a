"""An engine that hears a dog wherever it is loud: decisions can be held to what was played, to the sample."""

from pathlib import Path

import numpy as np

from glatd.audio import Block, Missing
from glatd.daemon.outage import Outage
from glatd.engines.engine import Engine, Floats, Glance
from glatd.labels import class_index
from tests.daemon.recording.making import blocks, record
from tests.daemon.sounds import RATE

DOG, ANIMAL = class_index("Dog"), class_index("Animal")
QUIET, LOUD = 0.0005, 0.3  # RMS


class Barking(Engine):
    """The real front end and geometry; Dog is active where a piece of 0.32 s is loud, and Animal with it."""

    def __init__(self, engine: Engine) -> None:
        self.__dict__.update(engine.__dict__)

    def look_globally(self, frames: Floats, audible: Floats, crops: int | None = None) -> Glance:
        """As the engine, of loudness alone."""
        sizes, batch = self.sizes, len(frames)
        count = crops or sizes.crops
        framewise = np.full((batch, len(self.manifest.labels), sizes.frames), 0.01, np.float32)
        framewise[:, DOG] = framewise[:, ANIMAL] = self._loud(frames)
        framewise *= audible[:, None]
        middles = np.argsort(-framewise[:, DOG], 1, kind="stable")[:, :count]
        starts = np.clip(sizes.stride * middles - sizes.crop // 2, 0, sizes.window - sizes.crop)
        starts = (sizes.window - sizes.crop) - (sizes.window - sizes.crop - starts) // sizes.stride * sizes.stride
        return Glance(
            scores=framewise.max(2) * np.float32(0.9),
            framewise=framewise,
            starts=starts.astype(np.int64),
            classes=np.full((batch, count), DOG),
            middles=middles,
        )

    def look_locally(self, crops: Floats) -> Floats:
        """As loud as the loudest piece of a crop."""
        scores = np.full((len(crops), len(self.manifest.labels)), 0.01, np.float32)
        scores[:, DOG] = scores[:, ANIMAL] = self._loud(crops).max(1)
        return scores * np.float32(0.9)

    def _loud(self, frames: Floats) -> Floats:
        """[B, pieces] of frames [B, n, M]."""
        parts = np.array_split(frames, range(self.sizes.stride, frames.shape[1], self.sizes.stride), axis=1)
        return np.stack([np.clip((part.mean((1, 2)) + 8) / 6, 0.0, 0.95) for part in parts], 1).astype(np.float32)


def barks(seconds: float, *spans: tuple[float, float], seed: int = 0) -> Floats:
    """Faint noise with loud noise from and to these seconds."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(round(seconds * RATE)).astype(np.float32)
    gain = np.full(len(samples), QUIET, np.float32)
    for start, end in spans:
        gain[round(start * RATE) : round(end * RATE)] = LOUD
    return samples * gain


def cut_off(folder: Path) -> Path:
    """A recording of a bark from 4 s on that a camera's outage ended, from 7 to 40 s, as the live run knew."""
    before, after = barks(7, (4.0, 7.0)), barks(2, seed=1)
    told = Outage(round(6.72 * RATE), 5.0, "reconnecting")
    items: list[Block | Missing | Outage] = [*blocks(before[:, None], [RATE // 50], RATE, 16), told]
    items += [Missing(40 * RATE, RATE, "reconnected"), *blocks(after[:, None], [RATE // 50], RATE, 16, start=40 * RATE)]
    record(folder, items)
    return folder
