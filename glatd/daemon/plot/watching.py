"""What a picture needs to know, noted down while the daemon's own loop looks at a recording."""

from dataclasses import dataclass

import numpy as np

from glatd.daemon.announce import Announcer
from glatd.daemon.events.decider import Decider
from glatd.daemon.events.machine import Change
from glatd.daemon.events.rules import Rules
from glatd.daemon.plot.folded import Floats, Folded
from glatd.daemon.tagging import Seen
from glatd.messages import Event

MOST_COLUMNS = 4096  # along time, of the picture of a whole recording


@dataclass(frozen=True, slots=True)
class CropSeen:
    """Where one second look went."""

    index: int  # of the class that it was for
    start: float  # s
    end: float  # s
    moment: float  # s, the middle of the output frame that was chosen
    activation: float  # there


@dataclass(frozen=True, slots=True)
class LookSeen:
    """One window."""

    start: float  # s; below 0 where the stream had not begun
    end: float  # s
    frames: Floats  # [window, M] log-mel
    framewise: Floats  # [C, F] class-wise activations
    scores: Floats  # [C] fused
    global_: Floats  # [C]
    local: Floats  # [C]
    crops: tuple[CropSeen, ...]  # in the order of choice


class Watching(Decider):
    """Decides as ever, and keeps what it is shown.

    Args:
        at: s; of the looks the one whose middle is nearest to it is kept whole. None keeps none.
    """

    def __init__(self, announcer: Announcer, rules: Rules, at: float | None) -> None:
        super().__init__(announcer, rules)
        sizes = announcer.manifest.geometry
        self.name, self.manifest = announcer.name, announcer.manifest
        self._at, self._distance = at, float("inf")
        self._frame = sizes.hop / sizes.rate  # s
        self._piece = self._frame * sizes.stride  # s
        self._until = 0  # frame, of those that are in the waterfall
        self.look: LookSeen | None = None
        self.waterfall = Folded(sizes.mels, self._frame, MOST_COLUMNS)
        self.activations = Folded(len(announcer.manifest.labels), self._piece, MOST_COLUMNS)
        self.scores = Folded(len(announcer.manifest.labels), self._piece, MOST_COLUMNS)
        self.crops: dict[tuple[int, int], None] = {}  # class, first sample; in order
        self.events: dict[str, Event] = {}  # by id, the newest message of each that was not taken back
        self.length = 0.0  # s

    def take(self, seen: Seen) -> list[Event]:
        """As any decider."""
        if self._at is None:
            self._gather(seen)
        else:
            sizes = self.manifest.geometry
            middle = (seen.window.start + sizes.hop * sizes.window / 2) / sizes.rate
            if (distance := abs(middle - self._at)) < self._distance:
                self._distance, self.look = distance, self._look_of(seen)
        return super().take(seen)

    def _event(self, index: int, change: Change, now: int) -> Event:
        """As any decider; whatever it tells is made here."""
        event = super()._event(index, change, now)
        if event.phase == "retract":
            self.events.pop(event.id, None)
        else:
            self.events[event.id] = event
        return event

    def _look_of(self, seen: Seen) -> LookSeen:
        rate, sizes = self.manifest.geometry.rate, self.manifest.geometry
        return LookSeen(
            start=seen.window.start / rate,
            end=(seen.window.start + sizes.hop * sizes.window) / rate,
            frames=seen.stream.frames_of(seen.window).copy(),
            framewise=seen.framewise,
            scores=seen.scores,
            global_=seen.global_,
            local=seen.local,
            crops=tuple(self._crop_of(seen, rank) for rank in range(len(seen.starts))),
        )

    def _crop_of(self, seen: Seen, rank: int) -> CropSeen:
        sizes, index = self.manifest.geometry, seen.classes[rank]
        start = seen.starts[rank] / sizes.rate
        end = start + sizes.crop * self._frame
        # The frame that was chosen has exactly this activation; of several it is the one that the crop lies around.
        frames = np.flatnonzero(seen.framewise[index] == np.float32(seen.activations[rank]))
        moments = seen.window.start / sizes.rate + self._piece * (frames + 0.5)
        moment = float(moments[np.abs(moments - (start + end) / 2).argmin()]) if len(moments) else (start + end) / 2
        return CropSeen(index, start, end, moment, seen.activations[rank])

    def _gather(self, seen: Seen) -> None:
        window, sizes = seen.window, self.manifest.geometry
        first = max(self._until, window.end_frame - sizes.window, 0)
        if first < window.end_frame:
            frames = seen.stream.frames_of(window)[first - window.end_frame :]
            self.waterfall.add(first * self._frame, frames, self._frame)
            self._until = window.end_frame
        self.activations.add(window.start / sizes.rate, seen.framewise.T, self._piece)
        self.length = window.end / sizes.rate
        self.scores.add(max(0.0, self.length - self._piece), seen.scores[None], self._piece)
        for index, start in zip(seen.classes, seen.starts, strict=True):
            self.crops[(index, start)] = None
