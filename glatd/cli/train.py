"""Networks: `glatd train`."""

import time
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from glatd.cli.options import PATH
from glatd.errors import ConfigError, DataError


@click.group(no_args_is_help=False)
def train() -> None:
    """Train networks and export their graphs (needs glatd[train])."""


@train.command()
@click.argument("recipe", type=PATH)
@click.option("--init", type=PATH, help="Bundle to begin with (clips), or checkpoint of the base model (scenes).")
@click.option(
    "--data", type=PATH, required=True, help="Folder of what the recipe names; of scenes: corpus.csv, clips/."
)
@click.option("--out", type=PATH, required=True, help="Folder of the weights bundle.")
@click.option("--work", type=PATH, help="Folder for scenes and checkpoints.  [default: OUT.work]")
@click.option("--threads", type=int, default=0, help="CPU threads; 0 for all.")
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Processes that read clips.", show_default=True)
@click.option("--device", default="auto", help="cpu or cuda.", show_default=True)
@click.option("--seed", type=int, help="Of clips' recipes: another seed than the recipe's.")
def fit(
    recipe: Path,
    init: Path | None,
    data: Path,
    out: Path,
    work: Path | None,
    threads: int,
    workers: int,
    device: str,
    seed: int | None,
) -> int:
    """Train as RECIPE says, judge, and write a bundle with its report.

    A recipe of clips (trainer/recipes/cnn10-glat.toml) trains any backbone, alone or with GL-AT, by weakly labelled
    clips; torchrun starts it on several GPUs and machines. One of scenes (mn04.toml) makes the default model. Stop it
    at any time: the same command goes on.

    \b
    torchrun --nproc-per-node 8 -m glatd.cli train fit RECIPE --data DIR --out BUNDLE
    """
    work = work or out.with_name(out.name + ".work")
    recipes = trainer("weak.recipe")
    if not recipes.is_clip_recipe(recipe):
        if init is None:
            raise ConfigError(f"{recipe} mixes scenes: --init names the checkpoint of the base model")
        refuse_given(f"{recipe} mixes scenes, by the seed that stands in it", "seed", "workers", "device")
        trainer("run").run(recipe, init, data, out, work, threads)
        return 0
    training = trainer("weak.train")
    training.threads(threads)
    asked = recipes.read_clip_recipe(recipe, seed)
    with progressing() as progress:
        found = training.fit_clips(asked, data, out, work, init, workers, device, progress)
    if found is not None:  # of torchrun's processes only the first one tells
        for line in trainer("evaluation").table(found):
            click.echo(line)
        click.echo(f"{out}: REPORT.md, and the weights; glatd train export {out} comes next")
    return 0


@train.command()
@click.argument("recipe", type=PATH)
@click.option("--data", type=PATH, required=True, help="Folder of what the recipe names.")
@click.option("--out", type=PATH, required=True, help="Folder of a folder for each setting, and of the figure.")
@click.option("--bundle", "trained", type=PATH, help="Judge this one at each setting, in place of training at each.")
@click.option("--crops", default="1,2,3,4,5,6,7", help="N, at the recipe's length of a crop.", show_default=True)
@click.option("--seconds", default="1,2,3,4,5,10", help="Lengths of a crop, at the recipe's N.", show_default=True)
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Processes that read clips.", show_default=True)
@click.option("--device", default="auto", help="cpu or cuda.", show_default=True)
@click.option("--seed", type=int, help="Another seed than the recipe's.")
def sweep(
    recipe: Path,
    data: Path,
    out: Path,
    trained: Path | None,
    crops: str,
    seconds: str,
    workers: int,
    device: str,
    seed: int | None,
) -> int:
    """Train by RECIPE with other numbers and lengths of crops: the paper's Fig. 2, as sweep.json and sweep.png.

    Stop it at any time: the same command goes on, and does nothing twice.
    """
    try:
        numbers, lengths = [int(one) for one in crops.split(",")], [float(one) for one in seconds.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"--crops {crops} and --seconds {seconds} must be numbers with commas between them"
        ) from error
    module = trainer("weak.sweep")
    asked = trainer("weak.recipe").read_clip_recipe(recipe, seed)
    with progressing() as progress:
        found = module.sweep(asked, data, out, trained, numbers, lengths, workers, device, progress)
    way = f"{asked.glat.grid}/fused"
    for values in found.values():
        click.echo(f"{values['crops']:.0f} crops of {values['seconds']:g} s: mAP {values[way]:.4f}")
    click.echo(f"{out / module.PICTURE}")
    return 0


@train.command()
@click.argument("plan", type=PATH)
@click.option("--data", type=PATH, required=True, help="Folder with corpus.csv and clips/.")
@click.option("--out", type=PATH, required=True, help="Folder of scenes, runs and results.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, help="Runs at a time, a core each.", show_default=True)
@click.option("--device", default="cpu", help="cpu or cuda.", show_default=True)
@click.option("--page", type=PATH, help="Page to write the tables into, between its marks; raw results beside it.")
def proof(plan: Path, data: Path, out: Path, jobs: int, device: str, page: Path | None) -> int:
    """Train and judge every network of PLAN alone and with GL-AT, on scenes of recorded clips, folds apart.

    Each run is a process of its own. What tells most comes first, so the tables say something long before the end. Stop
    it at any time: the same command goes on, and does nothing twice.
    """
    read, runner = trainer("proof.plan").read_plan(plan), trainer("proof.runner")
    try:
        with progressing() as progress:
            runner.prove(plan, data, out, jobs, device, progress)
    finally:  # also of a part
        if page is not None and (made_of := trainer("proof.scenes").made_of(out / runner.SCENES)):
            found = trainer("proof.results").read_results(read, out, made_of)
            trainer("proof.page").write_page(page, read, found)
            click.echo(f"{page}: {len(found)} of {len(read.runs)} runs")
    return 0


@train.command("eval")
@click.argument("bundle", type=PATH)
@click.argument("data", type=PATH)
@click.option("--audio", type=PATH, help="Folder of the audio, where DATA is a CSV.  [default: that of DATA]")
@click.option("--engine", is_flag=True, help="BUNDLE is a compiled engine.")
@click.option("--random", type=click.IntRange(min=1), metavar="N", help="Random crops.  [default: as many as chosen]")
@click.option("--choose", type=click.Choice(["classes", "sounds"]), help="Crops by another rule than BUNDLE's own.")
@click.option("--json", "report", type=PATH, metavar="FILE", help="Also write every figure of every class there.")
@click.option("--device", default="auto", help="cpu, cuda, cuda:1 ...", show_default=True)
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Processes that read clips.", show_default=True)
@click.option("--recipe", type=PATH, help="Judge on its scenes of unseen clips: DATA has corpus.csv and clips/.")
@click.option("--init", type=PATH, help="With --recipe: checkpoint of the base model, to compare with.")
@click.option("--work", type=PATH, help="With --recipe: folder for the rendered scenes.")
def evaluate(
    bundle: Path,
    data: Path,
    audio: Path | None,
    engine: bool,
    random: int | None,
    choose: str | None,
    report: Path | None,
    device: str,
    workers: int,
    recipe: Path | None,
    init: Path | None,
    work: Path | None,
) -> int:
    """Judge BUNDLE by labelled clips: mAP, mAUC and d-prime of each stream and of both, by each way to choose crops.

    DATA is a pack, a folder of packs, or a CSV as `glatd train pack` takes it. With --recipe, scenes are mixed of
    unseen clips, and BUNDLE's card is written again.
    """
    if recipe is not None:
        if init is None or work is None:
            raise ConfigError("--recipe needs --init, the base model's checkpoint, and --work, a folder for scenes")
        refuse_given(
            "--recipe judges scenes by their own measure",
            *("audio", "engine", "random", "choose", "report", "device", "workers"),
        )
        trainer("run").judge_bundle(bundle, recipe, init, data, work)
        return 0
    refuse_given("without --recipe no scenes are mixed", "init", "work")
    evaluation, looking, clips = (trainer(name) for name in ("evaluation", "looker", "data.clips"))
    if engine:
        refuse_given("where an engine runs and how it chooses crops is compiled into it", "device", "choose")
        looker = looking.compiled(bundle)
    else:
        model, described = trainer("bundle").read_bundle(bundle)
        looker = looking.Network(model, described.labels, looking.find_device(device), choose)
    given = clips.open_clips([data], audio, trainer("data.vocabulary").own_vocabulary(looker.labels))
    with progressing() as progress:
        found = evaluation.evaluate_clips(
            looker, given, random, workers, progress=lambda done: progress("judging", done, len(given))
        )
    if report is not None:
        evaluation.write_json(report, found)
    for line in evaluation.table(found):
        click.echo(line)
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
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("--out", type=PATH, required=True, help="Folder to write bundle/ and engine/ into.")
@click.option("--bundle", "base", type=PATH, help="Bundle to add to.  [default: the model that comes along]")
def finetune(folder: Path, out: Path, base: Path | None) -> int:
    """Add your own sounds to a model: DIR has a folder of 5 to 50 recordings for each.

    The folder's name is the sound's. A folder `background` may hold recordings of the place without them, the more
    like the real place the better. The classes there were stay as they are. Minutes on a CPU.
    """
    started = time.monotonic()
    module = trainer("finetune")
    base = base or default_bundle()
    with progressing() as progress:
        trials = module.finetune(folder, base, out, progress)
    for line in module.table(trials):
        click.echo(line)
    click.echo(f"\n{out / module.ENGINE} is ready after {time.monotonic() - started:.0f} s; listen with it:")
    click.echo(f"  glatd run --source mic: --engine {out / module.ENGINE}")
    return 0


@train.command()
@click.argument("table", type=PATH, metavar="CSV")
@click.option("--audio", type=PATH, help="Folder of the audio that CSV names.  [default: that of CSV]")
@click.option("--out", type=PATH, required=True, help="Folder of the packs.")
@click.option("--classes", type=PATH, help="File of class names, one a line.  [default: AudioSet's 527]")
@click.option("--seconds", type=float, default=10.0, help="Of a clip; longer ones are cut.", show_default=True)
@click.option("--per-file", type=click.IntRange(min=1), default=2000, help="Clips in a pack.", show_default=True)
@click.option("--jobs", type=int, metavar="N", help="Workers, one core each.  [default: all cores]")
def pack(
    table: Path, audio: Path | None, out: Path, classes: Path | None, seconds: float, per_file: int, jobs: int | None
) -> int:
    """Decode labelled clips, once, into packs at 32 kHz: HDF5 files in the layout of PANNs.

    CSV is one of AudioSet's own (YTID, start, end, mids; the audio Y<id>.<ext> or <id>_<start>.<ext> at any depth of
    a folder), or any with a column `file` and one of `labels` (names, ; between them) or `mids`. What cannot be
    read is left out, counted, and listed in OUT/broken.csv. Stop it at any time: the same command goes on.
    """
    import os

    listing, packing, vocabulary = (trainer(f"data.{name}") for name in ("listing", "packing", "vocabulary"))
    known = vocabulary.read_classes(classes) if classes else vocabulary.audioset_vocabulary()
    listed = listing.read_listing(table, audio, known)
    with progressing() as progress:
        done = packing.pack(listed, out, table.stem, known, jobs or os.cpu_count() or 1, progress, seconds, per_file)
    click.echo(f"{out}: {done.clips:,} clips in {done.files:,} packs, {done.kept:,} of which stood there already")
    if done.broken:
        click.echo(f"{len(done.broken):,} clips left out: {out / packing.BROKEN} says which, and why")
    if not done.clips:
        raise DataError(f"no clip of {table} could be read; {out / packing.BROKEN} says why")
    return 0


@train.command()
@click.argument("bundle", type=PATH)
@click.option("--recipe", type=PATH, required=True, help="The recipe that it was trained by.")
@click.option("--data", type=PATH, required=True, help="Folder with corpus.csv and clips/.")
def contrast(bundle: Path, recipe: Path, data: Path) -> int:
    """Give BUNDLE what new sounds are told from (contrast.npz), out of labelled clips."""
    asked = trainer("recipe").read_recipe(recipe)
    with progressing() as progress:
        made = trainer("contrast").make_contrast(bundle, asked, data, progress)
    click.echo(f"{made}: {made.stat().st_size / 1e6:.1f} MB")
    return 0


@train.command()
@click.argument("bundle", type=PATH)
@click.option("--grid", type=click.Choice(["stream", "clip"]), default="stream", show_default=True)
@click.option("--data", type=PATH, help="Labelled clips, for the certificate: a folder with corpus.csv and clips/.")
def export(bundle: Path, grid: str, data: Path | None) -> int:
    """Write the graphs of BUNDLE, which `glatd engine build` compiles.

    With --data also what the network says of labelled clips and scenes: an engine that is built is held against it,
    and int8 takes its ranges from it.
    """
    with progressing() as progress:
        sizes = trainer("export").export(bundle, grid, data, progress)
    click.echo(f"{bundle}: frontend, global, local; grid {sizes.grid}, {sizes.crops} crops")
    return 0


def default_bundle() -> Path:
    """The bundle of the model that comes along: of the checkout that runs, or of one that is the working directory.

    Raises:
        ConfigError: it is not there: an installed wheel has the engine alone.
    """
    for checkout in (Path(__file__).resolve().parents[2], Path.cwd()):
        folder = checkout / "models" / "glat-mn04"
        if (checkout / "pyproject.toml").is_file() and folder.is_dir():
            return folder
    raise ConfigError(
        "the default model's weights come with the source, not with the wheel; go into a checkout, or name a --bundle"
    )


def refuse_given(why: str, *names: str) -> None:
    """See that options were not given where they would be ignored.

    Args:
        why: they would be.
        names: of the command's parameters.

    Raises:
        ConfigError: one was.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name
        if name in names and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise ConfigError(f"{why}: {parameter.opts[0]} has no meaning there; leave it out")


def progressing() -> Any:
    """A bar or lines on stderr; a context, which leaves the terminal as it was."""
    return trainer("progress").Progress()


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
