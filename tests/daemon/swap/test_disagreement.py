"""How far two engines are from each other, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from glatd.daemon.disagreement import Disagreement, Figures
from glatd.engines.manifest import LabelEntry, Manifest, Runtime
from tests.daemon.swap.made import FINE, geometry

NAMES = ("a", "b", "c", "d", "e", "f")


def manifest(*names: str) -> Manifest:
    labels = tuple(LabelEntry(name, f"/m/{name}") for name in names)
    return Manifest(2, "m", geometry(FINE), Runtime("cpu", "x", "0", "float32"), labels, (), {}, "MIT", "0")


def test_an_engine_agrees_with_itself() -> None:
    found = Disagreement(manifest(*NAMES), manifest(*NAMES))
    scores = np.array([0.1, 0.9, 0.3, 0.4, 0.5, 0.6], np.float32)
    for _ in range(3):
        found.add(scores, scores, np.full(6, 0.5, np.float32))
    assert found.figures() == Figures(3, 1.0, 0.0, 0.0, "", {}, {})
    assert found.figures().text().startswith("3 windows; 100.0% of the five best are the same; scores differ by 0.0000")


def test_classes_are_compared_by_name_and_decisions_by_their_thresholds() -> None:
    found = Disagreement(manifest(*NAMES), manifest("new", *reversed(NAMES)))
    live = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.float32)
    other = np.array([1.0, 0.45, 0.5, 0.6, 0.7, 0.8, 0.2], np.float32)  # new, f, e, d, c, b, a
    found.add(live, other, np.array([0.5, 2.0, 0.5, 0.5, 0.5, 0.42], np.float32))
    figures = found.figures()
    assert figures.max == pytest.approx(0.7) and figures.worst == "a"
    assert figures.mean == pytest.approx((0.7 + 0.05) / 6)
    assert figures.top5 == pytest.approx(4 / 5)  # f for a
    assert (dict(figures.live_alone), dict(figures.shadow_alone)) == ({"a": 1}, {"f": 1})
    assert figures.decisions == 2 and "a 1 (live alone 1), f 1 (live alone 0)" in figures.text()


def test_without_thresholds_no_decision_differs_and_without_classes_nothing_is_compared() -> None:
    found = Disagreement(manifest(*NAMES), manifest(*NAMES))
    found.add(np.zeros(6, np.float32), np.ones(6, np.float32), None)
    assert (found.figures().decisions, found.figures().max) == (0, 1.0)
    strangers = Disagreement(manifest("a"), replace(manifest("b")))
    strangers.add(np.ones(1, np.float32), np.zeros(1, np.float32), None)
    assert strangers.figures() == Figures()
