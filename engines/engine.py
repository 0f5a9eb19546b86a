"""A compiled engine: three graphs behind three methods, whatever runs them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.engines.lanes import Lanes
from glatd.engines.manifest import GRAPHS, Geometry, Manifest

Floats = NDArray[np.float32]
Graph = Callable[..., tuple[NDArray[np.generic], ...]]  # inputs in order -> outputs in order


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
        graphs: every graph by name; those beyond the three that each engine has are named by the manifest.
    """

    def __init__(
        self, manifest: Manifest, graphs: Mapping[str, Graph], most_windows: int = 1, lanes: int = 1
    ) -> None:
        self.manifest, self.most_windows, self.lanes = manifest, most_windows, Lanes(lanes)
        self.graphs = graphs
        self._frontend, self._global, self._local = (graphs[name] for name in GRAPHS)

    @property
    def sizes(self) -> Geometry:
        """Sizes of the graphs."""
        return self.manifest.geometry

    def frontend(self, samples: Floats) -> Floats:
        """Log-mel frames [B, block, M] of samples [B, block_samples]."""
        return self._frontend(samples)[0]  # type: ignore[return-value]

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
        yield
        self.look_globally(np.zeros((1, sizes.window, sizes.mels), np.float32), np.ones((1, sizes.frames), np.float32))
        for count in range(crops, 0, -1):  # of a first window all are new
            yield
            self.look_locally(np.zeros((count, sizes.crop, sizes.mels), np.float32))

    def look_globally(self, frames: Floats, audible: Floats, crops: int | None = None) -> Glance:
        """The first look, at B windows.

        Args:
            frames: [B, window, M] float32, C-contiguous.
            audible: [B, F] float32, 1.0 where the middle of an output frame is real audio.
            crops: how many of the engine's K crops are wanted; all when None.
        """
        scores, framewise, starts, classes, middles = self._global(frames, audible)
        starts, classes, middles = (array[:, :crops].astype(np.int64) for array in (starts, classes, middles))
        return Glance(scores, framewise, starts, classes, middles)  # type: ignore[arg-type]

    def look_locally(self, crops: Floats) -> Floats:
        """Scores [n, C] of crops [n, crop, M] float32. On a CPU a crop's do not depend on its companions."""
        return self._local(crops)[0]  # type: ignore[return-value]

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
