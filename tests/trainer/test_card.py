"""The card says what the exam found, and how to make the model again."""

import json
from pathlib import Path

import pytest

from glatd.trainer.bundle import BundleModel
from glatd.trainer.card import WAYS, write_card
from glatd.trainer.exam import Exam, Table
from glatd.trainer.glat import GlatSpec
from glatd.trainer.metrics import Report
from glatd.trainer.recipe import read_recipe
from glatd.trainer.scenes import SceneSpec
from tests.conftest import ROOT

RECIPE = ROOT / "trainer" / "recipes" / "mn04.toml"


def table(value: float, spec: SceneSpec) -> Table:
    """Every figure of a table is `value`, but for the base model's."""
    reports = {way: Report(value, 0.9, 1.8, 3, 1, {0: value, 74: 0.5}) for way in WAYS}
    base = {way: Report(0.1, 0.9, 1.8, 3, 1, {0: 0.1}) for way in WAYS}
    return Table(spec, 10, reports, reports, base, base)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    recipe = read_recipe(RECIPE)
    tables = table(0.712, recipe.test_scenes), table(0.834, recipe.scenes)
    exam = Exam(*tables, 0.004, 0.05, 785, 300, {"CC0": 9, "MIT": 4}, 89)
    described = BundleModel(1, recipe.name, {}, GlatSpec(), (), "", {"base": "mn04.pt"}, "MIT")
    write_card(tmp_path, recipe, RECIPE, described, exam)
    return tmp_path


def test_card(bundle: Path) -> None:
    text = (bundle / "CARD.md").read_text(encoding="utf-8")
    assert "0.712 | 0.100" in text and "0.834 | 0.100" in text
    assert "CC0 (9), MIT (4)" in text and "438 classes without training clips" in text
    assert f"glatd train fit trainer/recipes/mn04.toml --init mn04.pt --data CORPUS --out {bundle.name}" in text
    assert max(map(len, text.splitlines())) < 400


def test_metrics_name_the_classes(bundle: Path) -> None:
    tree = json.loads((bundle / "metrics.json").read_text(encoding="utf-8"))
    assert tree["short"]["trained"]["global"]["per_class"] == {"Speech": 0.712, "Dog": 0.5}
    assert tree["long"]["spec"]["longest"] == 3.0
