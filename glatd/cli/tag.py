"""To listen and to replay: `glatd run`, `glatd replay`."""

from pathlib import Path
from typing import Any

import click

from glatd.cli.options import PATH, local_option
from glatd.errors import ConfigError
from glatd.terminal import Printer, tell


@click.command()
@click.option("--config", type=PATH, help="Configuration file (glatd.toml).")
@click.option(
    "--source", multiple=True, metavar="[NAME=]URI", help="mic:, mic:NAME, file:PATH, tcp://HOST:PORT?rate=..."
)
@click.option("--engine", help="Engine folder, or auto.  [default: auto]")
@click.option("--publish", metavar="ENDPOINT", help="ZeroMQ endpoint to bind.  [default: tcp://127.0.0.1:5555]")
@click.option("--keys", metavar="DIR", help="Only clients of these keys may connect (glatd keys).")
@click.option("--node", help="Name of this box in topics.  [default: the host's name]")
@click.option("--shadow", metavar="DIR", help="An engine that looks beside it and is only compared.")
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96]")
@local_option("all")
@click.option("--record", metavar="DIR", help="Also record into DIR what every stream hears and what is said of it.")
@click.option(
    "--format", "form", type=click.Choice(["none", "text", "jsonl"]), default="none", help="Print messages on stdout."
)
def run(config: Path | None, source: tuple[str, ...], form: str, **options: Any) -> int:
    """Listen to the sources and publish until stopped."""
    from glatd.daemon.serve import run as run_daemon
    from glatd.daemon.settings import Settings, SourceSettings, read_settings

    sources = tuple(SourceSettings(uri=text) for text in source) or None

    def read() -> Settings:
        return read_settings(config, source=sources, **options)

    printer = Printer(form, names=True)
    run_daemon(read(), None if form == "none" else printer, read if config else None)


@click.command()
@click.argument("recordings", nargs=-1, required=True, type=PATH, metavar="FILE|REC...")
@click.option("--engine", help="Engine folder, or auto.  [default: auto]")
@click.option(
    "--speed", default="max", metavar="X|max", help="Times real time, or as fast as it goes.", show_default=True
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["none", "text", "jsonl"]),
    help="Print messages on stdout.  [default: text; none with --expect]",
)
@click.option(
    "--scores",
    type=click.Choice(["top", "all"]),
    help="Ten tags a window, or every class.  [default: top, or as in REC]",
)
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Replay only this stream.")
@click.option(
    "--expect", type=PATH, metavar="FILE", help="Compare with messages of before (said.jsonl); 1 if they differ."
)
@click.option("--publish", metavar="ENDPOINT", help="Also publish the messages on this ZeroMQ endpoint.")
@click.option("--keys", metavar="DIR", help="Only clients of these keys may subscribe to it (glatd keys).")
@click.option(
    "--wait", type=float, default=5.0, help="Seconds to wait for a first subscriber when publishing.", show_default=True
)
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96, or as in REC]")
@local_option("all, or as in REC")
@click.option("--node", help="Name of this box in topics.  [default: the host's name, or as in REC]")
@click.option(
    "--rules", type=PATH, metavar="CONFIG", help="Decide on events by [events] of this configuration, not as in REC."
)
def replay(
    recordings: tuple[Path, ...],
    speed: str,
    form: str | None,
    scores: str | None,
    streams: tuple[str, ...],
    expect: Path | None,
    publish: str | None,
    wait: float,
    rules: Path | None,
    **options: Any,
) -> int:
    """Tag recordings once more, one after the other, as if they were live.

    FILE is any recording, or a folder of them. REC is a folder that `glatd run --record` has made: each stream of it
    is replayed with the settings that it was recorded with.
    """
    from glatd.daemon.recording.expected import Expected
    from glatd.daemon.replay import Replay, plan
    from glatd.daemon.settings import read_settings

    top = {"all": 0, "top": 10, None: None}[scores]
    events = None if rules is None else read_settings(rules).events
    parts = plan(recordings, streams, {"publish": publish or "", "top": top, "events": events, **options})
    expected = None if expect is None else Expected(expect)
    form = form or ("none" if expected else "text")
    printer = Printer(form, names=len(parts) > 1)
    replaying = Replay(parts, read_speed(speed), [] if form == "none" else [printer], expected, bool(streams))
    code = replaying.run(wait, tell)
    printer.close()
    if expected is None:
        return code
    return code or replaying.judge(lambda line: click.echo(line, err=form != "none"))


def read_speed(text: str) -> float | None:
    """`max` or a positive number.

    Raises:
        ConfigError: neither.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigError(f"--speed {text!r} must be max or a number above 0, for example 1.0")
    return speed
