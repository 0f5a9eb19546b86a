"""The trunk of a backbone, piece by piece: of a stream, only what is new is computed.

An output frame of a stack of convolutions sees its neighbourhood and nothing else, so what was made of the past need
not be made again. A run of `Trunk` begins where the first of its output frames begins to see, and pads nothing there:
its neighbours on the left are real. On the right it ends where the window ends and pads with zeros, as the network in
one piece does; the output frames that see the padding, `provisional` of them, are computed again by the next run. So a
window's feature equals that in one piece, but for its first output frames, which see what was before the window where
the network in one piece sees zeros.
"""

import copy
import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from glatd.trainer.backbones.spec import Backbone, Reach, reach

STEP_SECONDS = 0.96  # of audio that a run adds, or the nearest to it: the default hop


@dataclass(frozen=True, slots=True)
class Pieces:
    """How what is looked at, `length` mel frames long, is made of runs of one fixed size."""

    reach: Reach
    length: int  # mel frames
    step: int  # output frames that a run adds

    @property
    def frames(self) -> int:
        """F, output frames of `length`; poolings drop the rest."""
        return self.length // self.reach.stride

    @property
    def tail(self) -> int:
        """Mel frames after the last output frame."""
        return self.length % self.reach.stride

    @property
    def provisional(self) -> int:
        """Output frames at the end that see beyond it."""
        return min(self.frames, max(0, math.ceil((self.reach.right - self.tail) / self.reach.stride)))

    @property
    def edge(self) -> int:
        """Output frames at the beginning that see what was before it."""
        return min(self.frames, math.ceil(self.reach.left / self.reach.stride))

    @property
    def rows(self) -> int:
        """Output frames that a run computes."""
        return min(self.frames, self.step + self.provisional)

    @property
    def run(self) -> int:
        """Mel frames that a run sees."""
        return self.reach.left + self.rows * self.reach.stride + self.tail


def pieces(backbone: Backbone, length: int) -> Pieces | None:
    """Pieces of a window or crop of `length` mel frames; None where that cannot be, or is not worth it.

    It cannot where the network has no trunk. It is not worth it where half of the output frames or more are at the
    edges: they would differ from those in one piece, and a run would cost as much as the whole.
    """
    if not backbone.layers:
        return None
    seen = reach(backbone.layers)
    front = backbone.frontend
    step = max(1, round(STEP_SECONDS * front.rate / front.hop / seen.stride))
    found = Pieces(seen, length, step)
    return found if 2 * (found.edge + found.provisional) < found.frames else None


class OpenLeft(nn.Module):
    """A convolution that takes its neighbours on the left from what it is given, which becomes so much shorter."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert isinstance(convolution.padding, tuple)
        time, bins = convolution.padding
        self.sides = (bins, bins, 0, time)
        self.convolution = copy.deepcopy(convolution)
        self.convolution.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.convolution(F.pad(x, self.sides))
        return out


def open_left(network: nn.Module) -> None:
    """Put `OpenLeft` in the place of every padded convolution of a network."""
    for name, child in network.named_children():
        if isinstance(child, nn.Conv2d) and child.padding != (0, 0):
            setattr(network, name, OpenLeft(child))
        else:
            open_left(child)


class Trunk(nn.Module):
    """One run: output frames of the newest mel frames of a stream."""

    def __init__(self, backbone: Backbone, sizes: Pieces) -> None:
        super().__init__()
        self.sizes = sizes
        self.backbone = copy.deepcopy(backbone).eval()
        open_left(self.backbone)

    def forward(self, frames: Tensor) -> Tensor:
        """Mel frames [B, run, M], from `left` before the first output frame, -> [B, E, rows]."""
        made = self.backbone.trunk(frames)
        assert made.shape[2] == self.sizes.rows
        return made
