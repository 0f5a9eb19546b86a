"""Each crop once: what the local stream said of a place in the stream is kept while a window may choose it again.

A sound stays in the window for about ten hops, and the global stream chooses the same places for it; on the grid of
the stream they are the very same mel frames, so their scores are the very same, to the last bit.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Engine, Floats

if TYPE_CHECKING:
    from glatd.daemon.stream import Stream, Window


class LocalScores:
    """Those of one stream, by the first mel frame of the crop.

    Attributes:
        computed: crops that the local stream looked at.
        known: crops whose scores were there already, or that two classes of a window chose.
    """

    def __init__(self) -> None:
        self.computed = self.known = 0
        self._of: dict[int, Floats] = {}

    def missing(self, places: Sequence[int], oldest: int) -> list[int]:
        """Which of these places have to be looked at; what lies before `oldest` is forgotten."""
        self._of = {place: scores for place, scores in self._of.items() if place >= oldest}
        new = [place for place in dict.fromkeys(places) if place not in self._of]
        self.computed += len(new)
        self.known += len(places) - len(new)
        return new

    def keep(self, place: int, scores: Floats) -> None:
        """[C] of a place that was missing."""
        self._of[place] = scores

    def of(self, places: Sequence[int]) -> Floats:
        """[K, C] of places that are there."""
        return np.stack([self._of[place] for place in places])

    def clear(self) -> None:
        """The stream starts afresh: nothing that was heard stands in its frames any more."""
        self._of.clear()


def look_once(
    engine: Engine, due: Sequence[tuple["Stream", "Window"]], frames: Floats, starts: NDArray[np.int64]
) -> Floats:
    """[B, K, C] what the local stream says of the crops of B windows, in one run over those that are new.

    Args:
        due: a window each of B streams.
        frames: [B, window, M] of these windows.
        starts: [B, K] mel frames of the window at which the crops begin.
    """
    length = engine.sizes.crop
    firsts = [window.end_frame - engine.sizes.window for _, window in due]
    places = [[first + start for start in row] for first, row in zip(firsts, starts.tolist(), strict=True)]
    new = [
        (row, place)
        for row, (stream, _) in enumerate(due)
        for place in stream.local.missing(places[row], oldest=firsts[row])
    ]
    if new:
        cut = np.stack([frames[row, place - firsts[row] :][:length] for row, place in new])
        for (row, place), scores in zip(new, engine.look_locally(cut), strict=True):
            due[row][0].local.keep(place, scores)
    return np.stack([stream.local.of(places[row]) for row, (stream, _) in enumerate(due)])
