"""The sweep: every setting once, and on after it was stopped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from glatd.cli import cli
from glatd.errors import ConfigError, DataError
from glatd.trainer.backbones import BACKBONES
from glatd.trainer.frontend import MN_FRONTEND
from glatd.trainer.progress import Progress
from glatd.trainer.weak.recipe import read_clip_recipe
from glatd.trainer.weak.sweep import CROPS, SECONDS, Setting, at, settings, sweep
from glatd.trainer.weak.train import fit_clips
from tests.engines.tiny import Tiny

RECIPES = Path(__file__).parents[3] / "trainer" / "recipes"


@pytest.fixture
def tiny(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe, with a network of one convolution and one step."""
    monkeypatch.setitem(BACKBONES, "tiny", Tiny)
    text = recipe.read_text().replace('name = "mn"\nwidth = 0.1', 'name = "tiny"')
    recipe.write_text(text.replace("steps = 6", "steps = 1").replace("accumulate = 2", "accumulate = 1"))
    return recipe


def test_the_figure_of_the_paper() -> None:
    """N in 1..7 at 3 s, tau in 1..5 and 10 s at 5 crops: twelve places, since both lines meet."""
    recipe = read_clip_recipe(RECIPES / "cnn10-glat.toml")
    wanted = settings(recipe, MN_FRONTEND, CROPS, SECONDS)
    assert len(wanted) == 12 and wanted[4] == Setting(5, 3.0)
    whole = at(recipe, MN_FRONTEND, Setting(5, 10.0)).glat
    assert (whole.crop, whole.crops) == (1000, 5)
    with pytest.raises(ConfigError, match="5 crops of 11 s do not go into a window of 10 s"):
        at(recipe, MN_FRONTEND, Setting(5, 11.0))


def test_it_trains_each_setting_once_and_goes_on(tiny: Path, sounds: Path, tmp_path: Path) -> None:
    out, recipe = tmp_path / "sweep", read_clip_recipe(tiny)

    def run(crops: list[int], seconds: list[float]) -> dict[str, dict[str, float]]:
        return sweep(recipe, sounds, out, None, crops, seconds, 0, "cpu", Progress())

    first = run([1, 2], [0.96])
    assert set(first) == {"n1-t0.96", "n2-t0.96"}
    written = (out / "n1-t0.96" / "evaluation.json").stat().st_mtime_ns
    second = run([1, 2], [0.96, 3.2])
    assert set(second) == {"n1-t0.96", "n2-t0.96", "n2-t3.2"} and second["n1-t0.96"] == first["n1-t0.96"]
    assert (out / "n1-t0.96" / "evaluation.json").stat().st_mtime_ns == written
    assert json.loads((out / "sweep.json").read_text()) == second
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert second["n2-t3.2"]["seconds"] == 3.2 and 0 < second["n2-t3.2"]["clip/fused"] <= 1
    # What stands there is not taken for something else.
    for other in (replace(recipe, seed=8), replace(recipe, optim=replace(recipe.optim, steps=2))):
        with pytest.raises(DataError, match=r"n1-t0.96 is of another recipe, seed, data or bundle"):
            sweep(other, sounds, out, None, [1], [0.96], 0, "cpu", Progress())
    (out / "n1-t0.96" / "made-of.json").unlink()
    with pytest.raises(DataError, match="choose another --out"):
        run([1], [0.96])


def test_one_network_at_every_setting(tiny: Path, sounds: Path, tmp_path: Path) -> None:
    """By the command: what was trained with one setting is judged with others."""
    bundle, out = tmp_path / "bundle", tmp_path / "sweep"
    fit_clips(read_clip_recipe(tiny), sounds, bundle, tmp_path / "work", device="cpu")
    asked = ["train", "sweep", str(tiny), "--data", str(sounds), "--out", str(out), "--bundle", str(bundle)]
    told = CliRunner().invoke(cli, [*asked, "--crops", "1,2", "--seconds", "1,3.2"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[0].startswith("1 crops of 0.96 s: mAP 0.") and "sweep.png" in told.stdout
    tree = json.loads((bundle / "evaluation.json").read_text())
    figures = json.loads((out / "sweep.json").read_text())
    assert figures["n2-t0.96"]["clip/fused"] == pytest.approx(tree["ways"]["clip/fused"]["map"])
    # The window, the classifier and the rule are the network's, whatever the recipe says.
    text = tiny.read_text()
    tiny.write_text(text.replace("window = 320", 'window = 300\nclassifier = "shared"'))
    again = CliRunner().invoke(cli, [*asked, "--crops", "1,2", "--seconds", "1,3.2"], catch_exceptions=False)
    assert again.stdout == told.stdout
    tiny.write_text(text)
    other = tmp_path / "other"
    fit_clips(read_clip_recipe(tiny, seed=9), sounds, other, tmp_path / "work2", device="cpu")
    asked[-1] = str(other)
    told = CliRunner().invoke(cli, [*asked, "--crops", "1,2", "--seconds", "1"])
    assert told.exit_code and "of another recipe, seed, data or bundle" in f"{told.output}{told.exception}"
    told = CliRunner().invoke(cli, [*asked, "--crops", "many"])
    assert isinstance(told.exception, ConfigError) or told.exit_code == 2
