"""Metrics equal scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from glatd.engines.ranking import average_precision
from glatd.trainer.metrics import area_under_roc, d_prime, evaluate


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(2, 200), st.sampled_from([2, 5, 100_000]))
def test_equal_to_scikit_learn_with_and_without_ties(seed: int, count: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.3
    truth[:2] = True, False
    scores = rng.integers(0, values, count) / values
    assert average_precision(truth, scores) == pytest.approx(average_precision_score(truth, scores), abs=1e-9)
    assert area_under_roc(truth, scores) == pytest.approx(roc_auc_score(truth, scores), abs=1e-9)


def test_d_prime() -> None:
    assert d_prime(0.5) == pytest.approx(0.0)
    assert d_prime(0.971) == pytest.approx(2.68, abs=0.01)  # CNN10 in the paper: 2.678


def test_classes_without_a_positive_are_left_out_and_counted() -> None:
    truth = np.array([[True, False, True], [False, False, True], [True, False, True]])
    report = evaluate(truth, np.array([[0.9, 0.1, 0.5], [0.1, 0.2, 0.5], [0.8, 0.3, 0.5]]))
    assert (report.classes, report.left_out, report.map) == (1, 2, 1.0)
    assert report.per_class == {0: 1.0}
