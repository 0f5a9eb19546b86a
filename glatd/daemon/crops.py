"""Each crop once: what the local stream said of a place in the stream is kept while a window may choose it again.

A sound stays in the window for about ten hops, and the global stream chooses the same places for it; on the grid of
the stream they are the very same mel frames, so their scores are the very same, to the last bit. Where every place of
a window is looked at (looking.py), all but the newest are known.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from glatd.engines.engine import Engine, Floats

if TYPE_CHECKING:
    from glatd.daemon.stream import Stream, Window


class LocalScores:
    """Those of one stream, by the first mel frame of the crop.

    Args:
        keeps: False to look at every crop of every window anew, which is what the cache is measured against.

    Attributes:
        computed: crops that the local stream scored.
        known: crops whose scores were there already, or that two classes of a window chose.
    """

    def __init__(self, keeps: bool = True) -> None:
        self._keeps = keeps
        self.computed = self.known = 0
        self._of: dict[int, Floats] = {}

    def missing(self, places: Sequence[int], oldest: int) -> list[int]:
        """Which of these places have to be looked at; what lies before `oldest` is forgotten."""
        self._of = {place: scores for place, scores in self._of.items() if place >= oldest and self._keeps}
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
    engine: Engine, due: Sequence[tuple["Stream", "Window"]], frames: Floats, places: Sequence[Sequence[int]]
) -> list[Floats]:
    """[K, C] what the local stream says of the crops of each window; it looks at those that are new.

    Args:
        due: a window each of B streams.
        frames: [B, window, M] of these windows.
        places: of each window, the mel frames of its stream at which the K crops begin; K need not be the same for all.
    """
    firsts = [window.end_frame - engine.sizes.window for _, window in due]
    new = [
        (row, place)
        for row, (stream, _) in enumerate(due)
        for place in stream.local.missing(places[row], oldest=firsts[row])
    ]
    # No more at once than the windows of a batch may choose: a GPU's engine is compiled for so many, and of a graph in
    # pieces a CPU keeps what it made for each size that it has met.
    most = engine.sizes.crops * engine.most_windows
    for at in range(0, len(new), most):
        part = new[at : at + most]
        scored = engine.look_into(frames, [(row, place - firsts[row]) for row, place in part])
        for (row, place), scores in zip(part, scored, strict=True):
            due[row][0].local.keep(place, scores)
    return [stream.local.of(places[row]) for row, (stream, _) in enumerate(due)]
