"""Class-wise selection of crops (paper section 2.2), on both grids, vectorised over the batch.

The classes with the K highest clip scores are visited in that order. For each, the frame with
the largest activation becomes the middle of a crop, and the frames around it are closed to the
classes after it. Everything works on logits and on tables of integers made beforehand, and every
maximum is "the first place that reaches it", so that all runtimes agree on ties.

Sources: the paper; WangHelin1997/GL-AT `pytorch/models.py` for what is closed at the edges.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLOSED = -1e4  # logit of a frame closed by an earlier crop
SILENT = -2e4  # logit of a frame before the start of a stream or in a gap: taken last of all
UNKNOWN = -4e4  # in the place of a logit that is no number: it is nowhere the maximum


@dataclass(frozen=True, slots=True)
class Grid:
    """Where crops may lie. `starts` and `first`/`last` hold one entry an output frame.

    A crop around output frame t starts at `starts[t]` (in `unit`) and closes the output frames
    [first[t], last[t]).
    """

    name: str  # "clip" or "stream"
    unit: str  # "sample" or "frame" (mel frame)
    starts: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]
    length: int  # of a crop, in `unit`


def closed_ranges(starts: list[int], total: int, length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Output frames that a crop closes: [t - r, t + r), or 2 r frames at an edge.

    Args:
        starts: unclipped first sample of the crop around each of F frames.
        total: samples in the window.
        length: samples in a crop.
    """
    frames = len(starts)
    reach = (length * frames // total) // 4
    first, last = [], []
    for t, start in enumerate(starts):
        if start + length >= total:
            low, high = frames - 2 * reach, frames
        elif start < 0:
            low, high = 0, 2 * reach
        else:
            low, high = t - reach, t + reach
        first.append(max(low, 0))
        last.append(min(high, frames))
    return tuple(first), tuple(last)


def clip_grid(frames: int, total: int, length: int) -> Grid:
    """The published rule: a crop is centred at sample floor(T t / F) and kept inside the clip."""
    middles = [total * t // frames for t in range(frames)]
    centred = [middle - length // 2 for middle in middles]
    starts = tuple(total - length if start + length >= total else max(start, 0) for start in centred)
    return Grid("clip", "sample", starts, *closed_ranges(centred, total, length), length)


def stream_grid(frames: int, window: int, crop: int, stride: int) -> Grid:
    """For live use: crops start at mel frames {window - crop - stride m >= 0} of the window.

    With a hop that is a multiple of `stride` they lie on one absolute grid, so that a crop once
    looked at need not be looked at again. The middle of output frame t is mel frame
    stride t + stride / 2; of two equally near starts the earlier is taken.

    Args:
        frames: F, output frames of a window.
        window, crop, stride: mel frames.
    """
    allowed = range(window - crop, -1, -stride)[::-1]
    centred = [stride * t + stride // 2 - crop // 2 for t in range(frames)]
    starts = tuple(min(allowed, key=lambda start: (abs(start - wanted), start)) for wanted in centred)
    # What is closed follows the rule of the clip, so that both grids are equally diverse.
    edges = [window * t // frames - crop // 2 for t in range(frames)]
    return Grid("stream", "frame", starts, *closed_ranges(edges, window, crop), crop)


def known(logits: Tensor) -> Tensor:
    """Logits without NaN, which a maximum would hand on and a 0 in its place would often be."""
    return logits.nan_to_num(nan=UNKNOWN)


def first_maximum(x: Tensor) -> Tensor:
    """Index of the first maximum along the last axis (topk and argmax differ on ties)."""
    size = x.shape[-1]
    places = torch.arange(size, device=x.device)
    return torch.where(x >= x.amax(-1, keepdim=True), places, size).amin(-1)


class Selection(nn.Module):
    """Picks K crops a window. Takes no gradient and has no parameters.

    Args:
        grid: where crops may lie.
        crops: K.
    """

    starts: Tensor
    closes: Tensor

    def __init__(self, grid: Grid, crops: int) -> None:
        super().__init__()
        self.grid, self.crops = grid, crops
        frames = torch.arange(len(grid.starts))
        first, last = torch.tensor(grid.first)[:, None], torch.tensor(grid.last)[:, None]
        self.register_buffer("starts", torch.tensor(grid.starts), persistent=False)
        self.register_buffer("closes", (frames >= first) & (frames < last), persistent=False)

    @torch.no_grad()
    def forward(self, logits: Tensor, frame_logits: Tensor, audible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Greedy selection: its first k crops are the selection for k < K.

        Args:
            logits: clip logits [B, C].
            frame_logits: class-wise activations before the sigmoid [B, C, F].
            audible: [B, F] bool, False where a frame's middle is not real audio.

        Returns:
            starts [B, K] int64 in the grid's unit, classes [B, K] int64, and the output frame
            of each crop's middle [B, K] int64.
        """
        classes, wanted = [], []
        for _ in range(self.crops):
            chosen = first_maximum(logits)
            classes.append(chosen)
            index = chosen[:, None, None].expand(-1, 1, frame_logits.shape[2])
            wanted.append(frame_logits.gather(1, index).squeeze(1))
            taken = torch.arange(logits.shape[1], device=logits.device) == chosen[:, None]
            logits = torch.where(taken, torch.full_like(logits, -torch.inf), logits)
        middles = self.middles(torch.stack(wanted, 1), audible)
        return self.starts[middles], torch.stack(classes, 1), middles

    def middles(self, activations: Tensor, audible: Tensor) -> Tensor:
        """Middle frames [B, K] for the chosen classes' activations (logits) [B, K, F]."""
        floor = torch.where(audible, 0.0, SILENT).to(activations.dtype)
        blocked = torch.where(audible, 0.0, SILENT).to(activations.dtype)
        picked = []
        for k in range(self.crops):
            usable = torch.where(blocked < 0, blocked, activations[:, k])
            middle = first_maximum(usable)
            picked.append(middle)
            closing = self.closes[middle]
            blocked = torch.where(closing & (floor == 0), torch.full_like(blocked, CLOSED), blocked)
        return torch.stack(picked, 1)
