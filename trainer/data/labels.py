"""The weak labels of many clips, kept by class index: two million clips in 40 MB, not in a gigabyte."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Labels:
    """Classes of N clips, one clip after the other."""

    classes: int  # C
    ends: NDArray[np.int64]  # [N] where each clip's classes end in `flat`
    flat: NDArray[np.int32]

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]], classes: int) -> "Labels":
        """Of class indices, a sequence a clip."""
        kept = [np.asarray(row, np.int32) for row in rows]
        ends = np.cumsum([len(row) for row in kept], dtype=np.int64)
        return cls(classes, ends, np.concatenate([*kept, np.zeros(0, np.int32)]))

    @classmethod
    def joined(cls, parts: Sequence["Labels"]) -> "Labels":
        """One after the other; all of the same classes."""
        shifts = np.cumsum([0, *(len(part.flat) for part in parts)])
        ends = [part.ends + shift for part, shift in zip(parts, shifts[:-1], strict=True)]
        return cls(parts[0].classes, np.concatenate(ends), np.concatenate([part.flat for part in parts]))

    def __len__(self) -> int:
        return len(self.ends)

    def row(self, clip: int) -> NDArray[np.bool_]:
        """[C] of one clip."""
        row = np.zeros(self.classes, bool)
        row[self.flat[self.ends[clip - 1] if clip else 0 : self.ends[clip]]] = True
        return row

    def matrix(self) -> NDArray[np.bool_]:
        """[N, C]."""
        matrix = np.zeros((len(self), self.classes), bool)
        matrix[self.owners(), self.flat] = True
        return matrix

    def owners(self) -> NDArray[np.int64]:
        """The clip of each entry of `flat`."""
        return np.repeat(np.arange(len(self)), np.diff(self.ends, prepend=0))

    def counts(self) -> NDArray[np.int64]:
        """[C] clips of each class."""
        return np.bincount(self.flat, minlength=self.classes)

    def by_class(self) -> list[NDArray[np.int64]]:
        """Clips of each class, in order."""
        order = np.argsort(self.flat, kind="stable")
        return np.split(self.owners()[order], np.cumsum(self.counts())[:-1])
