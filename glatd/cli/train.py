"""Networks: `glatd train`."""

from pathlib import Path
from typing import Any

import click

from glatd.cli.options import PATH
from glatd.errors import ConfigError


@click.group(no_args_is_help=False)
def train() -> None:
    """Train networks and export their graphs (needs glatd[train])."""


@train.command()
@click.argument("recipe", type=PATH)
@click.option("--init", type=PATH, required=True, help="Checkpoint of the base model (EfficientAT state dict).")
@click.option("--data", type=PATH, required=True, help="Folder with corpus.csv and clips/.")
@click.option("--out", type=PATH, required=True, help="Folder of the weights bundle.")
@click.option("--work", type=PATH, help="Folder for scenes and checkpoints.  [default: OUT.work]")
@click.option("--threads", type=int, default=0, help="CPU threads; 0 for all.")
def fit(recipe: Path, init: Path, data: Path, out: Path, work: Path | None, threads: int) -> int:
    """Train as RECIPE says, judge on scenes of unseen clips, and write a bundle with its card."""
    trainer("run").run(recipe, init, data, out, work or out.with_name(out.name + ".work"), threads)
    return 0


@train.command("eval")
@click.argument("bundle", type=PATH)
@click.option("--recipe", type=PATH, required=True, help="Whose test scenes to judge on.")
@click.option("--init", type=PATH, required=True, help="Checkpoint of the base model, to compare with.")
@click.option("--data", type=PATH, required=True, help="Folder with corpus.csv and clips/.")
@click.option("--work", type=PATH, required=True, help="Folder for the rendered scenes.")
def evaluate(bundle: Path, recipe: Path, init: Path, data: Path, work: Path) -> int:
    """Judge BUNDLE on scenes of unseen clips and write its card again."""
    trainer("run").judge_bundle(bundle, recipe, init, data, work)
    return 0


@train.command("import")
@click.argument("checkpoint", type=PATH)
@click.option("--backbone", required=True, help="cnn10, resnet38 (PANNs) or mn (EfficientAT).")
@click.option("--out", type=PATH, required=True, help="Folder of the weights bundle.")
def import_(checkpoint: Path, backbone: str, out: Path) -> int:
    """Make a bundle of a published CHECKPOINT, in which both streams start from it."""
    model = trainer("importing").import_checkpoint(checkpoint, backbone, out)
    sizes = sum(value.numel() for value in model.global_stream.parameters())
    click.echo(f"{out}: {backbone}, {sizes:,} parameters a stream; glatd train export {out} comes next")
    return 0


@train.command()
@click.argument("bundle", type=PATH)
@click.option("--grid", type=click.Choice(["stream", "clip"]), default="stream", show_default=True)
def export(bundle: Path, grid: str) -> int:
    """Write the graphs of BUNDLE, which `glatd engine build` compiles."""
    sizes = trainer("export").export(bundle, grid)
    click.echo(f"{bundle}: frontend, global, local; grid {sizes.grid}, {sizes.crops} crops")
    return 0


def trainer(module: str) -> Any:
    """A module of the trainer, which needs torch.

    Raises:
        ConfigError: torch is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"glatd.trainer.{module}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the trainer needs {error.name}, which is not installed; pip install 'glatd[train]'"
        ) from error
