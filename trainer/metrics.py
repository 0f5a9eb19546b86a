"""mAP, mAUC and d-prime, macro over classes (as scikit-learn computes the first two)."""

from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from glatd.engines.ranking import average_precision

Scores = NDArray[np.floating]
Truth = NDArray[np.bool_]


def precision_at(recalls: Scores, truth: Truth, scores: Scores) -> NDArray[np.float64]:
    """The best precision of one class at each recall or beyond it: a curve that never rises; shapes [N]."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits, seen = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    best = np.maximum.accumulate((hits / seen)[::-1])[::-1]
    found: NDArray[np.float64] = best[np.minimum(np.searchsorted(hits / hits[-1], recalls - 1e-9), len(best) - 1)]
    return found


def area_under_roc(truth: Truth, scores: Scores) -> float:
    """Probability that a positive scores above a negative, ties counted half; shapes [N]."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)
    rank = (last_rank - (counts - 1) / 2)[inverse]
    positives = int(truth.sum())
    above = rank[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(truth) - positives)))


def d_prime(auc: float) -> float:
    """sqrt(2) * Phi^-1(AUC)."""
    return float(np.sqrt(2.0)) * NormalDist().inv_cdf(min(max(auc, 1e-12), 1 - 1e-12))


@dataclass(frozen=True, slots=True)
class Report:
    """Macro averages over the classes that have a positive and a negative."""

    map: float
    mauc: float
    d_prime: float
    classes: int  # judged
    left_out: int  # without a positive (or without a negative)
    per_class: dict[int, float]  # class index -> average precision
    auc: dict[int, float] = field(default_factory=dict)  # class index -> area under ROC
    without: tuple[int, ...] = ()  # classes that are left out


def evaluate(truth: Truth, scores: Scores, classes: list[int] | None = None) -> Report:
    """Judge scores [N, C] against labels [N, C], over `classes` or all.

    Classes without a positive are left out, named and counted.
    """
    asked = list(range(truth.shape[1])) if classes is None else classes
    judged = [c for c in asked if 0 < truth[:, c].sum() < len(truth)]
    precision = {c: average_precision(truth[:, c], scores[:, c]) for c in judged}
    auc = {c: area_under_roc(truth[:, c], scores[:, c]) for c in judged}
    mauc = float(np.mean(list(auc.values()))) if auc else float("nan")
    return Report(
        map=float(np.mean(list(precision.values()))) if judged else float("nan"),
        mauc=mauc,
        d_prime=d_prime(mauc) if judged else float("nan"),
        classes=len(judged),
        left_out=len(asked) - len(judged),
        per_class=precision,
        auc=auc,
        without=tuple(c for c in asked if c not in precision),
    )
