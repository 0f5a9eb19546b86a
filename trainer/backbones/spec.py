"""What a backbone is: the interface that GL-AT, export and training know, and nothing more."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from glatd.trainer.frontend import FrontendSpec


class Backbone(nn.Module, ABC):
    """Log-mel frames -> feature -> clip logits and frame logits.

    Shapes: frames [B, T, M] float32 as the front end gives them (the backbone normalises them
    itself), feature [B, D, F], clip logits [B, C], frame logits [B, C, F]; F = `output_frames(T)`.
    """

    frontend: ClassVar[FrontendSpec]
    stride: ClassVar[int]  # mel frames an output frame
    feature_size: int  # D
    config: dict[str, int | float | str | bool]  # arguments that make the network again, and its name

    @property
    @abstractmethod
    def output(self) -> nn.Linear:
        """The last layer, a row a class: `logits` and `frame_logits` end in it, or in a pooling of what it says."""

    def output_frames(self, frames: int) -> int:
        """F for T mel frames: strided convolutions begin a last frame, poolings that drop a rest do not."""
        return -(-frames // self.stride)

    @abstractmethod
    def feature(self, frames: Tensor) -> Tensor:
        """Frame-wise feature X [B, D, F] of log-mel frames [B, T, M]."""

    @abstractmethod
    def logits(self, feature: Tensor) -> Tensor:
        """Pooling over time and classifier (paper eq. 1): [B, D, F] -> [B, C]."""

    @abstractmethod
    def frame_logits(self, feature: Tensor) -> Tensor:
        """The classifier applied to every frame, before the sigmoid: [B, D, F] -> [B, C, F]."""

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Clip logits [B, C] and frame logits [B, C, F]."""
        feature = self.feature(frames)
        return self.logits(feature), self.frame_logits(feature)

    def clip_logits(self, frames: Tensor) -> Tensor:
        """Clip logits [B, C] alone, for the local stream."""
        return self.logits(self.feature(frames))
