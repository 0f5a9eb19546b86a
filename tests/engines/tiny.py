"""A small backbone for tests of engines: the whole interface, two layers, exported in seconds."""

import torch
from torch import Tensor, nn

from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.frontend import MN_FRONTEND


class Tiny(Backbone):
    """One convolution over time with the stride of MN, and a linear classifier.

    Weights are drawn so that scores and activations lie far apart: with a random MN they tie, and which of two equal
    frames is chosen says nothing.
    """

    frontend = MN_FRONTEND
    stride = 32

    def __init__(self, classes: int = 527) -> None:
        super().__init__()
        self.feature_size = 16
        self.conv = nn.Conv1d(self.frontend.n_mels, self.feature_size, 33, self.stride, 16)
        self.classify = nn.Linear(self.feature_size, classes)
        self.config = {"name": "tiny", "classes": classes}
        with torch.no_grad():
            self.conv.weight.normal_(0.0, 0.02)
            self.classify.weight.normal_(0.0, 1.0)

    @property
    def output(self) -> nn.Linear:
        return self.classify

    def feature(self, frames: Tensor) -> Tensor:
        return torch.tanh(self.conv(((frames + 4.5) / 5).transpose(1, 2)))

    def logits(self, feature: Tensor) -> Tensor:
        found: Tensor = self.classify(feature.mean(2))
        return found

    def frame_logits(self, feature: Tensor) -> Tensor:
        found: Tensor = self.classify(feature.transpose(1, 2))
        return found.transpose(1, 2)
