"""What a stream's decisions were made of, so that other rules can be tried on it: as `events.tape`, in less room.

Of each look, what the networks said of the classes that any threshold of a trial can reach; and the loudness of each
mel frame once, though ten looks hold it. About 2 kB a look, so two hours are 16 MB a stream; what is more goes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.calibrate.site import FLOOR
from glatd.daemon.events.hearing import Hearing
from glatd.daemon.events.tape import Looked, Lost, Quiet, Turn
from glatd.daemon.stream import Window
from glatd.daemon.tagging import Seen
from glatd.engines.manifest import Manifest
from glatd.messages import Gap

Floats = NDArray[np.float32]

MOST_BYTES = 16 << 20  # a stream
SPARE = 700  # bytes of a look beside its arrays, about


@dataclass(frozen=True, slots=True)
class Brief:
    """A look, in brief."""

    window: Window
    wall: float  # UNIX seconds of its end
    rows: NDArray[np.int16]  # [n] classes
    said: Floats  # [n, 3 + K + F] fused, global and local score, scores of the crops, activations
    starts: tuple[int, ...]  # K samples
    classes: tuple[int, ...]  # K
    real: tuple[int, int]  # output frames, the first and last that is real audio
    loud: Floats  # [m] of the mel frames up to its end that no look before it had

    @property
    def bytes(self) -> int:
        """What it takes."""
        return SPARE + self.rows.nbytes + self.said.nbytes + self.loud.nbytes

    def hearing(self, manifest: Manifest, loud: Floats) -> Hearing:
        """As the decider takes it.

        Args:
            loud: [window] of all its mel frames.
        """
        dense = np.zeros((3, len(manifest.labels)), np.float32)
        rows, k = self.rows.astype(np.intp), 3 + len(self.starts)
        dense[:, rows] = self.said[:, :3].T
        return Hearing(
            self.window,
            dense[0],
            dense[1],
            dense[2],
            self.said[:, k:],
            self.said[:, 3:k],
            self.starts,
            tuple(manifest.labels[index].name for index in self.classes),
            self.real,
            lambda: loud,
            manifest.geometry,
            {index: row for row, index in enumerate(self.rows.tolist())},
        )


Turns = tuple[Brief | Quiet | Lost, ...]


class Kept:
    """Of one stream, in the dashboard's thread.

    Args:
        looks: that are remembered at most.

    Attributes:
        whole: whether nothing was forgotten yet.
    """

    def __init__(self, looks: int) -> None:
        self._looks = looks
        self._held = 0  # bytes
        self._turns: deque[Brief | Quiet | Lost] = deque()
        self._loud: list[Floats] = []  # since the last look
        self._end = -1  # sample of the last look
        self.whole = True

    def frames(self, frames: Floats) -> None:
        """Mel frames [n, M] that follow those that were there."""
        self._loud.append(frames.mean(1))

    def looked(self, seen: Seen, wall: float) -> None:
        """A look, after its frames."""
        self._afresh(seen.window.end)
        rows = np.flatnonzero(seen.scores >= FLOOR)
        scores = np.stack([seen.scores[rows], seen.global_[rows], seen.local[rows]])
        audible = np.flatnonzero(seen.audible)
        loud = np.concatenate(self._loud)[-seen.stream.sizes.window :] if self._loud else np.zeros(0, np.float32)
        self._loud.clear()
        self._put(
            Brief(
                seen.window,
                wall,
                rows.astype(np.int16),
                np.concatenate([scores, seen.of_crops[:, rows], seen.framewise[rows].T]).T.copy(),
                seen.starts,
                seen.classes,
                (int(audible[0]), int(audible[-1])) if len(audible) else (0, 0),
                loud,
            )
        )

    def quiet(self, window: Window, wall: float) -> None:
        """A window that the level gate kept the networks from."""
        self._afresh(window.end)
        self._put(Quiet(window, wall))

    def lost(self, gap: Gap) -> None:
        """Audio that was lost."""
        self._put(Lost(gap.start, gap.end, gap.cause))

    def turns(self) -> Turns:
        """What is remembered, oldest first."""
        return tuple(self._turns)

    def since(self, wall: float) -> tuple[Turns, bool]:
        """What is remembered since a UNIX second, oldest first; whether that is all since the stream began."""
        turns = list(self._turns)
        first = next((at for at, turn in enumerate(turns) if not isinstance(turn, Lost) and turn.wall >= wall), 0)
        return tuple(turns[first:]), self.whole and not first

    def _afresh(self, end: int) -> None:
        if end <= self._end:  # another stream by the same name
            self._turns.clear()
            self._held, self.whole = 0, True
        self._end = end

    def _put(self, turn: Brief | Quiet | Lost) -> None:
        self._turns.append(turn)
        self._held += _size(turn)
        while self._held > MOST_BYTES or len(self._turns) > self._looks:
            self._held -= _size(self._turns.popleft())
            self.whole = False


def played(turns: Turns, manifest: Manifest, step: Callable[[], None]) -> Iterator[Turn]:
    """The same as a decider takes them.

    Args:
        step: called between two of them.
    """
    loud = np.zeros(manifest.geometry.window, np.float32)
    first = True
    for turn in turns:
        step()
        if not isinstance(turn, Brief):
            yield turn
            continue
        new = turn.loud
        if first and len(new):
            loud[:] = new.min()  # what was heard before it is forgotten
            first = False
        loud = np.concatenate([loud[len(new) :], new])
        yield Looked(turn.hearing(manifest, loud), turn.wall)


def _size(turn: Brief | Quiet | Lost) -> int:
    return turn.bytes if isinstance(turn, Brief) else SPARE
