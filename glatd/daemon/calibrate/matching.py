"""Event F1: what was told against what is known to have sounded, by onset."""

from collections.abc import Sequence
from dataclasses import dataclass

COLLAR = 0.5  # s by which an onset may be off


@dataclass(frozen=True, slots=True)
class Counts:
    """How often it was right."""

    hits: float = 0.0  # sounds that were told
    false: float = 0.0  # events that no sound was
    missed: float = 0.0  # sounds that were not told

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.hits + other.hits, self.false + other.false, self.missed + other.missed)

    def __mul__(self, share: float) -> "Counts":
        return Counts(share * self.hits, share * self.false, share * self.missed)

    @property
    def sounds(self) -> float:
        """How many there were."""
        return self.hits + self.missed

    @property
    def f1(self) -> float:
        """2 hits / (2 hits + false + missed); 1 where there was nothing, and nothing was told."""
        total = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / total if total else 1.0


def match(told: Sequence[float], known: Sequence[float], collar: float = COLLAR) -> Counts:
    """Pair onsets one to one, as many as can be.

    Args:
        told: s.
        known: s.
        collar: s that a pair may be apart.
    """
    told, known = sorted(told), sorted(known)
    hits = at = 0
    for onset in known:  # on a line, taking the earliest that fits leaves most for the others
        while at < len(told) and told[at] < onset - collar:
            at += 1
        if at < len(told) and told[at] <= onset + collar:
            hits, at = hits + 1, at + 1
    return Counts(hits, len(told) - hits, len(known) - hits)
