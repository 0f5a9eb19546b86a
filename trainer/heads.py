"""What the networks make of a feature, as graphs: scores, activations and the crops to look at."""

from torch import Tensor, nn

from glatd.trainer.glat import Glat


class GlobalHead(nn.Module):
    """What a trunk made of 10 s -> scores, activations and the crops to look at."""

    def __init__(self, model: Glat, grid: str) -> None:
        super().__init__()
        self.stream = model.global_stream
        self.select = model.selection(grid)

    def look(self, feature: Tensor, audible: Tensor) -> tuple[Tensor, ...]:
        """Feature [B, D, F] and audible [B, F] (1.0 or 0.0) float32 -> scores [B, C], activations [B, C, F], and
        starts (mel frames of the window), classes and middles [B, K]."""
        logits, frame_logits = self.stream.logits(feature), self.stream.frame_logits(feature)
        starts, classes, middles = self.select(logits, frame_logits, audible > 0.5)
        if self.select.grid.unit == "sample":
            hop = self.stream.frontend.hop
            starts = (starts + hop // 2) // hop
        return logits.sigmoid(), frame_logits.sigmoid(), starts, classes, middles

    def forward(self, kept: Tensor, audible: Tensor) -> tuple[Tensor, ...]:
        """Output frames of a trunk [B, F, E]; the rest as of `look`."""
        return self.look(self.stream.rest(kept.transpose(1, 2)), audible)


class LocalHead(nn.Module):
    """What a trunk made of one crop -> scores."""

    def __init__(self, model: Glat) -> None:
        super().__init__()
        self.stream = model.local_stream

    def look(self, feature: Tensor) -> Tensor:
        """Feature [B, D, F] -> scores [B, C]."""
        return self.stream.logits(feature).sigmoid()

    def forward(self, kept: Tensor) -> Tensor:
        """Output frames of a trunk [B, F, E] -> scores [B, C]."""
        return self.look(self.stream.rest(kept.transpose(1, 2)))
