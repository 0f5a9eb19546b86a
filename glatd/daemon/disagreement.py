"""How far two engines are from each other on the same windows: counted window by window, told at any moment."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glatd.engines.manifest import Manifest

Floats = NDArray[np.float32]
BEST = 5  # classes with the highest scores


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told."""

    windows: int = 0  # that both have looked at
    top5: float = 0.0  # share of the live one's five best that are among the other's five
    mean: float = 0.0  # difference of a score
    max: float = 0.0  # difference of a score
    worst: str = ""  # the class of it
    live_alone: Mapping[str, int] = field(default_factory=dict)  # by class, windows where only the live one hears it
    shadow_alone: Mapping[str, int] = field(default_factory=dict)  # and only the other

    @property
    def decisions(self) -> int:
        """Windows and classes where one is above the threshold and the other below."""
        return sum(self.live_alone.values()) + sum(self.shadow_alone.values())

    def text(self) -> str:
        """A line of a log."""
        both = Counter(self.live_alone) + Counter(self.shadow_alone)
        most = [f"{name} {count} (live alone {self.live_alone.get(name, 0)})" for name, count in both.most_common(BEST)]
        return (
            f"{self.windows} windows; {self.top5:.1%} of the five best are the same; scores differ by {self.mean:.4f}, "
            f"at most by {self.max:.3f}{f' ({self.worst})' if self.worst else ''}; {self.decisions} decisions differ"
            + (f": {', '.join(most)}" if most else "")
        )


class Disagreement:
    """Of a live engine and another; over the classes that both have.

    Args:
        live, other: their manifests.
    """

    def __init__(self, live: Manifest, other: Manifest) -> None:
        self.live = live
        places = {label: index for index, label in enumerate(other.labels)}
        pairs = [(index, places[label]) for index, label in enumerate(live.labels) if label in places]
        self._own = np.array([own for own, _ in pairs], np.int64)
        self._theirs = np.array([theirs for _, theirs in pairs], np.int64)
        self._names = [live.labels[index].name for index in self._own.tolist()]
        self._windows = self._same = 0
        self._sum = 0.0
        self._max, self._worst = 0.0, ""
        self._live_alone: Counter[str] = Counter()
        self._shadow_alone: Counter[str] = Counter()

    def add(self, scores: Floats, others: Floats, on: Floats | None) -> None:
        """One window.

        Args:
            scores: [C] of the live engine.
            others: [C] of the other, in its own order.
            on: [C] thresholds of the live one's classes; None where no events are told.
        """
        if not len(self._own):
            return
        one, other = scores[self._own], others[self._theirs]
        off = np.abs(one - other)
        self._windows += 1
        self._sum += float(off.mean())
        worst = int(off.argmax())
        if off[worst] > self._max:
            self._max, self._worst = float(off[worst]), self._names[worst]
        best = [set(np.argsort(-each, kind="stable")[:BEST].tolist()) for each in (one, other)]
        self._same += len(best[0] & best[1])
        if on is None:
            return
        limits = on[self._own]
        heard, heard_there = one >= limits, other >= limits
        self._live_alone.update(self._names[index] for index in np.flatnonzero(heard & ~heard_there).tolist())
        self._shadow_alone.update(self._names[index] for index in np.flatnonzero(heard_there & ~heard).tolist())

    def figures(self) -> Figures:
        """All that was counted."""
        count = max(1, self._windows)
        most = max(1, min(BEST, len(self._own)))
        return Figures(
            self._windows,
            self._same / (most * count),
            self._sum / count,
            self._max,
            self._worst,
            dict(self._live_alone),
            dict(self._shadow_alone),
        )
