"""What a backbone is: the interface that GL-AT, export and training know, and nothing more."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from glatd.trainer.frontend import FrontendSpec

Layer = tuple[int, int]  # kernel and stride in time


@dataclass(frozen=True, slots=True)
class Reach:
    """What output frame t of a stack of layers sees: input frames [stride t - left, stride (t + 1) + right)."""

    stride: int
    left: int
    right: int


def reach(layers: Sequence[Layer]) -> Reach:
    """Of convolutions of odd kernels, centred, and of poolings, whose kernel is their stride; from input to output."""
    stride, left, right = 1, 0, 0
    for kernel, step in layers:
        if step == 1:
            left, right = left + kernel // 2 * stride, right + kernel // 2 * stride
        elif step == kernel:
            stride *= step
        else:
            raise ValueError(f"kernel {kernel} at stride {step} is neither a centred convolution nor a pooling")
    return Reach(stride, left, right)


class Backbone(nn.Module, ABC):
    """Log-mel frames -> feature -> clip logits and frame logits.

    Shapes: frames [B, T, M] float32 as the front end gives them (the backbone normalises them
    itself), feature [B, D, F], clip logits [B, C], frame logits [B, C, F]; F = `output_frames(T)`.

    A network whose first part is a stack of convolutions may say so: then that part, its trunk, need not be computed
    again for frames that a stream has had before (see `glatd.trainer.trunk`). `layers` is what the trunk is made of,
    `trunk` computes it, `trunk_size` E is what it gives a frame, and `feature` is `rest(trunk(frames))`.
    """

    frontend: ClassVar[FrontendSpec]
    stride: ClassVar[int]  # mel frames an output frame
    layers: ClassVar[tuple[Layer, ...]] = ()  # of the trunk, from input to output; empty: it has none
    head: ClassVar[tuple[str, ...]] = ()  # modules that make up the classifier, which streams may share
    feature_size: int  # D
    config: dict[str, int | float | str | bool]  # arguments that make the network again, and its name

    @property
    @abstractmethod
    def output(self) -> nn.Linear:
        """The last layer, a row a class: `logits` and `frame_logits` end in it, or in a pooling of what it says."""

    def output_frames(self, frames: int) -> int:
        """F for T mel frames: strided convolutions begin a last frame, poolings that drop a rest do not."""
        return -(-frames // self.stride)

    @property
    def trunk_size(self) -> int:
        """E, values that the trunk gives an output frame."""
        return self.feature_size

    def trunk(self, frames: Tensor) -> Tensor:
        """What the trunk makes of log-mel frames [B, T, M]: [B, E, F]."""
        raise NotImplementedError(f"{type(self).__name__} has no trunk")

    def rest(self, kept: Tensor) -> Tensor:
        """Frame-wise feature X [B, D, F] of what the trunk gave, [B, E, F]."""
        return kept

    def feature(self, frames: Tensor) -> Tensor:
        """Frame-wise feature X [B, D, F] of log-mel frames [B, T, M]; of a network without a trunk its own."""
        return self.rest(self.trunk(frames))

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
