"""What a network knows of a sound before it names it: the vectors that its last layer is given."""

import torch
from torch import Tensor

from glatd.errors import ConfigError
from glatd.trainer.backbones.spec import Backbone


@torch.no_grad()
def hidden(backbone: Backbone, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Of log-mel frames [B, T, M]: one vector a clip [B, H], and one an output frame [B, F, H].

    A class is a row of the last layer over them, so a class can be added, or tried, without the network.

    Raises:
        ConfigError: a network that pools the scores of frames, and has no vector of a clip.
    """
    taken: list[Tensor] = []
    handle = backbone.output.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    try:
        backbone(frames)
    finally:
        handle.remove()
    of_clip, of_frames = taken
    if of_clip.dim() != 2:
        raise ConfigError(
            f"classes cannot be added to {backbone.config['name']!r}: it pools scores of frames; take another backbone"
        )
    return of_clip, of_frames
