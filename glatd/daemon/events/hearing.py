"""What one look says of every class: as the networks gave it, or as little of it as decisions need, kept for later.

All of it comes from the look itself; what other classes and earlier looks have to say is the decider's.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.events.machine import EVER, Crop, Heard
from glatd.daemon.events.timing import Floats, Grid, Steps, find_runs, find_steps, level_of, sharpened
from glatd.daemon.stream import Window
from glatd.daemon.tagging import Seen
from glatd.engines.manifest import Geometry, Manifest


class Told(NamedTuple):
    """What a class's decision takes from outside the look; as in `Heard`."""

    blocked: int = 0
    implied: tuple[tuple[int, int], ...] = ()
    promising: bool = False
    scheduled: bool = True
    since: int = 0


class Hearing:
    """One look. Its arrays have a row for every class, or for those in `rows` alone.

    Args:
        scores, global_, local: [C]; the first is fused.
        framewise: [rows, F] class-wise activations; 0 where an output frame is no real audio.
        of_crops: [rows, K] what the local stream says of each crop.
        starts: K samples of the stream.
        chosen_for: K labels.
        real: output frames, the first and the last that is real audio.
        loud: gives the loudness [n] of every mel frame; called at most once, before the next look.
        rows: of each class that was kept; None: row i is class i.
    """

    def __init__(
        self,
        window: Window,
        scores: Floats,
        global_: Floats,
        local: Floats,
        framewise: Floats,
        of_crops: Floats,
        starts: tuple[int, ...],
        chosen_for: tuple[str, ...],
        real: tuple[int, int],
        loud: Callable[[], Floats],
        sizes: Geometry,
        rows: dict[int, int] | None = None,
    ) -> None:
        self.window, self.scores, self.global_, self.local = window, scores, global_, local
        self.framewise, self.of_crops, self.starts, self.chosen_for = framewise, of_crops, starts, chosen_for
        self.real, self.sizes, self.rows, self._loud = real, sizes, rows, loud
        self._steps: Steps | None = None
        self._activations: dict[int, list[float]] = {}
        self._heard: dict[int, Heard] = {}  # of a look that was kept: it is asked again and again

    @classmethod
    def of(cls, seen: Seen, loud: Callable[[], Floats], manifest: Manifest) -> "Hearing":
        """What was seen. The arrays are the look's own, not copies."""
        audible, labels = seen.audible.tolist(), manifest.labels
        real = audible.index(1.0) if 1.0 in audible else 0
        return cls(
            seen.window,
            seen.scores,
            seen.global_,
            seen.local,
            seen.framewise,
            seen.of_crops.T,
            seen.starts,
            tuple([labels[chosen].name for chosen in seen.classes]),
            (real, len(audible) - 1 - audible[::-1].index(1.0) if 1.0 in audible else 0),
            loud,
            manifest.geometry,
        )

    def kept(self, floor: float) -> "Hearing":
        """A copy of what is needed to decide with thresholds of `floor` or more: 10 to 20 kB."""
        found: NDArray[Any] = np.flatnonzero(self.scores >= floor)
        loud = self.loud().copy()
        return Hearing(
            self.window,
            self.scores.copy(),
            self.global_.copy(),
            self.local.copy(),
            self.framewise[found],
            self.of_crops[found],
            self.starts,
            self.chosen_for,
            self.real,
            lambda: loud,
            self.sizes,
            {index: row for row, index in enumerate(found.tolist())},
        )

    def loud(self) -> Floats:
        """[n] loudness of every mel frame."""
        return self._loud()

    def has_since(self, index: int, sample: int) -> bool:
        """Whether a class is active after a sample: quick, and never false where `heard` has a run there."""
        activations = self._of(index)
        if activations is None:
            return False
        piece = self.sizes.stride * self.sizes.hop
        newer = activations[max(0, (sample - self.window.start) // piece - 1) :]
        return bool(newer) and max(newer) >= level_of(activations)

    def heard(self, index: int, told: Told, since: int = -EVER) -> Heard:
        """Of one class.

        Args:
            since: sample before which no peak matters.
        """
        before = self._heard.get(index)
        if before is not None:
            return before._replace(**told._asdict())
        window, activations = self.window, self._of(index)
        if activations is None:  # below every threshold
            return Heard(window.start, window.end, 0.0, (), (), since=told.since)
        sizes = self.sizes
        length = sizes.crop * sizes.hop
        local = self.of_crops[index if self.rows is None else self.rows[index]].tolist()
        crops = tuple(
            [
                Crop(start, start + length, score, label)
                for start, score, label in zip(self.starts, local, self.chosen_for, strict=True)
            ]
        )
        grid = Grid(window.start, sizes.stride * sizes.hop, *self.real, window.end)
        runs = find_runs(activations, level_of(activations), grid, crops, since if self.rows is None else -EVER)
        if runs:
            steps = self._steps = self._steps or find_steps(self._loud(), window.start, sizes.hop)
            runs = [sharpened(run, steps) for run in runs]
        heard = Heard(
            window.start,
            window.end,
            float(self.scores[index]),
            tuple(runs),
            crops,
            float(self.global_[index]),
            float(self.local[index]),
            length,
            *told,
        )
        if self.rows is not None:
            self._heard[index] = heard
        return heard

    def forget(self) -> None:
        """Of a look that was kept, what was worked out of single classes."""
        self._heard.clear()
        self._activations.clear()

    def _of(self, index: int) -> list[float] | None:
        """The activations of a class; None where they were not kept."""
        found = self._activations.get(index)
        if found is None:
            row = index if self.rows is None else self.rows.get(index)
            if row is None:
                return None
            found = self._activations[index] = self.framewise[row].tolist()
        return found


class Loudness:
    """The loudness of the frames of every look: the mean of their bands, in their logarithmic unit.

    Looks overlap, and frames never change, so that each frame is averaged once.
    """

    def __init__(self) -> None:
        self._end = 0  # frame
        self._loud = np.zeros(0, np.float32)

    def of(self, seen: Seen) -> Floats:
        """[n] of a look's frames; a view that holds until the next one."""
        frames, end = seen.stream.frames_of(seen.window), seen.window.end_frame
        new = end - self._end
        # A stream that starts afresh has a gap as long as a window before it, and so nothing that was known.
        if len(self._loud) != len(frames) or not 0 <= new < len(frames):
            self._loud = frames.mean(1)
        elif new:
            self._loud[:-new] = self._loud[new:]
            frames[-new:].mean(1, out=self._loud[-new:])
        self._end = end
        return self._loud
