"""Rows of a last layer, fitted by logistic regression over the vectors that it is given: convex, so always the same."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

ITERATIONS = 60  # of L-BFGS; the loss stands still long before


@dataclass(frozen=True, slots=True)
class Rows:
    """Of S classes."""

    weight: Tensor  # [S, H]
    bias: Tensor  # [S]

    def logits(self, vectors: Tensor) -> Tensor:
        """[..., H] -> [..., S]."""
        return F.linear(vectors, self.weight, self.bias)

    def shifted(self, by: Tensor) -> "Rows":
        """With `by` [S] added to every logit."""
        return Rows(self.weight, self.bias + by)


def fit_rows(vectors: Tensor, labels: Tensor, decay: float) -> Rows:
    """Fit each class on its own; what has it and what has not weigh the same.

    Args:
        vectors: [n, H] float32.
        labels: [n, S] float32: 1 where the sound is, 0 where it is not, NaN where nobody knows.
        decay: of the weights over standardised vectors (L2).
    """
    mean, spread = vectors.mean(0), vectors.std(0).clamp(min=1e-6)
    x = (vectors - mean) / spread
    known = ~labels.isnan()
    wanted = labels.nan_to_num()
    positive, negative = wanted * known, (1 - wanted) * known
    share = 0.5 * (positive / positive.sum(0).clamp(min=1) + negative / negative.sum(0).clamp(min=1))
    weight = torch.zeros(labels.shape[1], x.shape[1], requires_grad=True)
    bias = torch.zeros(labels.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        each = F.binary_cross_entropy_with_logits(F.linear(x, weight, bias), wanted, reduction="none")
        total = (each * share).sum() + 0.5 * decay * weight.square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    with torch.no_grad():
        scaled = weight / spread
        return Rows(scaled.detach(), (bias - scaled @ mean).detach())
