"""The command line: every subcommand is named here, and what it needs is imported when it runs."""

import sys
from pathlib import Path
from typing import Any

import click

import glatd
from glatd.errors import ConfigError, GlatdError
from glatd.logs import set_up_logging
from glatd.terminal import Printer, tell

# click's Path type would check existence with a message of its own; ours name the remedy.
PATH = click.Path(path_type=Path)


# Without a command click would print its help as an error, which is more than a line.
@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(glatd.__version__, package_name="glatd", message="glatd %(version)s")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of the log on stderr.")
def cli(log_format: str) -> None:
    """Listen to microphones, streams and recordings, and tell what sounds in them."""
    set_up_logging(log_format)


@cli.command()
@click.option("--config", type=PATH, help="Configuration file (glatd.toml).")
@click.option(
    "--source", multiple=True, metavar="[NAME=]URI", help="mic:, mic:NAME, file:PATH, tcp://HOST:PORT?rate=..."
)
@click.option("--engine", help="Engine folder, or auto.  [default: auto]")
@click.option("--publish", metavar="ENDPOINT", help="ZeroMQ endpoint to bind.  [default: tcp://127.0.0.1:5555]")
@click.option("--keys", metavar="DIR", help="Only clients of these keys may connect (glatd keys).")
@click.option("--node", help="Name of this box in topics.  [default: the host's name]")
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96]")
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
    return run_daemon(read(), None if form == "none" else printer, read if config else None)


@cli.command()
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
@click.option(
    "--wait", type=float, default=5.0, help="Seconds to wait for a first subscriber when publishing.", show_default=True
)
@click.option("--hop", type=float, help="Seconds between windows.  [default: 0.96, or as in REC]")
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


@cli.command()
@click.argument("endpoint")
@click.option("--stream", default="*", metavar="GLOB", help="Only streams whose name fits.", show_default=True)
@click.option("--label", metavar="NAME", help="Only windows with this tag, and only that tag.")
@click.option("--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
@click.option("--timeout", type=float, help="End after so many seconds of quiet.")
@click.option("--keys", type=PATH, metavar="FILE", help="What `glatd keys add` made for you.")
def listen(endpoint: str, stream: str, label: str | None, form: str, timeout: float | None, keys: Path | None) -> int:
    """Print what a node publishes."""
    import dataclasses

    from glatd.clients.subscriber import Subscriber
    from glatd.messages import Tags

    if label is not None:
        from glatd.labels import class_index

        class_index(label)  # a misspelt label would silently show nothing
    printer = Printer(form, names=True)
    with Subscriber(endpoint, stream=stream, timeout=timeout, keys=keys) as messages:
        try:
            for message in messages:
                if label is not None:
                    if not isinstance(message, Tags):
                        continue
                    wanted = tuple(tag for tag in message.tags if tag.label == label)
                    if not wanted:
                        continue
                    message = dataclasses.replace(message, tags=wanted)
                printer(message)
        except KeyboardInterrupt:
            pass
        if messages.missed:
            tell(ConfigError(f"{messages.missed} windows were dropped on the way; read faster or subscribe to less"))
    return 0


@cli.command()
def devices() -> int:
    """List the microphones."""
    from glatd.daemon.sources.devices import list_input_devices, with_lasting_names

    listed = with_lasting_names(list_input_devices())
    for device in listed:
        mark = "*" if device.default else " "
        many = "channels" if device.channels > 1 else "channel"
        known = "as its source has them" if device.guessed else f"{device.channels} {many}, {device.rate:g} Hz"
        click.echo(f"{mark} mic:{device.name}  ({known})")
    if any(device.channels > 1 or device.guessed for device in listed):
        click.echo("A microphone's second channel alone: mic:NAME?channel=2")
    return 0


@cli.command()
@click.argument("config", type=PATH)
def check(config: Path) -> int:
    """Check a configuration without listening: its keys, sources, engine, hop."""
    from glatd.daemon.serve import check_guarded, make_engine, make_sources
    from glatd.daemon.settings import read_settings

    settings = read_settings(config)
    sources = make_sources(settings)
    check_guarded(settings, sources)
    manifest = make_engine(settings).manifest
    click.echo(f"node     {settings.node_name}")
    click.echo(f"publish  {settings.publish or 'nothing'}")
    click.echo(f"control  {settings.control or 'off'}")
    click.echo(f"keys     {settings.keys or 'none: whoever reaches a socket may use it'}")
    click.echo(
        f"engine   {manifest.model} for {manifest.runtime.target}, {manifest.runtime.precision}, {manifest.hash}"
    )
    click.echo(f"hop      {settings.hop:g} s, {settings.crops} crops")
    for source in sources:
        click.echo(f"source   {source.name} = {source.uri}")
    return 0


@cli.command()
@click.option("--config", type=PATH, help="Configuration file (glatd.toml), whose sources are listened to.")
@click.option("--record", type=PATH, metavar="DIR", help="Is there room to record in DIR?  [default: the file's]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(config: Path | None, record: Path | None, form: str) -> int:
    """What is wrong on this machine, and how to mend it; exit code 1 where something is."""
    from glatd.daemon.doctor.visit import visit

    return visit(config, record, form)


@cli.command()
@click.argument("endpoint")
@click.argument("do", metavar="version|list|add|remove|mute|unmute|reload")
@click.argument("what", required=False, metavar="[[NAME=]URI|NAME]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--timeout", type=float, default=15.0, help="Seconds to wait for the reply.", show_default=True)
@click.option("--keys", type=PATH, metavar="FILE", help="What `glatd keys add` made for you.")
def control(endpoint: str, do: str, what: str | None, form: str, timeout: float, keys: Path | None) -> int:
    """Tell the glatd whose control socket is ENDPOINT to add, remove or mute a stream."""
    from glatd.clients.control import ask
    from glatd.clients.remote import lines, values

    reply = ask(endpoint, do, timeout=timeout, keys=keys, **values(do, what))
    click.echo("\n".join(lines(do, reply, form)))
    return 0


KEYS = click.option("--dir", "folder", type=PATH, default="keys", metavar="DIR", help="Of keys.", show_default=True)


@cli.group(no_args_is_help=False)
def keys() -> None:
    """Who may connect to this node: its keys, and those of its clients."""


@keys.command("init")
@KEYS
def init_keys(folder: Path) -> int:
    """Make the keys of the node, and a list of clients with nobody in it."""
    from glatd.daemon.security.keyring import init

    public = init(folder)
    click.echo(f"{folder}: keys of a node whose public key is {public}")
    click.echo(f'now: keys = "{folder.absolute()}" in glatd.toml, and glatd keys add NAME --dir {folder}')
    return 0


@keys.command("add")
@click.argument("name")
@click.option("--rights", default="subscribe", help="Any of subscribe,feed,control.", show_default=True)
@KEYS
def add_client(name: str, rights: str, folder: Path) -> int:
    """Let NAME in: makes the file of keys that is to be handed to it."""
    from glatd.daemon.security.keyring import add

    file = add(folder, name, [right.strip() for right in rights.split(",") if right.strip()])
    click.echo(f"{file}: a secret; move it to where {name} runs, and give it there as --keys FILE")
    return 0


@keys.command("list")
@KEYS
def list_clients(folder: Path) -> int:
    """Who is let in, to do what, since when, by which public key."""
    from glatd.daemon.security.keyring import clients

    for client in clients(folder):
        state = f"revoked {client.revoked}" if client.revoked else ",".join(client.rights)
        click.echo(f"{client.name:<20} {state:<24} {client.since}  {client.public}")
    return 0


@keys.command("revoke")
@click.argument("name")
@KEYS
def revoke_client(name: str, folder: Path) -> int:
    """Let NAME in no more; its connections are closed within a second."""
    from glatd.daemon.security.keyring import revoke

    revoke(folder, name)
    click.echo(f"{name} is let in no more")
    return 0


@cli.group(no_args_is_help=False)
def engine() -> None:
    """Compile a weights bundle, and look at what was compiled."""


@engine.command()
@click.argument("bundle", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder of the engine.")
@click.option("--target", default="cpu", help="What to build for: cpu.", show_default=True)
@click.option(
    "--precision",
    default="float32",
    help="float32, or what the CPU is faster at: bfloat16, float16.",
    show_default=True,
)
def build(bundle: Path, out: Path, target: str, precision: str) -> int:
    """Compile the graphs of BUNDLE into an engine."""
    from glatd.engines.build import build_engine

    manifest = build_engine(bundle, out, target, precision)
    click.echo(f"{out}: {manifest.model} for {target}, {precision}, {manifest.hash}")
    return 0


@engine.command()
@click.argument("folder", type=PATH, required=False)
def show(folder: Path | None) -> int:
    """Say what an engine is (the default one, if no FOLDER is given)."""
    from glatd.engines.load import default_engine
    from glatd.engines.manifest import read_manifest

    manifest = read_manifest(folder or default_engine())
    sizes, runtime = manifest.geometry, manifest.runtime
    frame = sizes.hop / sizes.rate  # s
    rows = {
        "model": manifest.model,
        "hash": manifest.hash,
        "target": f"{runtime.target} ({runtime.name} {runtime.version}), {runtime.precision}",
        "audio": f"{sizes.rate} Hz, {sizes.mels} mel bins every {sizes.hop} samples",
        "window": f"{sizes.window * frame:g} s, {sizes.crops} crops of {sizes.crop * frame:g} s, grid {sizes.grid}",
        "hop": f"a multiple of {sizes.stride * frame:g} s",
        "labels": str(len(manifest.labels)),
        "size": f"{sum(entry.bytes for entry in manifest.files) / 1e6:.1f} MB",
        "licence": manifest.licence,
        **manifest.provenance,
    }
    for name, value in rows.items():
        click.echo(f"{name:<16} {value}")
    return 0


@engine.command()
@click.argument("folder", type=PATH, required=False)
def verify(folder: Path | None) -> int:
    """Check an engine's files, and its answers against the network that it was built from."""
    from glatd.engines.load import default_engine
    from glatd.engines.verify import verify_engine

    verdict = verify_engine(folder or default_engine())
    click.echo(f"log-mel          largest difference {verdict.frames:.2e}")
    click.echo(f"global scores    largest difference {verdict.global_:.2e}")
    click.echo(f"fused scores     largest difference {verdict.fused:.2e}, allowed {verdict.tolerance:g}")
    click.echo(f"crops            {100 * verdict.crops:.0f} % at the same place for the same class")
    click.echo("good" if verdict.good else "beyond the tolerance: build it again, or in float32")
    return 0 if verdict.good else 4


@cli.group(no_args_is_help=False)
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


def main() -> None:
    """Entry point: errors become one line and an exit code."""
    try:
        code = cli.main(prog_name="glatd", standalone_mode=False)
    except GlatdError as error:
        tell(error)
        code = error.exit_code
    except click.ClickException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "glatd")
        tell(ConfigError(f"{error.format_message()} (see `{command} --help`)"))
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
