"""Where the local stream looks in a window: at the K places that the global stream chooses, or everywhere.

Everywhere costs least where each crop is looked at once: a hop brings one new crop, and those of the hops before it
are known. A choice is new at about two places a hop.
"""

from dataclasses import dataclass

from glatd.daemon.stream import Window
from glatd.engines.engine import Floats
from glatd.engines.manifest import Geometry

# Neighbours begin a third of a crop apart at most, so that a sound of two thirds of a crop is whole in one of them.
OVERLAP = 3


@dataclass(frozen=True, slots=True)
class TopK:
    """At the first `crops` places of the selection; at all that the engine selects when None."""

    crops: int | None = None


@dataclass(frozen=True, slots=True)
class Everywhere:
    """At every place of the window on a grid that moves with the hop: one new crop a hop, or more where a hop is long.

    Under overload a window comes every few hops, and crops touch each other at least.
    """

    hop: int  # mel frames
    every: int = 1  # hops between two windows

    def places(self, sizes: Geometry, window: Window, audible: Floats) -> list[int]:
        """Mel frames of the stream at which the crops begin, the oldest first.

        As with the selection, a crop lies around real audio: one whose middle is silence of a gap, or from before the
        start, is left out, but for the newest.

        Args:
            audible: [F] 1.0 where the middle of an output frame is real audio.
        """
        first, newest = window.end_frame - sizes.window, window.end_frame - sizes.crop
        # The last window of a recording ends between two hops: there its newest crop is one more.
        grid = window.end_frame // self.hop * self.hop - sizes.crop
        found = {grid - back for back in self._steps(sizes) if grid - back >= first}
        middles = {place: (place - first + sizes.crop // 2) // sizes.stride for place in found}
        return sorted({place for place, frame in middles.items() if audible[frame]} | {newest})

    def count(self, sizes: Geometry) -> int:
        """Crops of a window that is all real audio."""
        return sum(back <= sizes.window - sizes.crop for back in self._steps(sizes))

    def new(self, sizes: Geometry) -> int:
        """Crops of a window that no window before it had."""
        return -(-self.hop * self.every // (sizes.crop // OVERLAP if self.every == 1 else sizes.crop))

    def _steps(self, sizes: Geometry) -> list[int]:
        """Mel frames from the newest crop back to each of them, over a window and more."""
        span, pieces = self.hop * self.every, self.new(sizes)
        inside = [span * piece // pieces // sizes.stride * sizes.stride for piece in range(pieces)]
        return [back + step for back in range(0, sizes.window, span) for step in inside]


Looking = TopK | Everywhere
