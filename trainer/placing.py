"""Scenes of new sounds: each recording laid into noise or into a background, and what the network knows of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glatd.trainer.contrast import Contrast
from glatd.trainer.frontend import Frontend
from glatd.trainer.glat import Glat, cut
from glatd.trainer.hidden import hidden
from glatd.trainer.newsounds import NewSounds
from glatd.trainer.scenes import MARGIN, RATE, SCENE, Pool, Scene, coloured_noise, excerpt
from glatd.trainer.scenes import Event as Placed
from glatd.trainer.sceneset import scene_frames

SCENES_A_SOUND = 240
LEAST_A_RECORDING = 6
BACKGROUNDS = 200  # windows of one's own background
SNR_DB = (0.0, 25.0)  # of the sound over what it lies in, both as RMS
NOISE_DBFS = (-65.0, -35.0)
SHORTEST_S = 1.0  # of a longer recording, so much of it at least is heard
OUTSIDE_S = 1.0  # an output frame so far away from the sound does not hold it
INSIDE_S = 0.5  # a crop holds a sound with so much of it, or half of it
FRAMES_KEPT = 3  # of those inside a sound, and as many outside


@dataclass(frozen=True, slots=True)
class Vectors:
    """What the last layers are given (see `hidden`), and which new sounds are in it."""

    values: Tensor  # [n, H]
    labels: Tensor  # [n, S], NaN where nobody knows
    group: Tensor  # [n] recording, counted over all sounds; -1 for other sounds
    scene: Tensor  # [n] scene, counted over all


@dataclass(frozen=True, slots=True)
class Material:
    """All that new rows are fitted on."""

    windows: Vectors
    frames: Vectors
    crops: Vectors


class Collector:
    """Gathers `Vectors`."""

    def __init__(self, sounds: int) -> None:
        self._sounds = sounds
        self._values: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._group: list[int] = []
        self._scene: list[int] = []

    def add(self, values: Tensor, sound: int, label: float, group: int, scene: int) -> None:
        """Vectors [n, H] that hold (1.0) or do not hold (0.0) a sound; -1 for none of them.

        Somebody's own recordings of one sound say nothing of the others that he adds: both may be in it.
        """
        labels = torch.full((len(values), self._sounds), 0.0 if sound < 0 else torch.nan)
        if sound >= 0:
            labels[:, sound] = label
        self._values.append(values)
        self._labels.append(labels)
        self._group += [group] * len(values)
        self._scene += [scene] * len(values)

    def all(self) -> Vectors:
        """What was gathered."""
        tensors = torch.tensor(self._group), torch.tensor(self._scene)
        return Vectors(torch.cat(self._values), torch.cat(self._labels), *tensors)


def gather(
    model: Glat, new: NewSounds, contrast: Contrast, seed: int, progress: Callable[[str, int, int], None]
) -> Material:
    """Scenes of every recording, of the background, and of the other sounds of `contrast`."""
    rng = np.random.default_rng(seed)
    frontend = Frontend(model.global_stream.frontend)
    windows, frames, crops = (Collector(len(new.sounds)) for _ in range(3))
    scene = group = 0
    each = [max(LEAST_A_RECORDING, SCENES_A_SOUND // len(sound.recordings)) for sound in new.sounds]
    total = sum(count * len(sound.recordings) for count, sound in zip(each, new.sounds, strict=True))
    for number, sound in enumerate(new.sounds):
        pool = Pool(sound.recordings, [sound.name] * len(sound.recordings))
        for clip in range(len(sound.recordings)):
            for _ in range(each[number]):
                placed = place(pool, clip, new.background, rng)
                _learn(model, frontend, placed, number, group, scene, rng, (windows, frames, crops))
                scene += 1
                progress("scenes of your sounds", scene, total)
            group += 1
    others = len(contrast.windows)
    for index in range(others):
        windows.add(contrast.windows[index : index + 1], -1, 0.0, -1, scene + index)
        for kept, values in ((frames, contrast.frames), (crops, contrast.crops)):
            a_scene = len(values) // others
            kept.add(values[a_scene * index : a_scene * (index + 1)], -1, 0.0, -1, scene + index)
    scene += others
    for index, samples in enumerate(_backgrounds(new.background, rng)):
        placed = Scene(samples, (), 0)
        _learn(model, frontend, placed, -1, -1, scene + index, rng, (windows, frames, crops))
        progress("windows of your background", index + 1, BACKGROUNDS)
    return Material(windows.all(), frames.all(), crops.all())


def place(pool: Pool, clip: int, background: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> Scene:
    """A scene with one recording in it, at any place and level."""
    total = SCENE + 2 * MARGIN
    if background and rng.random() < 0.5:
        samples = _stretch(background[int(rng.integers(len(background)))], total, rng)
        level = 10 * np.log10(max(float(np.square(samples, dtype=np.float64).mean()), 1e-9))
    else:
        level = rng.uniform(*NOISE_DBFS)
        samples = coloured_noise(rng, total) * np.float32(10 ** (level / 20))
    length = int(np.exp(rng.uniform(np.log(SHORTEST_S), np.log(SCENE / RATE))) * RATE)
    sound = excerpt(pool, clip, length, rng)
    onset = int(rng.integers(0, max(1, SCENE - len(sound) + 1)))
    gain = np.float32(10 ** ((level + rng.uniform(*SNR_DB)) / 20))
    samples[MARGIN + onset : MARGIN + onset + len(sound)] += gain * sound
    peak = float(np.abs(samples).max())
    if peak > 0.99:
        samples *= np.float32(0.99 / peak)
    return Scene(samples, (Placed(clip, onset, onset + len(sound)),), 0)


@torch.no_grad()
def _learn(
    model: Glat,
    frontend: Frontend,
    scene: Scene,
    sound: int,
    group: int,
    number: int,
    rng: np.random.Generator,
    into: tuple[Collector, Collector, Collector],
) -> None:
    """Window, frames and crops of one scene: the crops that the network chooses, and one that holds the sound."""
    windows, frames, crops = into
    spec, hop = model.spec, frontend.spec.hop
    log_mel = scene_frames(frontend, [scene])
    of_window, of_frames = hidden(model.global_stream, log_mel)
    output = model(log_mel, torch.zeros(1, dtype=torch.int64))
    windows.add(of_window, sound, 1.0, group, number)
    starts = output.starts[0]
    if sound < 0:
        kept = rng.choice(of_frames.shape[1], FRAMES_KEPT, replace=False)
        frames.add(of_frames[0, kept], -1, 0.0, group, number)
        crops.add(hidden(model.local_stream, output.crops[0])[0], -1, 0.0, group, number)
        return
    (event,) = scene.events
    middles = (np.arange(of_frames.shape[1]) + 0.5) * model.global_stream.stride * hop
    inside = np.flatnonzero((middles >= event.onset) & (middles < event.offset))
    away = np.flatnonzero((middles < event.onset - OUTSIDE_S * RATE) | (middles >= event.offset + OUTSIDE_S * RATE))
    for some, label in ((inside, 1.0), (away, 0.0)):
        if len(some):
            frames.add(of_frames[0, rng.permutation(some)[:FRAMES_KEPT]], sound, label, group, number)
    centre = (event.onset + event.offset) / 2 + rng.uniform(-0.5, 0.5) * RATE
    around = int(np.clip(round(centre / hop) - spec.crop // 2, 0, spec.window - spec.crop))
    starts = torch.cat([torch.tensor([around]), starts])
    of_crops, _ = hidden(model.local_stream, cut(log_mel, starts[None], spec.crop)[0])
    for row, start in enumerate(starts.tolist()):
        shared = min(event.offset, (start + spec.crop) * hop) - max(event.onset, start * hop)
        if shared >= min(INSIDE_S * RATE, 0.5 * (event.offset - event.onset)):
            crops.add(of_crops[row : row + 1], sound, 1.0, group, number)
        elif shared <= 0:
            crops.add(of_crops[row : row + 1], sound, 0.0, group, number)


def _backgrounds(background: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    return [
        _stretch(background[int(rng.integers(len(background)))], SCENE + 2 * MARGIN, rng)
        for _ in range(BACKGROUNDS if background else 0)
    ]


def _stretch(samples: NDArray[np.float32], length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """So many samples out of a recording, which is repeated where it is shorter."""
    start = int(rng.integers(0, max(1, len(samples) - length + 1)))
    taken: NDArray[np.float32] = np.resize(samples[start:], length).astype(np.float32)
    return taken
