"""What the trunks of the networks made of a stream, kept: at a hop only what is new is computed.

Output frames lie on one absolute grid, that of the windows for the global stream and that of the crops for the local
one; a window and each of its crops are stretches of them, and the heads do the rest. The last few frames of a stream
are provisional: they see beyond its end, where the network in one piece sees zeros, and are made again at the next hop.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from glatd.daemon.crops import look_once
from glatd.daemon.ring import Ring
from glatd.engines.engine import Engine, Floats, Glance
from glatd.engines.manifest import Geometry
from glatd.engines.trunks import Trunk

if TYPE_CHECKING:
    from glatd.daemon.stream import Stream, Window


class Features:
    """What one trunk made of one stream. Frame r covers mel frames [stride r + phase, stride (r + 1) + phase).

    Args:
        trunk: of the engine.
        sizes: of the engine.
    """

    def __init__(self, trunk: Trunk, sizes: Geometry) -> None:
        self.trunk = trunk
        self._phase = -trunk.length % trunk.stride  # windows and hops end at multiples of the stride
        self._window = (sizes.window - trunk.tail) // trunk.stride  # frames that a window may need
        self._frames = Ring(self._window + trunk.rows, trunk.size)
        self._settled = 0  # frames before it are never made again
        self.runs = 0  # of the trunk
        self.reset(0)

    @property
    def bytes(self) -> int:
        """Of memory."""
        return self._frames.bytes

    def reset(self, start: int) -> None:
        """Forget everything: before mel frame `start` is nothing but digital silence."""
        self._settled = self._index(start) - self.trunk.provisional
        self.fresh = True  # until it is told what becomes of silence

    def begin(self, silent: Floats) -> None:
        """Take what the trunk makes of digital silence, [E]."""
        self._frames.reset(self._settled - self._window)
        self._frames.append(np.broadcast_to(silent, (self._window, len(silent))))
        self.fresh = False

    def on_grid(self, end: int) -> bool:
        """Whether what ends at mel frame `end` is a stretch of these frames."""
        return (end - self.trunk.tail - self._phase) % self.trunk.stride == 0

    def due(self, end: int) -> Iterator[int]:
        """The first frame of each run that is missing for the window that ends at mel frame `end`, in order."""
        trunk, last = self.trunk, self._index(end)
        newest = last - trunk.rows
        missing = max(self._settled, last - self._window)
        yield from range(missing, newest, trunk.rows - trunk.provisional)
        if missing < last:
            yield newest

    def sees(self, frame: int) -> tuple[int, int]:
        """Mel frames [start, end) that the run which begins with `frame` needs."""
        start = frame * self.trunk.stride + self._phase - self.trunk.left
        return start, start + self.trunk.run

    def put(self, frame: int, made: Floats) -> None:
        """Keep what a run made, [rows, E] from `frame` on; runs come in the order of `due`."""
        if frame > self._frames.end:
            self._frames.reset(frame)
        else:
            self._frames.rewind(max(frame, self._settled))  # what is settled stays as it is
        self._frames.append(made[self._frames.end - frame :])
        self._settled = frame + self.trunk.rows - self.trunk.provisional
        self.runs += 1

    def stretch(self, end: int) -> Floats:
        """[F, E] of the window or crop that ends at mel frame `end`; a view, valid until the next `put`."""
        last = self._index(end)
        return self._frames.view(last - self.trunk.frames, last)

    def _index(self, end: int) -> int:
        return (end - self.trunk.tail - self._phase) // self.trunk.stride


def look_globally(
    engine: Engine, due: Sequence[tuple["Stream", "Window"]], frames: Floats, audible: Floats, crops: int | None
) -> Glance:
    """The first look at a window each of B streams: at what is kept of them, or at the whole of them.

    Args:
        frames: [B, window, M] of these windows.
        audible, crops: as of `Engine.look_globally`.
    """
    trunk = engine.sizes.trunk_for("global")
    if trunk is None or not on_grid(trunk, due, [[window.end_frame] for _, window in due]):
        return engine.look_globally(frames, audible, crops)
    keep_up(engine, trunk, due)
    kept = [stream.features[trunk.of].stretch(window.end_frame) for stream, window in due]
    return engine.glance_at(stacked(kept), audible, crops)


def look_at(
    engine: Engine, due: Sequence[tuple["Stream", "Window"]], frames: Floats, places: Sequence[Sequence[int]]
) -> list[Floats]:
    """[K, C] what the local stream says of the crops of each window, as `look_once`. Where a trunk keeps up with the
    streams, a crop is a stretch of what is kept and costs next to nothing, so that its scores need not be kept too."""
    trunk = engine.sizes.trunk_for("local")
    ends = [[place + engine.sizes.crop for place in of_window] for of_window in places]
    if trunk is None or not on_grid(trunk, due, ends):
        return look_once(engine, due, frames, places)
    keep_up(engine, trunk, due)
    kept = [
        stream.features[trunk.of].stretch(end)
        for (stream, _), of_window in zip(due, ends, strict=True)
        for end in of_window
    ]
    most = engine.sizes.crops  # of a head in pieces a CPU keeps what it made for each size that it has met
    scores = np.concatenate([engine.score_crops(np.stack(kept[at : at + most])) for at in range(0, len(kept), most)])
    for (stream, _), of_window in zip(due, ends, strict=True):
        stream.local.computed += len(of_window)
    return np.split(scores, np.cumsum([len(of_window) for of_window in ends])[:-1])


def on_grid(trunk: Trunk, due: Sequence[tuple["Stream", "Window"]], ends: Sequence[Sequence[int]]) -> bool:
    """Whether all windows, and all that ends at these mel frames of theirs, are stretches of what the trunk makes. The
    last window of a recording need not be: it ends with its last sample."""
    return all(
        stream.features[trunk.of].on_grid(end)
        for (stream, window), of_window in zip(due, ends, strict=True)
        for end in (window.end_frame, *of_window)
    )


def keep_up(engine: Engine, trunk: Trunk, due: Sequence[tuple["Stream", "Window"]]) -> None:
    """Make what is missing for a window each of B streams."""
    runs: list[tuple[Features, int, Floats]] = []
    for stream, window in due:
        features = stream.features[trunk.of]
        if features.fresh:
            features.begin(engine.silent(trunk))
        runs += [
            (features, frame, stream.frames.view(*features.sees(frame))) for frame in features.due(window.end_frame)
        ]
    for at in range(0, len(runs), engine.most_windows):
        part = runs[at : at + engine.most_windows]
        for (features, frame, _), made in zip(
            part, engine.extend(trunk, stacked([seen for *_, seen in part])), strict=True
        ):
            features.put(frame, made)


def stacked(rows: Sequence[Floats]) -> Floats:
    """A batch of arrays; of one it is no copy."""
    return rows[0][None] if len(rows) == 1 else np.stack(rows)
