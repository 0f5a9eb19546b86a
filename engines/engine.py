"""A compiled engine: three graphs behind three methods, whatever runs them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from glatd.engines.lanes import Lanes
from glatd.engines.manifest import Geometry, Manifest
from glatd.engines.trunks import Trunk

Floats = NDArray[np.float32]
Graph = Callable[..., tuple[NDArray[np.generic], ...]]  # inputs in order -> outputs in order


@runtime_checkable
class Cutter(Protocol):
    """A graph that takes its inputs from where another graph's lie: in the memory of a GPU."""

    def cut(self, of: Graph, frames: Floats, places: Sequence[tuple[int, int]]) -> tuple[NDArray[np.generic], ...]:
        """Run on pieces of `frames`, which `of` was given last: of each, the row and where it begins there."""


@dataclass(frozen=True, slots=True)
class Look:
    """What both streams say of B windows."""

    scores: Floats  # [B, C] fused
    global_: Floats  # [B, C]
    local: Floats  # [B, C]
    starts: NDArray[np.int64]  # [B, K] mel frames of the window
    classes: NDArray[np.int64]  # [B, K]
    activations: Floats  # [B, K] of the class at the crop's middle
    framewise: Floats  # [B, C, F] class-wise activations of the window's output frames, 0 to 1
    of_crops: Floats  # [B, K, C] what the local stream says of each crop


@dataclass(frozen=True, slots=True)
class Glance:
    """What the global stream says of B windows, and where it wants a second look."""

    scores: Floats  # [B, C]
    framewise: Floats  # [B, C, F] class-wise activations of the window's output frames, 0 to 1
    starts: NDArray[np.int64]  # [B, K] mel frames of the window
    classes: NDArray[np.int64]  # [B, K]
    middles: NDArray[np.int64]  # [B, K] output frames


def pool(scores: Floats, axis: int) -> Floats:
    """0.5 * (max + mean): over the crops (paper eq. 3), and over the two streams."""
    pooled: Floats = np.float32(0.5) * (scores.max(axis) + scores.mean(axis, dtype=np.float32))
    return pooled


class Engine:
    """Runs windows. Made by `glatd.engines.load`; used from one thread, and from its lanes.

    Attributes:
        most_windows: how many it likes to be given at once.
        lanes: threads on which it may be used side by side.
        graphs: every graph by name; those beyond the three that each engine has are named by the manifest. Where a
            trunk stands for `global` or `local`, these two are asked for hardly ever, and loaded when they are.
    """

    def __init__(self, manifest: Manifest, graphs: Mapping[str, Graph], most_windows: int = 1, lanes: int = 1) -> None:
        self.manifest, self.most_windows, self.lanes = manifest, most_windows, Lanes(lanes)
        self.graphs = graphs
        self._silent: dict[str, Floats] = {}

    @property
    def sizes(self) -> Geometry:
        """Sizes of the graphs."""
        return self.manifest.geometry

    def frontend(self, samples: Floats) -> Floats:
        """Log-mel frames [B, block, M] of samples [B, block_samples]."""
        return self.graphs["frontend"](samples)[0]  # type: ignore[return-value]

    def warm_up(self, blocks: Sequence[int], crops: int) -> Iterator[None]:
        """Run every size that will be asked for once, one at each step: a size's first run takes ten times as long.

        Args:
            blocks: rows of `frontend`.
            crops: at most, of one run of the local stream.
        """
        sizes = self.sizes
        for rows in blocks:
            yield
            self.frontend(np.zeros((rows, sizes.block_samples), np.float32))
        for trunk in sizes.trunks:
            yield
            self.silent(trunk)
        yield
        audible = np.ones((1, sizes.frames), np.float32)
        if kept := sizes.trunk_for("global"):
            self.glance_at(np.zeros((1, kept.frames, kept.size), np.float32), audible)
        else:
            self.look_globally(np.zeros((1, sizes.window, sizes.mels), np.float32), audible)
        for count in range(crops, 0, -1):  # of a first window all are new
            yield
            if kept := sizes.trunk_for("local"):
                self.score_crops(np.zeros((count, kept.frames, kept.size), np.float32))
            else:
                self.look_locally(np.zeros((count, sizes.crop, sizes.mels), np.float32))

    def look_globally(self, frames: Floats, audible: Floats, crops: int | None = None) -> Glance:
        """The first look, at B windows.

        Args:
            frames: [B, window, M] float32, C-contiguous.
            audible: [B, F] float32, 1.0 where the middle of an output frame is real audio.
            crops: how many of the engine's K crops are wanted; all when None.
        """
        return self._glance(self.graphs["global"](frames, audible), crops)

    @staticmethod
    def _glance(outputs: Sequence[NDArray[np.generic]], crops: int | None) -> Glance:
        scores, framewise, starts, classes, middles = outputs
        starts, classes, middles = (array[:, :crops].astype(np.int64) for array in (starts, classes, middles))
        return Glance(scores, framewise, starts, classes, middles)  # type: ignore[arg-type]

    def look_locally(self, crops: Floats) -> Floats:
        """Scores [n, C] of crops [n, crop, M] float32. On a CPU a crop's do not depend on its companions."""
        return self.graphs["local"](crops)[0]  # type: ignore[return-value]

    def look_into(self, frames: Floats, places: Sequence[tuple[int, int]]) -> Floats:
        """Scores [n, C] of crops of the windows that `look_globally` was given.

        Args:
            frames: [B, window, M] of these, the same array: a GPU that has it still cuts there.
            places: of each of n > 0 crops, the row of its window and the mel frame there at which it begins.
        """
        local = self.graphs["local"]
        if isinstance(local, Cutter):
            return local.cut(self.graphs["global"], frames, places)[0]
        return self.look_locally(np.stack([frames[row, first:][: self.sizes.crop] for row, first in places]))

    def extend(self, trunk: Trunk, frames: Floats) -> Floats:
        """Output frames [n, rows, E] that a trunk makes of mel frames [n, run, M] float32."""
        return self.graphs[trunk.graph](frames)[0]  # type: ignore[return-value]

    def silent(self, trunk: Trunk) -> Floats:
        """[E] what a trunk makes of digital silence, far from any edge."""
        if trunk.of not in self._silent:
            frames = self.frontend(np.zeros((1, self.sizes.block_samples), np.float32))
            self._silent[trunk.of] = self.extend(trunk, np.resize(frames, (1, trunk.run, self.sizes.mels)))[0, 0]
        return self._silent[trunk.of]

    def glance_at(self, kept: Floats, audible: Floats, crops: int | None = None) -> Glance:
        """The first look at B windows of which the trunk of `global` has made [B, F, E]; the rest as above."""
        return self._glance(self.graphs["global_head"](kept, audible), crops)

    def score_crops(self, kept: Floats) -> Floats:
        """Scores [n, C] of crops of which the trunk of `local` has made [n, F, E]."""
        return self.graphs["local_head"](kept)[0]  # type: ignore[return-value]

    @staticmethod
    def fuse(glance: Glance, of_crops: Floats) -> Look:
        """Both looks in one.

        Args:
            of_crops: [B, K, C] scores of the crops that `glance` chose.
        """
        local = pool(of_crops, 1)
        rows = np.arange(len(of_crops))[:, None]
        return Look(
            scores=pool(np.stack([glance.scores, local]), 0),
            global_=glance.scores,
            local=local,
            starts=glance.starts,
            classes=glance.classes,
            activations=glance.framewise[rows, glance.classes, glance.middles],
            framewise=glance.framewise,
            of_crops=of_crops,
        )

    def look(self, frames: Floats, audible: Floats, crops: int | None = None) -> Look:
        """The whole method on B windows, every crop looked at; arguments as of `look_globally`."""
        glance = self.look_globally(frames, audible, crops)
        batch, k = glance.starts.shape
        index = glance.starts[:, :, None] + np.arange(self.sizes.crop)
        cut = frames[np.arange(batch)[:, None, None], index]
        of_crops = self.look_locally(cut.reshape(batch * k, self.sizes.crop, self.sizes.mels))
        return self.fuse(glance, of_crops.reshape(batch, k, -1))
