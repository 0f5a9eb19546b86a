"""CNN10 of PANNs: four blocks of two 3x3 convolutions on log-mel frames.

Source: `Cnn10` of audioset_tagging_cnn, see `panns`. 5,219,279 parameters, 14.1 GMAC for 10 s: a hundred times MN04.
"""

from torch import Tensor

from glatd.trainer.backbones.panns import CONV_BLOCK, ConvBlock, PannsBackbone
from glatd.trainer.backbones.width import widened

CHANNELS = (64, 128, 256, 512)


class CNN10(PannsBackbone):
    """CNN10 for audio tagging.

    Args:
        classes: C, number of labels.
        dropout: whether to drop as published while training.
        width: by which numbers of channels are multiplied; 1 is as published.
    """

    stride = 16  # mel frames for one output frame: four poolings by 2
    layers = 4 * CONV_BLOCK

    def __init__(self, classes: int = 527, dropout: bool = True, width: float = 1.0) -> None:
        channels = widened(CHANNELS, width)
        super().__init__(classes, channels[3], dropout)
        self.conv_block1 = ConvBlock(1, channels[0])
        self.conv_block2 = ConvBlock(channels[0], channels[1])
        self.conv_block3 = ConvBlock(channels[1], channels[2])
        self.conv_block4 = ConvBlock(channels[2], channels[3])
        self.config = {"name": "cnn10", "classes": classes, "dropout": dropout, "width": width}

    def maps(self, x: Tensor) -> Tensor:
        for block in (self.conv_block1, self.conv_block2, self.conv_block3, self.conv_block4):
            x = self.block_dropout(block(x))
        return x
