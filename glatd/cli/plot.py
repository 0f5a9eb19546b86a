"""Pictures of the method: `glatd plot`."""

from pathlib import Path

import click

from glatd.cli.decide import ENGINE, RULES
from glatd.cli.options import PATH, local_option
from glatd.errors import ConfigError
from glatd.terminal import tell


@click.command()
@click.argument("recording", type=PATH, metavar="FILE|REC")
@click.option("--out", type=PATH, required=True, metavar="PICTURE", help="x.png, x.svg or x.pdf.")
@click.option(
    "--at", type=float, metavar="SECONDS", help="The window around this second.  [default: the whole recording]"
)
@click.option("--stream", metavar="NAME", help="Which stream of REC.  [default: its only one]")
@RULES
@ENGINE
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96, or as in REC]")
@local_option("all")
def plot(
    recording: Path,
    out: Path,
    at: float | None,
    stream: str | None,
    rules: Path | None,
    engine: str | None,
    hop: float | None,
    local: str | None,
) -> int:
    """Draw what the networks see in a recording, where they look twice, and what is told of it.

    With --at it is one window: the log-mel picture with the crops on it, the class-wise activations and the moments
    that they chose, and the scores of both looks. Without it, the whole recording: what was active when, and the
    events.
    """
    try:
        from glatd.daemon.plot.draw import plot as draw
    except ModuleNotFoundError as error:
        raise ConfigError(f"glatd plot needs {error.name}; pip install 'glatd[plot]'") from error
    from glatd.daemon.settings import read_settings

    events = None if rules is None else read_settings(rules).events
    given = {"engine": engine, "hop": hop, "local": local, "events": events}
    draw(recording, out, at, stream, given, lambda line: click.echo(line, err=True), tell)
    click.echo(f"{out}", err=True)
    return 0
