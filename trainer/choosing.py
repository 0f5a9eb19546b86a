"""Rules by which crops are chosen: the paper's, one crop a class (see `selection`), and one crop a sound.

The classes with the highest scores are often one sound and its parents in the ontology (Dog, Domestic animals, Animal),
and their crops crowd around it. So here what a class is worth at a frame, its score times its activation, counts less
where a crop looks already, by the share that both have of a crop, and less for a class whose activations rise and
fall as those of a chosen class do, by the square of the cosine between both: that is the same sound by another name.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from glatd.trainer.selection import Grid, Selection, first_maximum

LEAST = 1e-12  # of a norm


class SoundSelection(Selection):
    """Picks K crops a window, one a sound. As `Selection`, of which the first k crops are the choice for k < K, too."""

    shared: Tensor

    def __init__(self, grid: Grid, crops: int) -> None:
        super().__init__(grid, crops)
        starts = torch.tensor(grid.starts, dtype=torch.float32)
        apart = (starts[:, None] - starts).abs() / grid.length
        self.register_buffer("shared", (1.0 - apart).clamp(min=0.0), persistent=False)  # share of a crop, [F, F]

    @torch.no_grad()
    def forward(self, logits: Tensor, frame_logits: Tensor, audible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes as of `Selection`. Frames that are no real audio are taken last of all."""
        activations = frame_logits.sigmoid()
        worth = logits.sigmoid()[:, :, None] * activations
        curves = activations / activations.square().sum(2, keepdim=True).sqrt().clamp(min=LEAST)
        unseen = torch.ones_like(activations[:, 0])  # [B, F], share of a crop there that no crop has
        places = torch.arange(logits.shape[1], device=logits.device)
        classes, middles = [], []
        for _ in range(self.crops):
            left = torch.where(audible[:, None], worth * unseen[:, None], -1.0)
            chosen = first_maximum(left.amax(2))
            index = chosen[:, None, None].expand(-1, 1, left.shape[2])
            middle = first_maximum(left.gather(1, index).squeeze(1))
            classes.append(chosen)
            middles.append(middle)
            unseen = torch.minimum(unseen, 1.0 - self.shared[middle])
            alike = (curves * curves.gather(1, index)).sum(2).square()
            other = torch.where(places == chosen[:, None], 0.0, (1.0 - alike).clamp(min=0.0))
            worth = worth * other[:, :, None]
        found = torch.stack(middles, 1)
        return self.starts[found], torch.stack(classes, 1), found


RULES: Mapping[str, type[Selection]] = {"classes": Selection, "sounds": SoundSelection, "random": Selection}
