"""Folding of BatchNorm with frozen statistics into the convolution before it.

Training with frozen statistics is the same family of functions without BatchNorm, at 60 % of
the time on a CPU (measured on MN04: 0.9 s against 1.5 s for 12 scenes and their 60 crops).
"""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batchnorm(network: nn.Module) -> None:
    """Replace every (Conv2d, BatchNorm2d, ...) at the head of a Sequential by one Conv2d."""
    for child in network.children():
        if isinstance(child, nn.Sequential):
            match list(child.children())[:2]:
                case [nn.Conv2d() as convolution, nn.BatchNorm2d() as norm]:
                    fused = fuse_conv_bn_eval(convolution.eval(), norm.eval())
                    child[0], child[1] = fused.requires_grad_(True), nn.Identity()
        fold_batchnorm(child)
