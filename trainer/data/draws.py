"""Which clip comes when: a pure function of the number of the draw, so that a run goes on anywhere, on any machine."""

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glatd.trainer.data.labels import Labels


class Draws(Protocol):
    """An endless list of clips."""

    def __call__(self, number: int) -> tuple[int, int]:
        """The clip of draw `number`, and the class that it stands for."""

    def any(self, rng: np.random.Generator) -> tuple[int, int]:
        """One by chance, as often as the list has it."""


class BalancedDraws:
    """The sampler of PANNs: every class as often as any other, and within it every clip.

    A round has each class once, in a new order; each class goes through its own clips, in a new order each time.
    Classes without a clip are left out. (Source: `BalancedTrainSampler` of audioset_tagging_cnn, which keeps pointers;
    here a class was drawn as often as there were rounds, so nothing need be kept.)
    """

    def __init__(self, labels: Labels, seed: int) -> None:
        self._seed = seed
        by_class = labels.by_class()
        self._classes = np.flatnonzero(labels.counts())
        self._clips = {int(one): by_class[one] for one in self._classes}
        self._round = lru_cache(4)(self._order_of_classes)
        self._pass = lru_cache(2 * len(self._classes))(self._order_of_clips)

    def _order_of_classes(self, number: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, 0, number]).permutation(self._classes)

    def _order_of_clips(self, one: int, number: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, 1, one, number]).permutation(self._clips[one])

    def __call__(self, number: int) -> tuple[int, int]:
        turn, place = divmod(number, len(self._classes))
        one = int(self._round(turn)[place])
        again, at = divmod(turn, len(self._clips[one]))
        return int(self._pass(one, again)[at]), one

    def any(self, rng: np.random.Generator) -> tuple[int, int]:
        """Any class, and any clip of it."""
        one = int(rng.choice(self._classes))
        return int(rng.choice(self._clips[one])), one

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_round", "_pass")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._round = lru_cache(4)(self._order_of_classes)
        self._pass = lru_cache(2 * len(self._classes))(self._order_of_clips)


class UniformDraws:
    """Every clip as often as any other; each stands for its rarest class."""

    def __init__(self, labels: Labels, seed: int) -> None:
        self._seed, self._size = seed, len(labels)
        counts = labels.counts()
        rarest = np.lexsort((counts[labels.flat], labels.owners()))
        firsts = np.append(0, labels.ends[:-1])
        full = np.diff(labels.ends, prepend=0) > 0
        self._class = np.full(len(labels), -1, np.int64)  # of a clip without a label
        self._class[full] = labels.flat[rarest[firsts[full]]]
        self._pass = lru_cache(2)(self._order)

    def _order(self, number: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, 2, number]).permutation(self._size)

    def __call__(self, number: int) -> tuple[int, int]:
        turn, place = divmod(number, self._size)
        clip = int(self._pass(turn)[place])
        return clip, int(self._class[clip])

    def any(self, rng: np.random.Generator) -> tuple[int, int]:
        """Any clip."""
        clip = int(rng.integers(self._size))
        return clip, int(self._class[clip])

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_pass"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._pass = lru_cache(2)(self._order)


DRAWS: dict[str, Callable[[Labels, int], Draws]] = {"balanced": BalancedDraws, "uniform": UniformDraws}
