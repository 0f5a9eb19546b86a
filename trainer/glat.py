"""GL-AT: the two-stream network (paper section 2.1), over any backbone."""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from glatd.errors import ConfigError
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.choosing import RULES
from glatd.trainer.selection import Grid, Selection, clip_grid, known, stream_grid


@dataclass(frozen=True, slots=True)
class GlatSpec:
    """Sizes of the method; the paper's are 10 s, 3 s and K = 5."""

    window: int = 1000  # mel frames of the global stream
    crop: int = 300  # tau, mel frames of the local stream
    crops: int = 5  # K = N
    grid: Literal["clip", "stream"] = "clip"  # "clip": as published
    classifier: Literal["separate", "shared"] = "separate"  # whether both streams have one classifier
    # Which crops: one a class, as published; one a sound (see `choosing`); or, while training, by chance.
    choose: Literal["classes", "sounds", "random"] = "classes"


def pool(scores: Tensor, dim: int) -> Tensor:
    """0.5 * (max + mean) along `dim`: over the crops (paper eq. 3), and over the two streams."""
    return 0.5 * (scores.amax(dim) + scores.mean(dim))


def fuse(global_scores: Tensor, local_scores: Tensor) -> Tensor:
    """Final scores of both streams [B, C], per class."""
    return pool(torch.stack([global_scores, local_scores]), 0)


def cut(frames: Tensor, starts: Tensor, length: int) -> Tensor:
    """Crops [B, K, length, M] of frames [B, T, M] at mel frames `starts` [B, K]."""
    index = starts[:, :, None] + torch.arange(length, device=frames.device)
    batch = torch.arange(frames.shape[0], device=frames.device)[:, None, None]
    return frames[batch, index]


def in_float32(like: Tensor) -> torch.autocast:
    """Classifiers and selection are exact at every precision: in the block, nothing is cast down."""
    return torch.autocast(like.device.type, enabled=False)


@dataclass(frozen=True, slots=True)
class GlatOutput:
    """What the network says of a batch of windows."""

    global_logits: Tensor  # [B, C]
    frame_logits: Tensor  # [B, C, F]
    crop_logits: Tensor  # [B, K, C]
    crops: Tensor  # [B, K, crop, M] log-mel
    starts: Tensor  # [B, K] mel frames
    classes: Tensor  # [B, K]

    @property
    def global_scores(self) -> Tensor:
        """Paper eq. 2."""
        return self.global_logits.sigmoid()

    @property
    def local_scores(self) -> Tensor:
        """Paper eq. 3."""
        return pool(self.crop_logits.sigmoid(), 1)

    @property
    def scores(self) -> Tensor:
        """Fused."""
        return fuse(self.global_scores, self.local_scores)


class Glat(nn.Module):
    """Global stream, selection, local stream. The local stream starts as a copy of the global.

    With `classifier = "shared"` both streams end in the same modules; the paper's text allows either reading.

    Raises:
        ConfigError: a classifier is to be shared, and the backbone does not say what it is.
    """

    def __init__(self, backbone: Backbone, spec: GlatSpec) -> None:
        super().__init__()
        self.spec = spec
        self.global_stream = backbone
        self.local_stream = copy.deepcopy(backbone)
        if spec.classifier == "shared":
            if not backbone.head:
                raise ConfigError(f"{type(backbone).__name__} names no classifier that streams could share")
            for name in backbone.head:
                setattr(self.local_stream, name, getattr(backbone, name))
        self.select = self.selection(spec.grid)

    def grid(self, name: str) -> Grid:
        """The table of crops of grid `name` for these sizes."""
        spec, backbone = self.spec, self.global_stream
        frames = backbone.output_frames(spec.window)
        if name == "stream":
            return stream_grid(frames, spec.window, spec.crop, backbone.stride)
        hop = backbone.frontend.hop
        return clip_grid(frames, spec.window * hop, spec.crop * hop)

    def selection(self, grid: str, choose: str | None = None) -> Selection:
        """What chooses crops on grid `grid`: by the spec's rule, or another of `choosing.RULES`.

        A network that was trained by random crops chooses as published: what is judged and exported is deterministic.
        """
        return RULES[choose or self.spec.choose](self.grid(grid), self.spec.crops)

    def starts_in_frames(self, starts: Tensor) -> Tensor:
        """Crop starts in mel frames; the published rule's samples are rounded to the nearest."""
        if self.select.grid.unit == "frame":
            return starts
        hop = self.global_stream.frontend.hop
        return (starts + hop // 2) // hop

    def audible(self, silent: Tensor, frames: int) -> Tensor:
        """[B, F] bool: output frames whose middle lies at or after mel frame `silent` [B]."""
        stride = self.global_stream.stride
        middles = torch.arange(frames, device=silent.device) * stride + stride // 2
        return middles >= silent[:, None]

    def forward(self, frames: Tensor, silent: Tensor) -> GlatOutput:
        """Both streams.

        Args:
            frames: log-mel [B, window, M] float32.
            silent: [B] int64, mel frames at the start of each window that are not real audio.
        """
        feature = self.global_stream.feature(frames)
        with in_float32(feature):
            feature = feature.float()
            global_logits, frame_logits = self.global_stream.logits(feature), self.global_stream.frame_logits(feature)
        audible = self.audible(silent, frame_logits.shape[2])
        # Of what is no number the losses tell.
        starts, classes, _ = self.select(known(global_logits), known(frame_logits), audible)
        starts = self.starts_in_frames(starts)
        if self.training and self.spec.choose == "random":
            starts = torch.randint_like(starts, self.spec.window - self.spec.crop + 1)
        crops = cut(frames, starts, self.spec.crop)
        feature = self.local_stream.feature(crops.flatten(0, 1))
        with in_float32(feature):
            crop_logits = self.local_stream.logits(feature.float())
        crop_logits = crop_logits.unflatten(0, starts.shape)
        return GlatOutput(global_logits, frame_logits, crop_logits, crops, starts, classes)
