"""What a network is given: number N of an endless list is a pure function of the clips, the recipe and the seed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from glatd.trainer.data.augment import AugmentSpec, gained, over_background, stripes
from glatd.trainer.data.clips import Clips
from glatd.trainer.data.draws import Draws
from glatd.trainer.data.loading import Safe, joined, raising
from glatd.trainer.data.pack import fitted
from glatd.trainer.scenes import HEARD, MARGIN, SCENE, Event, Pool, SceneSpec, mix

OTHERS = 3  # clips that a scene may be mixed of besides its own


class Example(NamedTuple):
    """One clip, or with a first axis a batch of them."""

    samples: Tensor  # [samples] float32
    target: Tensor  # [C] float32
    time_stripes: Tensor  # [n, 2] int64, mel frames to hide
    mel_stripes: Tensor  # [n, 2] int64, mel bins to hide
    share: Tensor  # [] float32, of this clip where it is mixed with the next


class Examples(Dataset[Example]):
    """The list. Its number is that of the draw, so it has no length.

    Args:
        clips: labelled ones.
        draws: which of them comes when.
        backgrounds: recordings to lay clips over; coloured noise where there are none.
        scenes: how several clips are mixed into one scene.
        samples, frames, mels: sizes of a window.
        names: of the classes, for the scenes: a sound that lasts, such as Rain, may lie under a whole scene.
    """

    def __init__(
        self,
        clips: Clips,
        draws: Draws,
        spec: AugmentSpec,
        scenes: SceneSpec,
        names: Sequence[str],
        backgrounds: Clips | None,
        seed: int,
        samples: int,
        frames: int,
        mels: int,
    ) -> None:
        self._clips, self._draws, self._backgrounds = clips, draws, backgrounds
        self._spec, self._scenes, self._names = spec, replace(scenes, late_start=0.0), names
        self._seed, self._samples, self._frames, self._mels = seed, samples, frames, mels

    def __getitem__(self, number: int) -> Example:
        spec, rng = self._spec, np.random.default_rng([self._seed, number])
        clip, one = self._draws(number)
        if spec.scenes and rng.random() < spec.scenes:
            samples, target = self._scene(clip, one, rng)
        else:
            samples, target = self._clips.samples(clip, self._samples), self._clips.labels.row(clip)
        if spec.background and rng.random() < spec.background:
            samples = over_background(samples, self._background(rng), spec.background_snr, rng)
        if spec.gain:
            samples = gained(samples, spec.gain, rng)
        return Example(
            torch.from_numpy(np.ascontiguousarray(samples)),
            torch.from_numpy(target.astype(np.float32)),
            torch.from_numpy(stripes(spec.time_stripes, spec.time_width, self._frames, rng)),
            torch.from_numpy(stripes(spec.mel_stripes, spec.mel_width, self._mels, rng)),
            torch.tensor(rng.beta(spec.mixup, spec.mixup) if spec.mixup else 1.0, dtype=torch.float32),
        )

    def _scene(self, clip: int, one: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A scene of the clip and others, as the first training mixes them; its labels are those of what is heard.

        The clip itself is always heard. Of each, an excerpt is in the scene, and the labels of the whole clip go with
        it: of a clip with several labels nobody knows which of them the excerpt has.
        """
        chosen = [(clip, one), *(self._draws.any(rng) for _ in range(OTHERS))]
        pool = Pool(
            [self._clips.samples(index, self._samples) for index, _ in chosen],
            [self._names[primary] if primary >= 0 else "" for _, primary in chosen],
        )
        scene = mix(pool, int(rng.integers(2**32)), 0, self._scenes, wanted=0)
        own = next((event for event in scene.events if event.clip == 0), None)
        if own is None:  # too short to count, or too late in the scene
            return pool.samples[0], self._clips.labels.row(clip)
        begin, end = part_with(own, min(SCENE, self._samples), rng)
        target = np.zeros(self._clips.labels.classes, bool)
        for event in scene.events:
            if min(event.offset, end) - max(event.onset, begin) >= HEARD:
                target |= self._clips.labels.row(chosen[event.clip][0])
        return fitted(scene.samples[MARGIN + begin : MARGIN + end], self._samples), target

    def _background(self, rng: np.random.Generator) -> NDArray[np.float32] | None:
        if self._backgrounds is None:
            return None
        return self._backgrounds.samples(int(rng.integers(len(self._backgrounds))), self._samples)


def part_with(event: Event, length: int, rng: np.random.Generator) -> tuple[int, int]:
    """Begin and end of `length` samples of a scene, by chance, that have the event whole, or as much as goes in."""
    first, last = sorted((event.offset - length, event.onset))
    begin = int(rng.integers(max(first, 0), min(last, SCENE - length) + 1))
    return begin, begin + length


class Shares:
    """The draws of every step that are this process's share, from a step on, without end.

    Args:
        first: part to begin with; a step is one part, or several where gradients are accumulated.
        size: draws of a part, of all processes together.
    """

    def __init__(self, first: int, size: int, rank: int, world: int) -> None:
        self._first, self._size, self._rank, self._world = first, size, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        mine = self._size // self._world
        part = self._first
        while True:
            begin = part * self._size + self._rank * mine
            yield list(range(begin, begin + mine))
            part += 1


def loader(examples: Examples, shares: Shares, workers: int, pinned: bool) -> Iterator[Example]:
    """Batches of the endless list, read by `workers` processes (0: by this one).

    Raises:
        DataError: while it goes, of a clip that cannot be read.
    """
    batches: DataLoader[Example] = DataLoader(
        Safe(examples),
        batch_sampler=shares,  # it has no length either
        collate_fn=joined,
        num_workers=workers,
        pin_memory=pinned,
        persistent_workers=workers > 0,
        worker_init_fn=alone if workers else None,
    )
    # Begun here, not at the first batch: PyTorch then draws a seed, in the midst of a step that has set its own.
    return raising(iter(batches))


def alone(_: int) -> None:
    """A worker computes with one thread: there are many of them."""
    torch.set_num_threads(1)
