"""What is told, and why: `glatd calibrate`, `glatd explain`; and what people said of it: `glatd verdicts`."""

from pathlib import Path

import click

from glatd.cli.options import FORMAT, PATH
from glatd.errors import ConfigError
from glatd.terminal import tell

RULES = click.option(
    "--rules", type=PATH, metavar="CONFIG", help="Decide by [events] of this configuration, not as in REC."
)
ENGINE = click.option("--engine", help="Engine folder, or auto.  [default: auto]")


@click.command()
@click.argument("recordings", nargs=-1, required=True, type=PATH, metavar="FILE|REC...")
@click.option(
    "--false-alarms-per-hour",
    "rate",
    type=float,
    metavar="N",
    help="How often a class may be told where nothing is to be told.  [default: 0.2; with --labels no limit]",
)
@click.option(
    "--labels", type=PATH, metavar="FILE", help="Table of filename, onset, offset, event_label: best event F1."
)
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Only this stream, and rules for it alone.")
@click.option("--out", type=PATH, metavar="FILE", help="Write the rules into FILE.  [default: stdout]")
@RULES
@ENGINE
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96, or as in REC]")
def calibrate(
    recordings: tuple[Path, ...],
    rate: float | None,
    labels: Path | None,
    streams: tuple[str, ...],
    out: Path | None,
    rules: Path | None,
    engine: str | None,
    hop: float | None,
) -> int:
    """Set the thresholds of every class, from a recording of the site or from labelled data.

    FILE and REC are as for glatd replay. Without labels, all that is told of them counts as a false alarm: give hours
    in which nothing happened that you want to be told. The rules go to stdout, or into --out; what they rest on is
    told on stderr.
    """
    from glatd.daemon.calibrate.run import run

    if rate is not None and not 0 < rate < float("inf"):
        raise ConfigError(f"--false-alarms-per-hour {rate:g} must be a number above 0, for example 0.2")
    text = run(recordings, rate, labels, streams, rules, {"engine": engine, "hop": hop})
    if out is None:
        click.echo(text, nl=False)
        return 0
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}; choose another file for --out") from error
    click.echo(f"{out}: try it with glatd replay REC --rules {out}", err=True)
    return 0


@click.command()
@click.argument("recording", type=PATH, metavar="FILE|REC")
@click.option("--label", required=True, metavar="NAME", help="The class: Dog.")
@click.option("--at", type=float, required=True, metavar="SECONDS", help="Since the start of the stream.")
@click.option("--stream", metavar="NAME", help="Which stream of REC.  [default: its only one]")
@RULES
@ENGINE
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96, or as in REC]")
@FORMAT
def explain(
    recording: Path,
    label: str,
    at: float,
    stream: str | None,
    rules: Path | None,
    engine: str | None,
    hop: float | None,
    form: str,
) -> int:
    """Tell why a class was told at a second of a recording, or why not: every gate with its numbers."""
    import json

    from glatd.daemon.assembly import make_engine
    from glatd.daemon.events.explain import Asking, Explanation, as_map, as_text
    from glatd.daemon.events.rehearse import Progress, length_of, rehearse
    from glatd.daemon.replay import plan
    from glatd.daemon.settings import read_settings

    events = None if rules is None else read_settings(rules).events
    parts = plan((recording,), (stream,) if stream else (), {"engine": engine, "hop": hop, "top": 1, "events": events})
    if len(parts) != 1:
        names = ", ".join(part.source.name for part in parts) or "none"
        raise ConfigError(f"{recording} has {len(parts)} streams ({names}); name one recording, and one with --stream")
    (part,) = parts
    length = length_of(part.source)
    if not 0 <= at < float("inf") or (length is not None and at >= length):
        raise ConfigError(f"--at {at:g} is not in {part.source.name}, which has {length or 0:.1f} s")
    made = make_engine(part.settings)
    if label not in made.manifest.names:
        from glatd.labels import class_index

        class_index(label)  # names the nearest
        raise ConfigError(f"--label {label!r} is no class of this engine")
    index = made.manifest.names.index(label)
    after = at + made.sizes.window * made.sizes.hop / made.sizes.rate + part.settings.events.hold
    asking, _ = rehearse(
        part,
        made,
        lambda announcer, rules: Asking(announcer, rules, index, at),
        after,
        Progress(part.source.name, min(after, length or after), lambda line: click.echo(line, err=True), 5.0),
        tell,
    )
    found: Explanation = asking.found
    click.echo(json.dumps(as_map(found), indent=1) if form == "json" else "\n".join(as_text(found)))
    return 0


@click.command()
@click.argument("journal", type=PATH, metavar="JOURNAL")
@click.option("--clips", type=PATH, required=True, metavar="DIR", help="Folder of the clips ([clips] folder).")
@click.option("--out", type=PATH, required=True, metavar="SOUNDS", help="Folder for glatd train finetune.")
@click.option("--label", default="", metavar="NAME", help="Only events of this class.")
@click.option("--as", "name", default="", metavar="NAME", help="Name of the confirmed sound.  [default: its class]")
def verdicts(journal: Path, clips: Path, out: Path, label: str, name: str) -> int:
    """Lay out the clips of events that were confirmed or rejected on the dashboard, for `glatd train finetune`.

    JOURNAL is the folder of the event journal. Confirmed clips go into SOUNDS/NAME, rejected ones into
    SOUNDS/background.
    """
    try:
        from glatd.daemon.web.gathering import gather
    except ModuleNotFoundError as error:
        raise ConfigError(f"verdicts need {error.name}; pip install 'glatd[web]'") from error

    found = gather(journal, clips, out, label, name)
    for folder, count in sorted(found.confirmed.items()):
        click.echo(f"{out / folder}: {count} confirmed")
    click.echo(f"{out / 'background'}: {found.rejected} rejected")
    if found.without_clip:
        click.echo(f"{found.without_clip} judged events have no clip (any more)", err=True)
    return 0
