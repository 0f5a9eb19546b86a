"""The plan of the proof: every run once, the most telling ones first, all on equal terms."""

from dataclasses import replace
from pathlib import Path

import pytest

from glatd.errors import ConfigError
from glatd.trainer.proof.plan import heard, read_plan, row_of

PLAN = Path(__file__).parents[3] / "trainer" / "recipes" / "corpus" / "plan.toml"


def test_the_runs_of_the_proof() -> None:
    plan = read_plan(PLAN)
    names = [run.name for run in plan.runs]
    networks = ("talnet", "cnn10", "resnet38", "at-sca", "mn")
    assert len(set(names)) == len(names)
    for network in networks:
        assert f"{network}-sounds-s1" in names
        for row in ("alone", "glat", "long", "shared", "random"):
            assert {f"{network}-{row}-s{seed}" for seed in (1, 2, 3)} <= set(names)
    # N = 1 .. 7, tau = 1 .. 5 and 10 s; N = 5 at 3 s is a row of the table already.
    assert sum(run.row == "sweep" for run in plan.runs) == 7 + 6 - 2
    assert names[0] == "glat-mn04-judged"
    first = {run.name: place for place, run in enumerate(plan.runs)}
    # Every network by the first seed before any by the second, and the extra rows of the second after its main ones.
    assert max(
        first[f"{network}-{row}-s1"] for network in networks for row in ("alone", "glat", "long", "shared")
    ) < min(first[f"{network}-{row}-s2"] for network in networks for row in ("alone", "glat", "long", "shared"))
    assert first["mn-glat-s3"] < first["talnet-shared-s2"]


def test_the_rows_hear_as_long_as_one_another() -> None:
    for recipe in read_plan(PLAN).recipes:
        alone, glat, longer = (row_of(recipe, row) for row in ("alone", "glat", "long"))
        assert heard(alone) == pytest.approx(10.0) and heard(glat) == pytest.approx(25.0)
        assert alone.optim == glat.optim and longer.optim.steps == 2.5 * glat.optim.steps
        assert heard(longer) * longer.optim.steps == pytest.approx(heard(glat) * glat.optim.steps)
        assert longer.watch.judge >= longer.optim.steps and longer.watch.keep == "last"
        assert row_of(recipe, "random") == replace(recipe, glat=replace(recipe.glat, choose="random"))


def test_a_result_is_known_by_all_that_it_is_made_of() -> None:
    runs = {run.name: run for run in read_plan(PLAN).runs}
    run = runs["mn-glat-s1"]
    assert run.recipe is not None
    prints = {one.fingerprint("scenes") for one in runs.values()}
    assert len(prints) == len(runs) and run.fingerprint("other scenes") not in prints
    other = replace(run, recipe=replace(run.recipe, optim=replace(run.recipe.optim, learning_rate=2e-3)))
    assert other.fingerprint("scenes") not in prints
    assert replace(run).fingerprint("scenes") in prints


def test_all_recipes_in_another_size(tmp_path: Path) -> None:
    """As for a GPU: the networks as published, more steps of more clips."""
    for file in PLAN.parent.glob("*.toml"):
        (tmp_path / file.name).write_text(file.read_text())
    with (tmp_path / "plan.toml").open("a") as end:
        end.write("[size]\nwidth = 1.0\nprecision = 'bf16-mixed'\nsteps = 20\nbatch = 32\n")
        end.write("learning_rate = 5e-4\nwarmup = 3\n")
    (tmp_path / "plan.toml").write_text((tmp_path / "plan.toml").read_text().replace("bundles = [", "bundles = [] # ["))
    wide = read_plan(tmp_path / "plan.toml")
    longest = wide.run("cnn10-long-s3").recipe
    assert longest is not None and longest.optim.steps == 50 and longest.optim.batch == 32
    assert {run.recipe.backbone.width for run in wide.runs if run.recipe is not None} == {1.0}
    narrow = {run.fingerprint("scenes") for run in read_plan(PLAN).runs}
    assert not narrow & {run.fingerprint("scenes") for run in wide.runs}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('recipe = "talnet"', 'recipe = "vgg"', "sweep.recipe = 'vgg' is none of the plan's"),
        ('"talnet.toml", ', '"../talnet.toml", ', "../talnet.toml: a plan's recipe has method"),
        ('"talnet.toml", ', '"cnn10.toml", ', "two recipes have the same name"),
        ("seeds = [1, 2, 3]", "seeds = []", "recipes and seeds must each name one at least"),
        ("least = 5", "lest = 5", "did you mean 'least'"),
    ],
)
def test_a_plan_that_cannot_be_says_why(old: str, new: str, told: str, tmp_path: Path) -> None:
    for file in PLAN.parent.glob("*.toml"):
        (tmp_path / "corpus").mkdir(exist_ok=True)
        (tmp_path / "corpus" / file.name).write_text(file.read_text())
    (tmp_path / "talnet.toml").write_text((PLAN.parents[1] / "talnet.toml").read_text())
    text = PLAN.read_text()
    assert old in text
    path = tmp_path / "corpus" / "plan.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        read_plan(path)
