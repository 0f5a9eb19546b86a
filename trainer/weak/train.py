"""`glatd train fit` by labelled clips: from a recipe to a bundle with its report; a run goes on where it was."""

import os
from pathlib import Path
from typing import Any

import torch

import glatd
from glatd.errors import DataError
from glatd.trainer.bundle import read_bundle, read_model, write_bundle
from glatd.trainer.evaluation import Evaluation, evaluate_clips
from glatd.trainer.identity import NONE
from glatd.trainer.looker import Network
from glatd.trainer.progress import Progress
from glatd.trainer.weak.begin import make_network
from glatd.trainer.weak.launch import make_fabric
from glatd.trainer.weak.material import Material, open_material, tell_material
from glatd.trainer.weak.recipe import ClipRecipe
from glatd.trainer.weak.run import ClipRun

LICENCE = "that of the clips it was trained by"


def train_bundle(
    recipe: ClipRecipe,
    folder: Path,
    out: Path,
    work: Path,
    init: Path | None,
    workers: int,
    fabric: Any,
    progress: Progress,
) -> Material:
    """Train, and in the first process write the bundle; returns the data."""
    material = open_material(recipe, folder)
    if fabric.is_global_zero:
        tell_material(material, progress)
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make the folder {work}: {error.strerror}") from error
    fabric.barrier()

    def say(line: str) -> None:
        if fabric.is_global_zero:  # one of several processes
            progress.say(line)

    model = make_network(recipe, material.vocabulary.names, init, say)
    base = read_model(init).weights_sha256[:16] if init else NONE
    run = ClipRun(recipe, material, model, base, work, workers, fabric, progress)
    trained = run.train()
    if fabric.is_global_zero:
        provenance = {
            "recipe": recipe.name,
            "method": "GL-AT" if recipe.method == "glat" else "the backbone alone, in both streams",
            "base": init.name if init else "random",
            "steps": str(run.state.step),
            "clips": str(len(material.train)),
            "glatd": glatd.__version__,
        }
        write_bundle(out, trained.cpu(), recipe.name, provenance, LICENCE, labels=material.vocabulary.names)
    return material


def fit_clips(
    recipe: ClipRecipe,
    folder: Path,
    out: Path,
    work: Path,
    init: Path | None = None,
    workers: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Evaluation | None:
    """Train, write the bundle, judge it by all test clips, and write its report beside it.

    Returns:
        What the first process found; None in the others.
    """
    from glatd.trainer.weak.report import write_report

    progress = progress or Progress()
    fabric = make_fabric(recipe.precision, device)
    material = train_bundle(recipe, folder, out, work, init, workers, fabric, progress)
    if not fabric.is_global_zero:
        fabric.barrier()
        return None
    stored, described = read_bundle(out)
    test = material.test
    found = evaluate_clips(
        Network(stored, described.labels, fabric.device),
        test,
        workers=workers,
        progress=lambda done: progress("judging", done, len(test)),
    )
    write_report(out, work, recipe, found)
    fabric.barrier()
    return found


def threads(count: int) -> None:
    """CPU threads of this process; 0 shares the cores among torchrun's."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(count or max(1, (os.cpu_count() or 1) // here))
