"""How well scores rank: average precision, and its mean over the classes (mAP)."""

import numpy as np
from numpy.typing import NDArray


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Area under the precision-recall steps of one class, ties taken together; shapes [N]."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits, seen = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    return float((np.diff(hits, prepend=0) * (hits / seen)).sum() / hits[-1])


def judged_classes(truth: NDArray[np.bool_]) -> list[int]:
    """Those of [N, C] that have a positive and a negative."""
    positives = truth.sum(0)
    return [int(c) for c in np.flatnonzero((positives > 0) & (positives < len(truth)))]


def mean_average_precision(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Mean over the judged classes of [N, C]; 0 where there is none."""
    judged = judged_classes(truth)
    return float(np.mean([average_precision(truth[:, c], scores[:, c]) for c in judged])) if judged else 0.0
