"""Where in a stream somebody speaks, and where nobody has looked yet: pure, from the looks at it.

A look covers 10 s, and speech that begins just before its end is hardly heard in it. So a look settles only what
lies SETTLE_SECONDS before its end; the verdict on a sample is given LAG_SECONDS after it, when several looks have
had it in their middle; and one look that hears speech there is enough, whatever the others say. What no look has
settled by then (windows that overload or the level gate kept from the networks, lost audio) is as good as speech.

It does not know: speech that the networks do not hear, for example below other sounds. docs/privacy.md has figures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from glatd.daemon.recording.layout import BLANKED, UNSEEN
from glatd.daemon.tagging import Seen
from glatd.engines.manifest import Geometry

SETTLE_SECONDS = 2.0  # before the end of a look: from there on it is settled
LAG_SECONDS = 6.0  # until the verdict: also at the longest hops of the overload policy, a look comes in time

EVER = 1 << 62  # samples

Pair = tuple[int, int]


class Span(NamedTuple):
    """Samples [start, end) that must not be written, and why."""

    start: int
    end: int
    cause: str


@dataclass(frozen=True, slots=True)
class Blank:
    """The rule of one stream, resolved for an engine."""

    classes: tuple[int, ...]  # that are speech
    threshold: float  # score or activation of any of them
    margin: int  # samples on either side


class Veil:
    """What of one stream must not be written.

    Args:
        rule: of the stream.
        sizes: geometry of the engine.
    """

    def __init__(self, rule: Blank, sizes: Geometry) -> None:
        self._rule, self._sizes = rule, sizes
        self._classes = np.array(rule.classes)
        self._settled: list[Pair] = []
        self._voiced: list[Pair] = []
        self._lost: list[Pair] = []
        self._end = 0  # sample, of the last window, looked at or not
        self._oldest = -EVER  # sample before which everything is forgotten

    def turn(self, rule: Blank, sizes: Geometry) -> None:
        """Judge by another engine's looks from now on; what was heard and settled stays so."""
        self._rule, self._sizes, self._classes = rule, sizes, np.array(rule.classes)

    def looked(self, seen: Seen) -> None:
        """Take a look."""
        window = seen.window
        settled = window.end - round(SETTLE_SECONDS * self._sizes.rate)
        self._settled = merged([*self._settled, (max(0, window.start), settled)])
        self._voiced = merged([*self._voiced, *spoken(seen, self._classes, self._rule, self._sizes)])
        self.passed(window.end)

    def passed(self, end: int) -> None:
        """A window that ends at sample `end` is over, looked at or not."""
        self._end = max(self._end, end)
        self._oldest = self._end - 2 * self._sizes.window * self._sizes.hop
        self._settled, self._voiced, self._lost = (
            [pair for pair in pairs if pair[1] > self._oldest] for pairs in (self._settled, self._voiced, self._lost)
        )

    def lost(self, start: int, end: int) -> None:
        """Samples [start, end) never came to where they could be heard."""
        self._lost = merged([*self._lost, (start, end)])

    def finish(self) -> None:
        """The stream has ended, and its last window was looked at: nothing will tell more of its last seconds."""
        settle = round(SETTLE_SECONDS * self._sizes.rate)
        if any(end == self._end - settle for _, end in self._settled):
            self._settled = merged([*self._settled, (self._end - settle, self._end)])

    @property
    def decided(self) -> int:
        """The sample up to which all is decided."""
        return self._end - round(LAG_SECONDS * self._sizes.rate)

    def spans(self, start: int, end: int) -> list[Span]:
        """What of [start, end) must not be written, in order, without overlap.

        Beyond `decided` this is what would have to be said if no look came any more.
        """
        speech = clipped(self._voiced, start, end)
        unseen = outside([*without(self._settled, self._lost), *speech], start, end)
        return sorted([*(Span(*pair, BLANKED) for pair in speech), *(Span(*pair, UNSEEN) for pair in unseen)])


def spoken(seen: Seen, classes: np.ndarray, rule: Blank, sizes: Geometry) -> list[Pair]:
    """Where in a window one of some classes is heard, with the margin.

    By three scores, each of which is enough: the activation of a piece of 0.32 s; the score of the window, then where
    its activations are at least half of their peak; the score of a crop, then all of it if no piece in it was found.
    A window that scores without any such place is speech from end to end.
    """
    window, piece, length = seen.window, sizes.stride * sizes.hop, sizes.crop * sizes.hop
    activations, scores = seen.framewise[classes], seen.scores[classes]
    peaks = activations.max(1, keepdims=True)
    least = np.where(scores[:, None] >= rule.threshold, np.minimum(rule.threshold, peaks / 2), rule.threshold)
    active = ((activations >= least) & (activations > 0)).any(0)
    found = [(window.start + piece * at, window.start + piece * (at + 1)) for at in np.flatnonzero(active).tolist()]
    crops = seen.of_crops[:, classes].max(1)
    for start, score in zip(seen.starts, crops.tolist(), strict=True):
        if score >= rule.threshold and not clipped(found, start, start + length):
            found.append((start, start + length))
    if not found and float(scores.max()) >= rule.threshold:
        found.append((window.start, window.end))
    return merged((start - rule.margin, end + rule.margin) for start, end in found)


def merged(pairs: Iterable[Pair]) -> list[Pair]:
    """In order, those that touch as one; empty ones are left out."""
    found: list[Pair] = []
    for start, end in sorted(pairs):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def clipped(pairs: Sequence[Pair], start: int, end: int) -> list[Pair]:
    """What of them lies in [start, end)."""
    return merged((max(start, first), min(end, last)) for first, last in pairs)


def outside(pairs: Sequence[Pair], start: int, end: int) -> list[Pair]:
    """What of [start, end) none of them covers."""
    found: list[Pair] = []
    at = start
    for first, last in clipped(pairs, start, end):
        found.append((at, first))
        at = last
    return merged([*found, (at, end)])


def without(pairs: Sequence[Pair], others: Sequence[Pair]) -> list[Pair]:
    """What of them no other covers."""
    return merged(part for first, last in pairs for part in outside(others, first, last))
