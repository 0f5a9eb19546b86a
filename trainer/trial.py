"""How well new sounds are told from others: on recordings that were kept out, and where their threshold belongs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glatd.engines.ranking import average_precision
from glatd.trainer.glat import fuse
from glatd.trainer.placing import Material, Vectors
from glatd.trainer.rows import Rows, fit_rows

FOLDS = 5
DECAYS = (1.0, 0.1, 0.01, 0.001)
HEARD = 0.5  # score at which a sound counts as heard, and so the threshold that new rows are shifted to
# Windows without a sound are by far the more: a false alarm weighs as much as so many sounds missed.
FALSE_ALARM = 20.0


@dataclass(frozen=True, slots=True)
class Heads:
    """Rows of both streams' last layers."""

    window: Rows  # of the global stream, over windows and output frames
    crop: Rows  # of the local stream

    def shifted(self, by: Tensor) -> "Heads":
        """With `by` [S] added to every logit."""
        return Heads(self.window.shifted(by), self.crop.shifted(by))


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out for one sound, from fits that had never heard the recordings they were asked about."""

    name: str
    recordings: int
    heard: int  # recordings of which half the scenes or more were heard
    scenes: float  # share of the scenes that were heard
    false_alarms: float  # share of the windows of other sounds in which it was heard
    precision: float  # average precision of its scenes among all other windows


def fit_heads(material: Material, decay: float, left_out: Tensor | None = None) -> Heads:
    """Fit both streams' rows, on all scenes or without some ([scenes] bool)."""

    def kept(*parts: Vectors) -> tuple[Tensor, Tensor]:
        values, labels = torch.cat([part.values for part in parts]), torch.cat([part.labels for part in parts])
        if left_out is None:
            return values, labels
        inside = ~left_out[torch.cat([part.scene for part in parts])]
        return values[inside], labels[inside]

    window = fit_rows(*kept(material.windows, material.frames), decay)
    return Heads(window, fit_rows(*kept(material.crops), decay))


def scores(heads: Heads, material: Material) -> Tensor:
    """Fused scores [scenes, S], by the method's own pooling over the crops that were kept."""
    count = len(material.windows.scene)
    windows = torch.empty(count, len(heads.window.bias))
    windows[material.windows.scene] = heads.window.logits(material.windows.values).sigmoid()
    crops = heads.crop.logits(material.crops.values).sigmoid()
    at = material.crops.scene[:, None].expand_as(crops)
    best, mean = (
        torch.zeros_like(windows).scatter_reduce(0, at, crops, how, include_self=False) for how in ("amax", "mean")
    )
    return fuse(windows, 0.5 * (best + mean))


def by_scene(part: Vectors) -> tuple[Tensor, Tensor]:
    """Labels [scenes, S] and recording [scenes] of windows."""
    labels, group = torch.empty_like(part.labels), torch.empty_like(part.group)
    labels[part.scene], group[part.scene] = part.labels, part.group
    return labels, group


def try_out(material: Material, names: Sequence[str], counts: Sequence[int]) -> tuple[float, Tensor, list[Trial]]:
    """Cross-validation over recordings.

    Args:
        names: of the sounds.
        counts: recordings of each.

    Returns:
        The best decay, what to add to every logit [S] so that a score of `HEARD` is the threshold, and the trials.
    """
    labels, group = by_scene(material.windows)
    folds = group % FOLDS
    others = group < 0
    folds[others] = torch.arange(int(others.sum())) % FOLDS
    kept_out: dict[float, Tensor] = {}
    for decay in DECAYS:
        kept_out[decay] = torch.empty_like(labels)
        for fold in range(FOLDS):
            left_out = folds == fold
            kept_out[decay][left_out] = scores(fit_heads(material, decay, left_out), material)[left_out]
    precisions = {decay: _precisions(found, labels) for decay, found in kept_out.items()}
    decay = max(DECAYS, key=lambda one: sum(precisions[one]))
    found, shifts, trials = kept_out[decay], [], []
    first = 0
    for number, name in enumerate(names):
        mine, other = labels[:, number] == 1, labels[:, number] == 0
        threshold = _threshold(found[mine, number], found[other, number])
        heard = found[:, number] >= threshold
        recordings = [heard[group == first + index].float().mean() >= 0.5 for index in range(counts[number])]
        first += counts[number]
        shifts.append(-torch.logit(torch.tensor(threshold)))
        trials.append(
            Trial(
                name=name,
                recordings=counts[number],
                heard=sum(map(bool, recordings)),
                scenes=float(heard[mine].float().mean()),
                false_alarms=float(heard[other].float().mean()),
                precision=precisions[decay][number],
            )
        )
    return decay, torch.stack(shifts), trials


def _precisions(found: Tensor, labels: Tensor) -> list[float]:
    known = ~labels.isnan()
    return [
        average_precision(labels[known[:, one], one].numpy() == 1, found[known[:, one], one].numpy())
        for one in range(labels.shape[1])
    ]


def _threshold(mine: Tensor, other: Tensor) -> float:
    """Between two scores, where fewest are wrong, false alarms weighing `FALSE_ALARM`."""
    edges = torch.cat([mine, other]).sort().values.clamp(1e-4, 1 - 1e-4)
    candidates = (edges[1:] + edges[:-1]) / 2
    missed = torch.searchsorted(mine.sort().values, candidates) / len(mine)
    false = 1 - torch.searchsorted(other.sort().values, candidates) / len(other)
    return float(candidates[(missed + FALSE_ALARM * false).argmin()])
