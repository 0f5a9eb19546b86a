"""Cuts the clips of one stream's events out of its ring, as the stream goes on. In the loop's thread.

A clip begins with the event's `start` and goes on until the event has ended and `post_roll` has come, piece by piece,
never past what is decided about speech: what may not be written is digital silence in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.privacy.clipfile import as_int16
from glatd.daemon.privacy.retention import SUFFIX
from glatd.daemon.privacy.veil import EVER, LAG_SECONDS, Span, Veil, clipped, outside
from glatd.daemon.stream import Stream
from glatd.messages import Event

MOST_SPANS = 100  # that a clip tells one by one
LOST = "lost"  # cause: it never came


class Clips(Protocol):
    """What writes clips down; none of it blocks or fails."""

    def begin(self, identity: str, rate: int, about: Mapping[str, Any]) -> bool:
        """Begin a clip; False where it cannot be kept."""

    def add(self, identity: str, samples: NDArray[np.int16]) -> bool:
        """More of its audio; False where it cannot be kept any more."""

    def finish(self, identity: str, about: Mapping[str, Any]) -> None:
        """It is complete."""

    def discard(self, identity: str) -> None:
        """It is not to be, nor to have been."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What is kept of which events, resolved for a stream and an engine; in samples."""

    mids: frozenset[str]
    pre_roll: int
    post_roll: int
    longest: int


@dataclass(slots=True)
class Clip:
    """A clip that is being cut."""

    event: Event  # its newest message
    start: int  # sample
    next: int  # sample of the stream up to which it is cut
    end: int = EVER  # sample; not known while the event goes on
    silent: list[Span] = field(default_factory=list)  # what in it is digital silence, and why

    def about(self) -> dict[str, Any]:
        """What the file says of itself."""
        event = self.event
        return {
            "v": 1,
            "node": event.node,
            "session": event.session,
            "stream": event.stream,
            "id": event.id,
            "label": event.label,
            "mid": event.mid,
            "time": event.onset_at,
            "rate": event.rate,
            "start": self.start,
            "end": self.next,
            "onset": event.onset,
            "offset_time": event.offset_time,
            "silent_seconds": round(sum(end - start for start, end, _ in self.silent) / event.rate, 3),
            "silent": [list(span) for span in self.silent[:MOST_SPANS]],
        }


class Cutter:
    """The clips of one stream.

    Args:
        clips: that writes them.
        cut: what is kept.
        veil: what must not be written; None where everything may be.
    """

    def __init__(self, stream: Stream, clips: Clips, cut: Cut, veil: Veil | None) -> None:
        self._clips, self._veil = clips, veil
        self._open: dict[str, Clip] = {}
        self._end = 0  # sample, of the last window
        self._named: set[str] = set()  # events that go on and have a clip, complete or not
        self.turn(stream, cut)

    def turn(self, stream: Stream, cut: Cut) -> None:
        """Cut from this ring from now on; clips that have begun go on."""
        self._stream, self._cut = stream, cut
        # While an event goes on its end may be seconds ago, and is told later; the ring must hold the rest until then.
        sizes = stream.sizes
        spare = sizes.hop * (sizes.window - 2 * stream.hop)
        self._behind = max(0, min(round(LAG_SECONDS * sizes.rate), spare))

    def told(self, events: Sequence[Event]) -> list[Event]:
        """Begin, end and remove clips; the events, with the names of their clips in the evidence."""
        return [self._told(event) for event in events]

    def go_on(self, end: int) -> None:
        """Cut what has come, up to the end of a window, and is decided."""
        self._end = end
        for clip in list(self._open.values()):
            if self._veil is not None:
                self._cut_to(clip, self._veil.decided)
            else:
                self._cut_to(clip, end if clip.end < EVER else end - self._behind)

    def close(self) -> None:
        """Nothing more comes of this stream, or not soon: complete every clip with what there is."""
        for clip in list(self._open.values()):
            self._complete(clip)

    def _told(self, event: Event) -> Event:
        if event.phase == "start":
            self._begin(event)
        if event.id not in self._named:
            return event
        clip = self._open.get(event.id)
        if event.phase == "retract":
            self._named.discard(event.id)
            self._open.pop(event.id, None)
            self._clips.discard(event.id)
            return event
        if clip is not None:
            clip.event = event
        if event.phase == "end":
            self._named.discard(event.id)
            if clip is not None and event.offset_time is not None:
                clip.end = max(clip.start, event.offset_time + self._cut.post_roll)
                if event.cause:  # something else than the sound ended it: no more is to come
                    self._complete(clip)
        return replace(event, evidence=event.evidence | {"clip": f"{event.id}{SUFFIX}"})

    def _begin(self, event: Event) -> None:
        if event.mid not in self._cut.mids:
            return
        start = max(event.onset - self._cut.pre_roll, self._stream.wave.start, self._first())
        clip = Clip(event, start, start)
        if self._clips.begin(event.id, event.rate, clip.about()):
            self._open[event.id] = clip
            self._named.add(event.id)

    def _first(self) -> int:
        """The sample with which real audio begins, if that is in the ring."""
        return max((end for start, end in self._stream.gaps if start == -EVER), default=-EVER)

    def _complete(self, clip: Clip) -> None:
        """Cut all that there is, decided or not, and be done with it."""
        there = self._end if self._stream.finished else self._stream.position  # with silence behind its end
        clip.end = min(clip.end, there)
        self._cut_to(clip, clip.end)

    def _cut_to(self, clip: Clip, until: int) -> None:
        """Cut up to a sample, or to the end of the clip, which then is complete."""
        wave, end = self._stream.wave, min(clip.end, clip.start + self._cut.longest)
        until = min(until, end)
        if until > clip.next:
            held = max(clip.next, min(wave.start, until))
            piece = np.zeros(until - clip.next, np.float32)
            piece[held - clip.next :] = wave.view(held, until)
            spans = self._silent(clip.next, until)
            for start, stop, _ in spans:
                piece[start - clip.next : stop - clip.next] = 0
            clip.silent = _joined([*clip.silent, *spans])
            clip.next = until
            if not self._clips.add(clip.event.id, as_int16(piece)):
                del self._open[clip.event.id]
                self._named.discard(clip.event.id)
                return
        if clip.next >= end:
            self._clips.finish(clip.event.id, clip.about())
            del self._open[clip.event.id]

    def _silent(self, start: int, end: int) -> list[Span]:
        """What of [start, end) is digital silence in a clip."""
        lost = clipped(self._stream.gaps, start, end)
        blank = [] if self._veil is None else self._veil.spans(start, end)
        left = [Span(*pair, span.cause) for span in blank for pair in outside(lost, span.start, span.end)]
        return sorted([*(Span(*pair, LOST) for pair in lost), *left])


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in order, those of one cause that touch as one."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].end == span.start and found[-1].cause == span.cause:
            found[-1] = found[-1]._replace(end=span.end)
        else:
            found.append(span)
    return found
