"""AT-SCA: CNN10 with channel-wise and spatial attention behind each of its blocks.

Source: Hong, Zou, Wang, Cao: Weakly Labelled Audio Tagging Via Convolutional Networks with Spatial and Channel-Wise
Attention, ICASSP 2020; its code is not public. The paper's: channel-wise attention that picks what sounds, spatial
attention of a global part that picks regions of time and frequency and of a local part that picks onsets and offsets in
time, both light enough to go into any network. Chosen here, since the paper leaves it open: the network is CNN10, the
channels' gate is that of squeeze-and-excitation (reduction 16), the global part a 7x7 convolution over the mean and the
maximum of the channels (as in CBAM), the local part a convolution of 9 frames over their mean over frequency, and their
gates are multiplied.
"""

import torch
from torch import Tensor, nn

from glatd.trainer.backbones.cnn10 import CHANNELS
from glatd.trainer.backbones.panns import ConvBlock, PannsBackbone
from glatd.trainer.backbones.width import widened

REDUCTION = 16
REGION = 7  # frames and mel bins
AROUND = 9  # frames


class ChannelAttention(nn.Module):
    """Scales each channel by a gate computed from its mean over time and frequency: which sounds."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // REDUCTION)
        self.squeeze = nn.Linear(channels, squeezed)
        self.excite = nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class SpatialAttention(nn.Module):
    """Scales each place by two gates: of its region of time and frequency, and of its moment in time."""

    def __init__(self) -> None:
        super().__init__()
        self.region = nn.Conv2d(2, 1, REGION, padding=REGION // 2)
        self.moment = nn.Conv1d(2, 1, AROUND, padding=AROUND // 2)

    def forward(self, x: Tensor) -> Tensor:
        over = torch.stack([x.mean(1), x.amax(1)], 1)  # [B, 2, time, frequency]
        region = torch.sigmoid(self.region(over))
        moment = torch.sigmoid(self.moment(over.mean(3)))
        return x * region * moment[:, :, :, None]


class AttentiveBlock(nn.Module):
    """A block of CNN10, then attention to its channels, then to its places."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.block = ConvBlock(channels, out)
        self.channel = ChannelAttention(out)
        self.spatial = SpatialAttention()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.spatial(self.channel(self.block(x)))
        return out


class ATSCA(PannsBackbone):
    """CNN10 with spatial and channel-wise attention.

    Args:
        classes: C, number of labels.
        dropout: whether to drop as CNN10 does while training.
        width: by which numbers of channels are multiplied; 1 is as published.
    """

    stride = 16  # mel frames for one output frame: four poolings by 2

    def __init__(self, classes: int = 527, dropout: bool = True, width: float = 1.0) -> None:
        sizes = widened(CHANNELS, width)
        super().__init__(classes, sizes[-1], dropout)
        self.blocks = nn.ModuleList(
            AttentiveBlock(channels, out) for channels, out in zip((1, *sizes[:-1]), sizes, strict=True)
        )
        self.config = {"name": "at_sca", "classes": classes, "dropout": dropout, "width": width}

    def maps(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = self.block_dropout(block(x))
        return x
