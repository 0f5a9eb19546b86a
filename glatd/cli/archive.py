"""Any amount of recordings into tables, and tables into what labelling programs read: `glatd archive`."""

from pathlib import Path
from typing import Any

import click

from glatd.cli.options import PATH
from glatd.errors import ConfigError

FORMATS = ("audacity", "raven", "csv", "rttm")


class Exports(click.Command):
    """`glatd archive export` is a command of its own; a recording of that name is `./export`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """That of the command which is asked for."""
        if args and args[0] == "export":
            return export.make_context(f"{info_name} export", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=Exports)
@click.argument("paths", nargs=-1, metavar="PATH|GLOB|URL...")
@click.option("--out", required=True, metavar="DIR|URL", help="Where the tables are kept; what is there is not redone.")
@click.option("--list", "listing", metavar="FILE", help="Also what FILE names, one a line; - for stdin.")
@click.option("--engine", help="Engine folder, or auto.  [default: auto]")
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96]")
@click.option("--rules", type=PATH, metavar="CONFIG", help="Decide on events by [events] of this configuration.")
@click.option(
    "--scores",
    type=click.Choice(["top", "all", "half"]),
    default="top",
    help="Ten tags a window; or the scores of every class besides, as float32 or float16.",
    show_default=True,
)
@click.option("--jobs", type=int, metavar="N", help="Workers, one core each.  [default: all cores]")
@click.option("--ray", metavar="ADDRESS", help="Work on this Ray cluster: HOST:PORT, or auto.")
@click.option("--part-hours", type=float, default=4.0, help="Audio in a file of the tables, about.", show_default=True)
def archive(paths: tuple[str, ...], listing: str | None, **options: Any) -> int:
    """Tag any amount of recordings to Parquet.

    PATH is a recording, a folder with recordings at any depth, or what `glatd run --record` has made; a GLOB may have
    **; a URL (s3://, gs://, ...) is anything that fsspec reads. DIR gets three tables: windows (a row for each 10 s,
    every 0.96 s), events (a row each, with evidence) and inputs (a row a recording), each a folder of Parquet files,
    and bad.jsonl, which names what could not be heard, or not all of it. What is said is what glatd replay says.

    Stop it at any time (Ctrl-C, a kill, a power cut): the same command goes on. With more PATHs it adds; a recording
    that has changed is tagged again; another engine or other settings are refused. Exit code 3: some were bad.

    \b
    glatd archive export DIR --to audacity --out LABELS    for those who label (also raven, csv, rttm)
    """
    try:
        from glatd.daemon.archive.command import archive as run
        from glatd.daemon.archive.command import read_list
    except ModuleNotFoundError as error:
        raise needs(error) from error
    named = [*paths, *(read_list(listing) if listing else [])]
    if not named:
        raise ConfigError("nothing to tag; name recordings, folders, globs or URLs")
    return run(named, **options)


@click.command()
@click.argument("folder", metavar="DIR|URL")
@click.option("--to", "form", type=click.Choice(FORMATS), required=True, help="What the files are for.")
@click.option("--out", type=PATH, required=True, metavar="DIR2", help="Folder for them, laid out as the recordings.")
@click.option("--label", "labels", multiple=True, metavar="NAME", help="Only events of this class; may be repeated.")
@click.option("--least", type=float, default=0.0, metavar="PEAK", help="Only events whose best score is as high.")
def export(folder: str, form: str, out: Path, labels: tuple[str, ...], least: float) -> int:
    """Write the events of an archive for a labelling program: one file for each recording.

    \b
    audacity   label track                    NAME.txt
    raven      selection table                NAME.Table.1.selections.txt
    csv        all that is known of an event  NAME.csv
    rttm       SPEAKER lines                  NAME.rttm
    """
    try:
        from glatd.daemon.archive.export import export as run
    except ModuleNotFoundError as error:
        raise needs(error) from error
    click.echo(run(folder, form, out, labels, least))
    return 0


def needs(error: ModuleNotFoundError) -> ConfigError:
    """What to install."""
    return ConfigError(f"glatd archive needs {error.name}; pip install 'glatd[archive]'")
