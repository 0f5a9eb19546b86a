"""The joint loss of the paper, and the frames that it is computed on."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.data.augment import masked, mixed_pairs
from glatd.trainer.data.examples import Example
from glatd.trainer.frontend import Frontend
from glatd.trainer.glat import Glat, in_float32
from glatd.trainer.losses import score_loss


class Frames(nn.Module):
    """Examples -> log-mel frames and targets, augmented. Always float32: powers overflow float16."""

    def __init__(self, backbone: Backbone, window: int, mixup: bool) -> None:
        super().__init__()
        # By factors: a quarter of the time of a convolution, and equal to it as far as anything is learned from.
        self.frontend = Frontend(replace(backbone.frontend, factored=True))
        self._window, self._mixup = window, mixup

    @torch.no_grad()
    def forward(self, batch: Example) -> tuple[Tensor, Tensor]:
        """Frames [B, window, M] and targets [B, C]; of 2 B examples where they are mixed."""
        frames = self.frontend.clip(batch.samples)[:, : self._window]
        frames = masked(frames, batch.time_stripes, batch.mel_stripes)
        if not self._mixup:
            return frames, batch.target
        return mixed_pairs(frames, batch.share), mixed_pairs(batch.target, batch.share)


def told_loss(scores: Tensor, target: Tensor) -> Tensor:
    """`score_loss` that is NaN where a score is: PyTorch's own stops the process, on a GPU without a word of why."""
    return score_loss(scores.nan_to_num(), target) + 0.0 * scores.sum()


class Joint(nn.Module):
    """GL-AT's loss: BCE(global) + BCE(local), both streams together (paper eq. 4 to 6)."""

    def __init__(self, network: Glat) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Losses by name, of frames [B, window, M] and targets [B, C]."""
        output = self.network(frames, torch.zeros(len(frames), dtype=torch.int64, device=frames.device))
        with in_float32(frames):
            return {
                "global": F.binary_cross_entropy_with_logits(output.global_logits, target),
                "local": told_loss(output.local_scores, target),
            }


class Alone(nn.Module):
    """A backbone's own loss, on the whole clip."""

    def __init__(self, network: Backbone) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, target: Tensor) -> dict[str, Tensor]:
        """As of `Joint`."""
        feature = self.network.feature(frames)
        with in_float32(feature):
            return {"global": F.binary_cross_entropy_with_logits(self.network.logits(feature.float()), target)}
