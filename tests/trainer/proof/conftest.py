"""A corpus of a few sounds, and a plan of two tiny networks with two steps each."""

from pathlib import Path

import pytest

from tests.engines.corpus import write_corpus

RECIPES = Path(__file__).parents[3] / "trainer" / "recipes" / "corpus"

PLAN = """
name = "tiny"
recipes = ["talnet.toml", "mn.toml"]
seeds = [1, 2]
random = 3
bundles = []

[scenes]
train_folds = [1, 2, 3, 4]
test_folds = [5]
train = 8
test = 5
seed = 1
least = 1
[scenes.mixing]

[sweep]
recipe = "talnet"
seed = 1
crops = [1, 5]
seconds = [1.0, 3.0]
"""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four kinds of sound, two recordings of each in every fold."""
    return write_corpus(tmp_path_factory.mktemp("proof") / "corpus", each=10)


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the plan; the recipes are those of the real one, but for sizes."""
    folder = tmp_path_factory.mktemp("plan")
    for name, width in (("mn", "0.2"), ("talnet", "0.25")):
        text = (RECIPES / f"{name}.toml").read_text()
        for old, new in (
            (f"width = {width}", "width = 0.02" if name == "talnet" else "width = 0.1"),
            ("steps = 400", "steps = 2"),
            ("batch = 4", "batch = 2"),
            ("warmup = 40", "warmup = 1"),
        ):
            assert old in text
            text = text.replace(old, new)
        (folder / f"{name}.toml").write_text(text)
    (folder / "plan.toml").write_text(PLAN)
    return folder / "plan.toml"
