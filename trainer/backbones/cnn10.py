"""CNN10 of PANNs: four blocks of two 3x3 convolutions on log-mel frames.

Source: Kong et al., PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition,
2020, and qiuqiangkong/audioset_tagging_cnn `pytorch/models.py` (`Cnn10`, MIT). Parameter names are those
of the published checkpoints; their front end has no learned parts and is left out.

5,219,279 parameters, 14.1 GMAC for 10 s: a hundred times MN04.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.frontend import PANNS_FRONTEND

CHANNELS = (64, 128, 256, 512)
BLOCK_DROPOUT = 0.2
HEAD_DROPOUT = 0.5


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and ReLU, then 2x2 average pooling: time and frequency are halved."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.bn2 = nn.BatchNorm2d(out)
        for convolution in (self.conv1, self.conv2):
            nn.init.xavier_uniform_(convolution.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return F.avg_pool2d(x, 2)


class CNN10(Backbone):
    """CNN10 for audio tagging.

    Args:
        classes: C, number of labels.
        dropout: whether to drop as published while training, 0.2 after each block and 0.5 around `fc1`.
    """

    frontend = PANNS_FRONTEND
    stride = 16  # mel frames for one output frame: four poolings by 2

    def __init__(self, classes: int = 527, dropout: bool = True) -> None:
        super().__init__()
        # Not BatchNorm2d on transposed frames, as published: PyTorch's gradient of that is wrong on a CPU
        # where the frames are themselves a transposed view, as those of `Frontend` are.
        self.bn0 = nn.BatchNorm1d(self.frontend.n_mels)
        self.conv_block1 = ConvBlock(1, CHANNELS[0])
        self.conv_block2 = ConvBlock(CHANNELS[0], CHANNELS[1])
        self.conv_block3 = ConvBlock(CHANNELS[1], CHANNELS[2])
        self.conv_block4 = ConvBlock(CHANNELS[2], CHANNELS[3])
        self.feature_size = CHANNELS[3]
        self.fc1 = nn.Linear(self.feature_size, self.feature_size)
        self.fc_audioset = nn.Linear(self.feature_size, classes)
        for layer in (self.fc1, self.fc_audioset):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.block_dropout = nn.Dropout(BLOCK_DROPOUT if dropout else 0.0)
        self.head_dropout = nn.Dropout(HEAD_DROPOUT if dropout else 0.0)
        self.config = {"name": "cnn10", "classes": classes, "dropout": dropout}

    def output_frames(self, frames: int) -> int:
        # Each pooling drops an odd frame: 1000 and 1001 frames both give 62.
        return frames // self.stride

    def feature(self, frames: Tensor) -> Tensor:
        x: Tensor = self.bn0(frames.transpose(1, 2)).transpose(1, 2).unsqueeze(1)
        for block in (self.conv_block1, self.conv_block2, self.conv_block3, self.conv_block4):
            x = self.block_dropout(block(x))
        return x.mean(3)

    def logits(self, feature: Tensor) -> Tensor:
        return self._classify(feature.amax(2) + feature.mean(2))

    def frame_logits(self, feature: Tensor) -> Tensor:
        return self._classify(feature.transpose(1, 2)).transpose(1, 2)

    def _classify(self, x: Tensor) -> Tensor:
        """Embedding and classes of [..., D]."""
        x = self.head_dropout(torch.relu(self.fc1(self.head_dropout(x))))
        found: Tensor = self.fc_audioset(x)
        return found
