"""Part of the way back: a trained network between its base model and where training took it.

A few hundred clips of few kinds of sound teach a network that the world holds nothing else: fully
trained, a real train was rain to it. Between the two sets of weights lies a network that has most
of what was learnt and most of what was known (Wortsman et al., Robust fine-tuning of zero-shot
models, CVPR 2022). The global stream, which decides what the local one looks for among all 527
classes, stays nearer to the base model.
"""

import torch

from glatd.trainer.glat import Glat
from glatd.trainer.recipe import BlendSpec


@torch.no_grad()
def blend(model: Glat, base: Glat, spec: BlendSpec) -> None:
    """Move the weights of `model` towards those of `base`, in place; both have the same shapes."""
    for trained, known, share in (
        (model.global_stream, base.global_stream, spec.global_stream),
        (model.local_stream, base.local_stream, spec.local_stream),
    ):
        start = known.state_dict()
        for name, value in trained.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.lerp(start[name], value, share))
