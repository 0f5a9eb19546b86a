"""The losses of the first training: the paper's two, and what makes them work from few clips.

- BCE(global) + BCE(local), on the weak labels (paper eq. 4 to 6).
- Distillation: where no training clip carries a class, the frozen base model is the truth, on
  the mixed scene for the global stream and on each crop for the local stream. Where one does,
  the base model's opinion of the isolated events fills in what the labels leave out.
- BCE(fused): the published fusion is no mean, so streams that are each right can be wrong together.
- Localisation: frame scores against when each sound was mixed in, since untrained frame scores
  select hardly better crops than chance; and each crop against what sounds in it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from glatd.trainer.glat import GlatOutput
from glatd.trainer.recipe import LossSpec

CROP_OVERLAP = 8_000  # samples (0.25 s) of an event, or half of it, make it part of a crop


@dataclass(frozen=True, slots=True)
class Targets:
    """What a batch of scenes should be called."""

    events: Tensor  # [B, E, C] score that each event deserves; 0 where there is no event
    spans: Tensor  # [B, E, 2] samples of the scene
    scene: Tensor  # [B, C] the base model's scores of the mixed scene
    trained: Tensor  # [C] bool, classes that some training clip carries

    def weak(self) -> Tensor:
        """[B, C]: labels and opinions of the isolated events; the scene's where untrained."""
        return torch.where(self.trained, self.events.amax(1), self.scene)

    def frames(self, count: int, samples: int) -> Tensor:
        """[B, C, count]: each event's scores while it lasts; a frame is `samples` long."""
        start = torch.arange(count) * samples
        overlap = torch.minimum(self.spans[:, :, 1:], start + samples) - torch.maximum(self.spans[:, :, :1], start)
        active = (overlap.clamp(min=0) / samples).float()
        return (self.events[:, :, :, None] * active[:, :, None, :]).amax(1)

    def crops(self, starts: Tensor, samples: int) -> Tensor:
        """[B, K, C]: scores of the events heard in each crop of `samples` from `starts` [B, K]."""
        begin, end = self.spans[:, None, :, 0], self.spans[:, None, :, 1]
        first = starts[:, :, None]
        overlap = torch.minimum(end, first + samples) - torch.maximum(begin, first)
        needed = torch.minimum(torch.tensor(CROP_OVERLAP), (end - begin) // 2)
        heard = ((overlap >= needed) & (end > begin)).float()
        return (self.events[:, None] * heard[..., None]).amax(2)


def score_loss(scores: Tensor, target: Tensor) -> Tensor:
    """BCE of scores that are no plain sigmoid (a fusion of several)."""
    return F.binary_cross_entropy(scores.clamp(1e-6, 1 - 1e-6), target)


def losses(
    output: GlatOutput, targets: Targets, teacher_crops: Tensor, spec: LossSpec, hop: int, stride: int
) -> dict[str, Tensor]:
    """Every loss by name, weighted; their sum is minimised.

    Args:
        teacher_crops: [B, K, C] the base model's scores of the same crops.
        hop, stride: samples a mel frame, mel frames an output frame.
    """
    weak = targets.weak()
    crop_samples = output.crops.shape[2] * hop
    heard = torch.where(targets.trained, targets.crops(output.starts * hop, crop_samples), teacher_crops)
    # What the local stream can say of an untrained class is what the teacher says of its crops.
    local_target = torch.where(targets.trained, weak, 0.5 * (teacher_crops.amax(1) + teacher_crops.mean(1)))
    frames = targets.frames(output.frame_logits.shape[2], hop * stride)
    return {
        "global": F.binary_cross_entropy_with_logits(output.global_logits, weak),
        "local": score_loss(output.local_scores, local_target),
        "fused": spec.fused
        * score_loss(output.scores, torch.where(targets.trained, weak, 0.5 * (weak + local_target))),
        "frame": spec.frame * F.binary_cross_entropy_with_logits(output.frame_logits, frames),
        "crop": spec.crop * F.binary_cross_entropy_with_logits(output.crop_logits, heard),
    }
