"""Log-mel frames of a whole window by an engine's front end, from scratch."""

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.peers.contender import Floats
from glatd.engines.manifest import Geometry


class Frames:
    """So many frames at once, in the blocks that the front end takes.

    Attributes:
        samples: that they are made of.
    """

    def __init__(self, frontend: Callable[[Floats], Floats], sizes: Geometry, count: int) -> None:
        self._frontend, self._sizes, self._count = frontend, sizes, count
        self.samples = sizes.left + sizes.hop * (count - 1) + sizes.right
        blocks = -(-count // sizes.block)
        self._missing = sizes.left + sizes.hop * (sizes.block * blocks - 1) + sizes.right - self.samples

    def around(self, clip: Floats) -> Floats:
        """The samples of frames that begin with a clip [n], digital silence around it."""
        left = self._sizes.left
        return np.pad(clip, (left, max(0, self.samples - left - len(clip))))[: self.samples]

    def __call__(self, windows: Floats) -> Floats:
        """Frames [B, count, M] of windows [B, samples]."""
        sizes = self._sizes
        padded = np.pad(windows, ((0, 0), (0, self._missing)))
        blocks = sliding_window_view(padded, sizes.block_samples, axis=1)[:, :: sizes.hop * sizes.block]
        frames = self._frontend(np.ascontiguousarray(blocks.reshape(-1, sizes.block_samples)))
        whole = frames.reshape(len(windows), -1, sizes.mels)[:, : self._count]
        return np.ascontiguousarray(whole)
