"""Rows of a batch: how many a GPU's graphs are compiled for, and what every graph checks of those that it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Floats
from glatd.engines.manifest import Manifest, Profile
from glatd.errors import EngineError

BLOCKS = 8  # of the front end: a hop of 0.96 s is 3 of them with 32 frames each, 6 with 16


@dataclass(frozen=True, slots=True)
class Batches:
    """Rows that a graph is compiled for: 1 to `most`, fastest at `typical`."""

    typical: int
    most: int

    @staticmethod
    def of(graph: str, profile: Profile, crops: int) -> "Batches":
        """For a profile of streams: each brings a window at a time, up to K crops of it, and the blocks of a hop.

        Args:
            crops: K.
        """
        rows = {"frontend": BLOCKS, "local": crops}.get(graph, 1)
        return Batches(profile.typical * rows, profile.most * rows)

    @property
    def sizes(self) -> tuple[int, ...]:
        """1, 2, 4, ... up to the most, and the typical one: a batch that is filled up is never twice its size."""
        powers = [1 << n for n in range(self.most.bit_length()) if 1 << n < self.most]
        return tuple(sorted({*powers, self.typical, self.most}))


def profile_for(streams: int) -> Profile:
    """What a GPU's engine is compiled for, where so many streams are looked at together: fastest at half of them."""
    return Profile(typical=-(-streams // 2), most=streams)


def most_of(manifest: Manifest) -> int:
    """Windows that an engine likes to be given at once: as many as it was compiled for."""
    return manifest.profile.most if manifest.profile else 1


def check_inputs(name: str, arrays: Sequence[Floats], shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse what a runtime would take apart in its own way.

    Args:
        shapes: of a row of each input.

    Raises:
        EngineError: another shape or type.
    """
    for array, row in zip(arrays, shapes, strict=True):
        if array.shape[1:] != tuple(row) or array.dtype != np.float32:
            raise EngineError(f"{name} was given {array.dtype} {array.shape}, it takes float32 (B, {tuple(row)})")


def in_parts(
    run: Callable[[Sequence[Floats]], tuple[NDArray[np.generic], ...]], arrays: Sequence[Floats], most: int
) -> tuple[NDArray[np.generic], ...]:
    """Run a batch of any size, none too, `most` rows at a time."""
    starts = range(0, max(1, len(arrays[0])), most)
    parts = [run([array[at : at + most] for array in arrays]) for at in starts]
    return parts[0] if len(parts) == 1 else tuple(np.concatenate(of) for of in zip(*parts, strict=True))
