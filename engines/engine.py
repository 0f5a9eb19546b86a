"""A compiled engine: three graphs behind three methods, whatever runs them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.engines.manifest import Geometry, Manifest

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


def pool(scores: Floats, axis: int) -> Floats:
    """0.5 * (max + mean): over the crops (paper eq. 3), and over the two streams."""
    pooled: Floats = np.float32(0.5) * (scores.max(axis) + scores.mean(axis, dtype=np.float32))
    return pooled


class Engine:
    """Runs windows. Made by `glatd.engines.load`; used from one thread.

    Attributes:
        most_windows: how many it likes to be given at once. On a CPU a batch costs as much as its windows one by one
            (25 ms each, 1 to 16 of them), and OpenVINO builds every new size anew, for 0.25 s and 45 MB: so 1.
    """

    def __init__(self, manifest: Manifest, graphs: Mapping[str, Graph], most_windows: int = 1) -> None:
        self.manifest, self.most_windows = manifest, most_windows
        self._frontend, self._global, self._local = (graphs[name] for name in ("frontend", "global", "local"))

    @property
    def sizes(self) -> Geometry:
        """Sizes of the graphs."""
        return self.manifest.geometry

    def frontend(self, samples: Floats) -> Floats:
        """Log-mel frames [B, block, M] of samples [B, block_samples]."""
        return self._frontend(samples)[0]  # type: ignore[return-value]

    def warm_up(self, blocks: Sequence[int], crops: Sequence[int]) -> None:
        """Run every size that will be asked for once: the first run of a size takes ten times as long.

        Args:
            blocks: rows of `frontend`.
            crops: of a window.
        """
        sizes = self.sizes
        for rows in blocks:
            self.frontend(np.zeros((rows, sizes.block_samples), np.float32))
        frames = np.zeros((1, sizes.window, sizes.mels), np.float32)
        for k in crops:
            self.look(frames, np.ones((1, sizes.frames), np.float32), k)

    def look(self, frames: Floats, audible: Floats, crops: int | None = None) -> Look:
        """The whole method on B windows.

        Args:
            frames: [B, window, M] float32, C-contiguous.
            audible: [B, F] float32, 1.0 where the middle of an output frame is real audio.
            crops: how many of the engine's K crops to look at; all when None.
        """
        scores, activations, starts, classes, middles = self._global(frames, audible)
        starts, classes, middles = (array[:, :crops].astype(np.int64) for array in (starts, classes, middles))
        batch, k = starts.shape
        index = starts[:, :, None] + np.arange(self.sizes.crop)
        cut = frames[np.arange(batch)[:, None, None], index]
        (of_crops,) = self._local(cut.reshape(batch * k, self.sizes.crop, self.sizes.mels))
        of_crops = of_crops.reshape(batch, k, -1)
        local = pool(of_crops, 1)  # type: ignore[arg-type]
        rows = np.arange(batch)[:, None]
        return Look(
            scores=pool(np.stack([scores, local]), 0),
            global_=scores,  # type: ignore[arg-type]
            local=local,
            starts=starts,
            classes=classes,
            activations=activations[rows, classes, middles],  # type: ignore[arg-type]
            framewise=activations,  # type: ignore[arg-type]
            of_crops=of_crops,  # type: ignore[arg-type]
        )
