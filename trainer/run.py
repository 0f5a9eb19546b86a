"""`glatd train fit` and `glatd train eval`: from a recipe to a bundle with its card."""

from pathlib import Path

import torch

import glatd
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.blend import blend
from glatd.trainer.bundle import read_bundle, write_bundle
from glatd.trainer.card import write_card
from glatd.trainer.checkpoint import load_mn
from glatd.trainer.dataset import training_data
from glatd.trainer.exam import examine
from glatd.trainer.fit import fit
from glatd.trainer.glat import Glat
from glatd.trainer.progress import Progress
from glatd.trainer.recipe import Recipe, read_recipe

LICENCE = "MIT"


def base_model(recipe: Recipe, init: Path) -> Backbone:
    """The published network that both streams start at, and that teaches them."""
    return load_mn(init, recipe.width)


def run(recipe_path: Path, init: Path, data: Path, out: Path, work: Path, threads: int) -> None:
    """Train, write the bundle, judge it and write its card; resumes where an earlier run stopped."""
    if threads:
        torch.set_num_threads(threads)
    recipe = read_recipe(recipe_path)
    teacher = base_model(recipe, init)
    work.mkdir(parents=True, exist_ok=True)
    model = Glat(base_model(recipe, init), recipe.glat)
    with Progress() as progress:
        fit(recipe, model, teacher, training_data(recipe, data, teacher, work, progress), work, progress.step)
    blend(model, Glat(teacher, recipe.glat), recipe.blend)
    provenance = {
        "recipe": recipe.name,
        "base": init.name,
        "steps": str(recipe.optim.steps),
        "glatd": glatd.__version__,
    }
    write_bundle(out, model, recipe.name, provenance, LICENCE)
    judge_bundle(out, recipe_path, init, data, work)


def judge_bundle(bundle: Path, recipe_path: Path, init: Path, data: Path, work: Path) -> None:
    """Judge the weights as they were stored, and write CARD.md and metrics.json beside them."""
    recipe = read_recipe(recipe_path)
    model, described = read_bundle(bundle)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with Progress() as progress:
        exam = examine(model, base_model(recipe, init), recipe, data, work, progress)
    write_card(bundle, recipe, recipe_path, described, exam)
    print((bundle / "CARD.md").read_text(encoding="utf-8"))
