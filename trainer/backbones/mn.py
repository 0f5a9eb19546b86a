"""MN: MobileNetV3-Large on log-mel frames, at any width (EfficientAT).

Source: fschmid56/EfficientAT `models/mn/model.py` and `block_types.py` (MIT, (c) 2022 Florian
Schmid); MobileNetV3: Howard et al., ICCV 2019. Parameter names are those of the published
checkpoints, so that a state dict of `mn04_as` loads as it is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glatd.trainer.backbones.folding import fold_batchnorm
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.frontend import MN_FRONTEND

HEAD_UNITS = 1280  # hidden units of the classifier at width 1 (MobileNetV3-Large)
LAST_EXPANSION = 6  # the last 1x1 convolution has 6 x the channels of the last block
SE_REDUCTION = 4


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One inverted residual block of MobileNetV3-Large, channels at width 1."""

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    hardswish: bool
    stride: int


FIRST_CHANNELS = 16
BLOCKS = (
    BlockSpec(3, 16, 16, False, False, 1),
    BlockSpec(3, 64, 24, False, False, 2),
    BlockSpec(3, 72, 24, False, False, 1),
    BlockSpec(5, 72, 40, True, False, 2),
    BlockSpec(5, 120, 40, True, False, 1),
    BlockSpec(5, 120, 40, True, False, 1),
    BlockSpec(3, 240, 80, False, True, 2),
    BlockSpec(3, 200, 80, False, True, 1),
    BlockSpec(3, 184, 80, False, True, 1),
    BlockSpec(3, 184, 80, False, True, 1),
    BlockSpec(3, 480, 112, True, True, 1),
    BlockSpec(3, 672, 112, True, True, 1),
    BlockSpec(5, 672, 160, True, True, 2),
    BlockSpec(5, 960, 160, True, True, 1),
    BlockSpec(5, 960, 160, True, True, 1),
)


def divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, never more than 10 % below it."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def conv(
    channels: int,
    out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    """Convolution without bias, BatchNorm (eps 1e-3, momentum 0.01), activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3, momentum=0.01),
    ]
    if activation is not None:
        layers.append(activation(inplace=True))
    return nn.Sequential(*layers)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from its mean over frequency and time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = divisible(channels // SE_REDUCTION)
        self.fc1 = nn.Linear(channels, squeezed)
        self.fc2 = nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class ConcurrentSqueezeExcitation(nn.Module):
    """The published model's wrapper; `mn*_as` has the channel-wise gate alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([SqueezeExcitation(channels)])

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = self.conc_se_layers[0](x)
        return gated


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, squeeze-excitation, 1x1 projection."""

    def __init__(self, channels: int, spec: BlockSpec, width: float) -> None:
        super().__init__()
        expanded, out = divisible(spec.expanded * width), divisible(spec.out * width)
        activation = nn.Hardswish if spec.hardswish else nn.ReLU
        layers: list[nn.Module] = []
        if expanded != channels:
            layers.append(conv(channels, expanded, activation=activation))
        layers.append(conv(expanded, expanded, spec.kernel, spec.stride, expanded, activation))
        if spec.squeeze:
            layers.append(ConcurrentSqueezeExcitation(expanded))
        layers.append(conv(expanded, out))
        self.block = nn.Sequential(*layers)
        self.residual = spec.stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.residual else y


class MN(Backbone):
    """MobileNetV3-Large x `width` for audio tagging.

    Args:
        classes: C, number of labels.
        width: channel multiplier; 0.4 is `mn04_as` (983,599 parameters).
        dropout: of the classifier's hidden layer.
        folded: without BatchNorm, which is folded into the convolutions (see `folding`).
    """

    frontend = MN_FRONTEND
    head = ("classifier",)
    stride = 32  # mel frames for one output frame: five strides of 2

    def __init__(self, classes: int = 527, width: float = 0.4, dropout: float = 0.2, folded: bool = False) -> None:
        super().__init__()
        first = divisible(FIRST_CHANNELS * width)
        layers: list[nn.Module] = [conv(1, first, 3, 2, activation=nn.Hardswish)]
        channels = first
        for spec in BLOCKS:
            layers.append(InvertedResidual(channels, spec, width))
            channels = divisible(spec.out * width)
        feature = LAST_EXPANSION * channels
        layers.append(conv(channels, feature, activation=nn.Hardswish))
        hidden = divisible(HEAD_UNITS * width)
        self.features = nn.Sequential(*layers)
        # Entries 0 and 1 are the published pooling and flattening, which have no parameters.
        self.classifier = nn.Sequential(
            nn.Identity(),
            nn.Identity(),
            nn.Linear(feature, hidden),
            nn.Hardswish(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        self.feature_size = feature
        self.config = {
            "name": "mn",
            "classes": classes,
            "width": width,
            "dropout": dropout,
            "folded": folded,
        }
        if folded:
            fold_batchnorm(self)

    @property
    def output(self) -> nn.Linear:
        layer = self.classifier[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    def feature(self, frames: Tensor) -> Tensor:
        x = (frames + 4.5) / 5  # the published normalisation of the log-mel
        maps: Tensor = self.features(x.transpose(1, 2).unsqueeze(1))
        return maps.mean(2)

    def logits(self, feature: Tensor) -> Tensor:
        out: Tensor = self.classifier(feature.mean(2))
        return out

    def frame_logits(self, feature: Tensor) -> Tensor:
        out: Tensor = self.classifier(feature.transpose(1, 2))
        return out.transpose(1, 2)
