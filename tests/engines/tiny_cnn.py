"""A small CNN10 for tests of engines: four blocks, few channels, the same reach and the same geometry."""

import torch
from torch import Tensor, nn

from glatd.trainer.backbones.panns import CONV_BLOCK, ConvBlock, PannsBackbone

CHANNELS = (2, 4, 4, 8)


class TinyCNN(PannsBackbone):
    """CNN10 with 2 to 8 channels. Weights are drawn so that scores and activations lie far apart."""

    stride = 16
    layers = 4 * CONV_BLOCK

    def __init__(self, classes: int = 527) -> None:
        super().__init__(classes, CHANNELS[-1], dropout=False)
        self.blocks = nn.Sequential(
            *(ConvBlock(channels, out) for channels, out in zip((1, *CHANNELS[:-1]), CHANNELS, strict=True))
        )
        self.config = {"name": "tiny_cnn", "classes": classes}
        with torch.no_grad():
            self.bn0.running_mean.fill_(-60.0)  # type: ignore[union-attr]
            self.bn0.running_var.fill_(900.0)  # type: ignore[union-attr]
            for block in self.blocks.modules():
                if isinstance(block, nn.BatchNorm2d):
                    block.bias.uniform_(-0.1, 0.3)
            self.fc_audioset.weight.normal_(0.0, 2.0)
            self.fc_audioset.bias.normal_(-3.0, 2.0)

    def maps(self, x: Tensor) -> Tensor:
        made: Tensor = self.blocks(x)
        return made
