"""What this machine holds: `glatd bench`."""

from pathlib import Path

import click

from glatd.cli.options import FORMAT, PATH, local_option
from glatd.errors import ConfigError


@click.command()
@click.option(
    "--streams", default="auto", show_default=True, metavar="auto|N", help="How many are held; what to set for N."
)
@click.option("--engine", "engines", multiple=True, metavar="DIR", help="Preferred first.  [default: auto]")
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96]")
@local_option("all")
@click.option("--crops", type=int, metavar="K", help="Of top-k.  [default: 5]")
@click.option("--threads", type=int, help="Windows side by side.  [default: one a core]")
@click.option("--config", type=PATH, help="Take these from a configuration.")
@click.option("--seconds", default=15.0, show_default=True, help="Of each attempt in real time.")
@FORMAT
def bench(
    streams: str,
    engines: tuple[str, ...],
    config: Path | None,
    seconds: float,
    form: str,
    hop: float | None,
    local: str | None,
    crops: int | None,
    threads: int | None,
) -> int:
    """How many streams this machine holds in real time, and what to set for more: engine, hop, second looks.

    The daemon's own loop listens to so many streams of PCM that are made up; they are held if 99 of 100 windows are
    less than a hop late and nothing is lost. Nothing else should run meanwhile. Takes one to three minutes.
    """
    from glatd.daemon.planner.bench import as_text
    from glatd.daemon.planner.bench import bench as measure
    from glatd.daemon.settings import read_settings

    wanted = read_streams(streams)
    if not 1 <= seconds < float("inf"):
        raise ConfigError(f"--seconds {seconds:g} must be 1 or more")
    settings = read_settings(config, hop=hop, local=local, crops=crops, threads=threads)
    folders = [None if name == "auto" else Path(name) for name in engines or (settings.engine,)]
    plan = measure(wanted, folders, settings, seconds, lambda line: click.echo(line, err=True))
    click.echo(plan.as_json() if form == "json" else as_text(plan))
    return 0 if wanted is None or plan.recommended is not None else 1


def read_streams(text: str) -> int | None:
    """A number of streams; None for `auto`.

    Raises:
        ConfigError: neither.
    """
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 1024):
        raise ConfigError(f"--streams {text!r} must be auto or a number from 1 to 1024")
    return int(text)
