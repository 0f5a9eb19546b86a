"""TALNet: ten convolutions and a recurrent layer, whose scores of frames are pooled into those of a clip.

Source: Wang, Li, Metze: A Comparison of Five Multiple Instance Learning Pooling Functions for Sound Event Detection
with Weak Labeling, ICASSP 2019, and MaigoAkisame/cmu-thesis `code/sequential/Net.py`. Its mel range, its normaliser and
its weights are not published with the code: it has the mel bins of PANNs here, 40 frames a second, each bin normalised
by BatchNorm, and begins at random.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.backbones.width import widened
from glatd.trainer.frontend import PANNS_FRONTEND

CHANNELS = (32, 64, 128, 256, 512)  # of both convolutions before a pooling
POOLS = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2))  # of time and frequency
UNITS = 512  # of the recurrent layer, each way
LEAST = 1e-7  # a score lies between it and 1 less it


class TALNet(Backbone):
    """TALNet for audio tagging and localisation: its class-wise activations are its scores of frames.

    Args:
        classes: C, number of labels.
        dropout: in front of the recurrent layer and of the classifier.
        width: by which numbers of channels are multiplied; 1 is as published.
    """

    frontend = replace(PANNS_FRONTEND, name="talnet", hop=800)
    head = ("classifier",)
    stride = 4  # mel frames for one output frame: two poolings by 2
    layers = tuple(layer for pool, _ in POOLS for layer in ((3, 1), (3, 1), (pool, pool)))  # up to the recurrent one

    def __init__(self, classes: int = 527, dropout: float = 0.0, width: float = 1.0) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm1d(self.frontend.n_mels)
        layers: list[nn.Module] = []
        channels, bins = 1, self.frontend.n_mels
        for out, pool in zip(widened(CHANNELS, width), POOLS, strict=True):
            for _ in range(2):
                layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
                nn.init.xavier_uniform_(layers[-3].weight)  # type: ignore[arg-type]
                channels = out
            layers.append(nn.MaxPool2d(pool))
            bins //= pool[1]
        self.convolutions = nn.Sequential(*layers)
        (units,) = widened([UNITS], width)
        self.gru = nn.GRU(channels * bins, units, batch_first=True, bidirectional=True)
        self.feature_size = 2 * units
        self.classifier = nn.Linear(self.feature_size, classes)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        for name, value in self.gru.named_parameters():
            nn.init.orthogonal_(value) if name.startswith("weight") else nn.init.zeros_(value)
        self.dropout = nn.Dropout(dropout)
        self.config = {"name": "talnet", "classes": classes, "dropout": dropout, "width": width}

    @property
    def output(self) -> nn.Linear:
        return self.classifier

    def output_frames(self, frames: int) -> int:
        # Each pooling drops an odd frame.
        return frames // self.stride

    @property
    def trunk_size(self) -> int:
        return self.gru.input_size

    def trunk(self, frames: Tensor) -> Tensor:
        x = self.bn0(frames.transpose(1, 2)).transpose(1, 2).unsqueeze(1)
        out: Tensor = self.convolutions(x).transpose(2, 3).flatten(1, 2)  # [B, channels x bins, F]
        return out

    def rest(self, kept: Tensor) -> Tensor:
        x, _ = self.gru(self.dropout(kept.transpose(1, 2)))
        out: Tensor = x.transpose(1, 2)
        return out

    def logits(self, feature: Tensor) -> Tensor:
        """The logit of the scores of frames under linear softmax pooling: sum of p^2 over sum of p."""
        p = self.frame_logits(feature).sigmoid().clamp(LEAST, 1 - LEAST)
        pooled = p.square().sum(2) / p.sum(2)
        return torch.logit(pooled, eps=LEAST)

    def frame_logits(self, feature: Tensor) -> Tensor:
        found: Tensor = self.classifier(self.dropout(feature.transpose(1, 2)))
        return found.transpose(1, 2)
