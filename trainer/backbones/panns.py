"""What the networks of PANNs share: frames normalised by mel bin, convolution blocks, and the head.

Source: Kong et al., PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition,
2020, and qiuqiangkong/audioset_tagging_cnn `pytorch/models.py` (MIT). Parameter names are those of the
published checkpoints; their front end has no learned parts and is left out.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glatd.trainer.backbones.spec import Backbone, Layer
from glatd.trainer.frontend import PANNS_FRONTEND

BLOCK_DROPOUT = 0.2
HEAD_DROPOUT = 0.5
CONV_BLOCK: tuple[Layer, ...] = ((3, 1), (3, 1), (2, 2))  # the layers of `ConvBlock`, pooled by 2


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and ReLU, then average pooling.

    Args:
        channels: of the input.
        out: channels of the output.
        pool: by which time and frequency are divided; 1 leaves them.
    """

    def __init__(self, channels: int, out: int, pool: int = 2) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.bn2 = nn.BatchNorm2d(out)
        for convolution in (self.conv1, self.conv2):
            nn.init.xavier_uniform_(convolution.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return F.avg_pool2d(x, self.pool) if self.pool > 1 else x


class PannsBackbone(Backbone):
    """A network of PANNs: what is between `bn0` and the mean over frequency is the subclass's, in `maps`.

    Args:
        classes: C, number of labels.
        feature_size: D, channels of the last maps, and units of `fc1`.
        dropout: whether to drop as published while training, 0.2 after each block and 0.5 around `fc1`.
    """

    frontend = PANNS_FRONTEND
    head = ("fc1", "fc_audioset")

    def __init__(self, classes: int, feature_size: int, dropout: bool) -> None:
        super().__init__()
        # Not BatchNorm2d on transposed frames, as published: PyTorch's gradient of that is wrong on a CPU
        # where the frames are themselves a transposed view, as those of `Frontend` are.
        self.bn0 = nn.BatchNorm1d(self.frontend.n_mels)
        self.feature_size = feature_size
        self.fc1 = nn.Linear(feature_size, feature_size)
        self.fc_audioset = nn.Linear(feature_size, classes)
        for layer in (self.fc1, self.fc_audioset):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.block_dropout = nn.Dropout(BLOCK_DROPOUT if dropout else 0.0)
        self.head_dropout = nn.Dropout(HEAD_DROPOUT if dropout else 0.0)

    @property
    def output(self) -> nn.Linear:
        return self.fc_audioset

    def output_frames(self, frames: int) -> int:
        # Each pooling drops an odd frame: 1000 and 1001 frames give as many.
        return frames // self.stride

    @abstractmethod
    def maps(self, x: Tensor) -> Tensor:
        """Feature maps [B, D, F, bins] of normalised frames [B, 1, T, M]."""

    def trunk(self, frames: Tensor) -> Tensor:
        x: Tensor = self.bn0(frames.transpose(1, 2)).transpose(1, 2).unsqueeze(1)
        return self.maps(x).mean(3)

    def logits(self, feature: Tensor) -> Tensor:
        return self._classify(feature.amax(2) + feature.mean(2))

    def frame_logits(self, feature: Tensor) -> Tensor:
        return self._classify(feature.transpose(1, 2)).transpose(1, 2)

    def _classify(self, x: Tensor) -> Tensor:
        """Embedding and classes of [..., D]."""
        x = self.head_dropout(torch.relu(self.fc1(self.head_dropout(x))))
        found: Tensor = self.fc_audioset(x)
        return found
