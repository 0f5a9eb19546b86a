"""ResNet38 of PANNs: a residual network of 16 basic blocks between two convolution blocks.

Source: `ResNet38`, `_ResNet` and `_ResnetBasicBlock` of audioset_tagging_cnn, see `panns`. 73.8 million parameters,
24.5 GMAC for 10 s.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glatd.trainer.backbones.panns import CONV_BLOCK, ConvBlock, PannsBackbone
from glatd.trainer.backbones.width import widened

LAYERS = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels and basic blocks
LAST = 2048  # channels
INNER_DROPOUT = 0.1  # between the convolutions of a basic block


def convolution(channels: int, out: int, kernel: int) -> nn.Conv2d:
    """Without bias, that leaves time and frequency as they are."""
    made = nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False)
    nn.init.xavier_uniform_(made.weight)
    return made


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which loses the frames that convolutions open on the left lose (`trunk`).

    Args:
        halves: whether time and frequency are halved, by average pooling in front of both ways.
        dropout: between the convolutions.
    """

    def __init__(self, channels: int, out: int, halves: bool, dropout: float) -> None:
        super().__init__()
        self.halves, self.dropout = halves, nn.Dropout(dropout)
        self.conv1 = convolution(channels, out, 3)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = convolution(out, out, 3)
        self.bn2 = nn.BatchNorm2d(out)
        nn.init.zeros_(self.bn2.weight)  # so that a new block passes on what it is given
        self.downsample = None
        if halves:
            self.downsample = nn.Sequential(nn.AvgPool2d(2), convolution(channels, out, 1), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.avg_pool2d(x, 2) if self.halves else x
        x = self.dropout(torch.relu(self.bn1(self.conv1(x))))
        x = self.bn2(self.conv2(x))
        return torch.relu(x + shortcut[:, :, shortcut.shape[2] - x.shape[2] :])


class ResNet(nn.Module):
    """The basic blocks, in four layers of so many channels; each but the first halves time and frequency."""

    def __init__(self, sizes: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        channels = sizes[0]
        for number, (out, (_, blocks)) in enumerate(zip(sizes, LAYERS, strict=True), 1):
            parts = []
            for index in range(blocks):
                parts.append(BasicBlock(channels, out, halves=number > 1 and index == 0, dropout=dropout))
                channels = out
            self.add_module(f"layer{number}", nn.Sequential(*parts))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class ResNet38(PannsBackbone):
    """ResNet38 for audio tagging.

    Args:
        classes: C, number of labels.
        dropout: whether to drop as published while training.
        width: by which numbers of channels are multiplied; 1 is as published.
    """

    stride = 32  # mel frames for one output frame: five poolings by 2
    layers = (
        *CONV_BLOCK,
        *((3, 1) for _ in range(2 * LAYERS[0][1])),
        *(layer for _, blocks in LAYERS[1:] for layer in ((2, 2), *blocks * ((3, 1), (3, 1)))),
        *((2, 2), (3, 1), (3, 1)),
    )

    def __init__(self, classes: int = 527, dropout: bool = True, width: float = 1.0) -> None:
        *sizes, last = widened([*(out for out, _ in LAYERS), LAST], width)
        super().__init__(classes, last, dropout)
        self.conv_block1 = ConvBlock(1, sizes[0])
        self.resnet = ResNet(tuple(sizes), INNER_DROPOUT if dropout else 0.0)
        self.conv_block_after1 = ConvBlock(sizes[-1], last, pool=1)
        self.config = {"name": "resnet38", "classes": classes, "dropout": dropout, "width": width}

    def maps(self, x: Tensor) -> Tensor:
        x = self.block_dropout(self.conv_block1(x))
        x = self.block_dropout(F.avg_pool2d(self.resnet(x), 2))
        out: Tensor = self.block_dropout(self.conv_block_after1(x))
        return out
