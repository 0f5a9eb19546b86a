"""What there is on this machine: `glatd devices`, `glatd check`, `glatd doctor`."""

from pathlib import Path

import click

from glatd.cli.options import FORMAT, PATH


@click.command()
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


@click.command()
@click.argument("config", type=PATH)
def check(config: Path) -> int:
    """Check a configuration without listening: its keys, sources, engine, hop, and where it writes."""
    from glatd.daemon.assembly import check_guarded, make_engine, make_sources
    from glatd.daemon.candidate import read_beside
    from glatd.daemon.places import places
    from glatd.daemon.settings import read_settings

    settings = read_settings(config)
    sources = make_sources(settings)
    check_guarded(settings, sources)
    written = list(places(settings))
    manifest = make_engine(settings).manifest
    shadow = read_beside(Path(settings.shadow), manifest) if settings.shadow else None
    click.echo(f"node     {settings.node_name}")
    click.echo(f"publish  {settings.publish or 'nothing'}")
    click.echo(f"control  {settings.control or 'off'}")
    click.echo(f"metrics  {settings.metrics or 'off'}")
    click.echo(f"keys     {settings.keys or 'none: whoever reaches a socket may use it'}")
    click.echo(
        f"engine   {manifest.model} for {manifest.runtime.target}, {manifest.runtime.precision}, {manifest.hash}"
    )
    if shadow is not None:
        click.echo(f"shadow   {shadow.model} for {shadow.runtime.target}, {shadow.runtime.precision}, {shadow.hash}")
    click.echo(f"hop      {settings.hop:g} s, {settings.crops if settings.local == 'top-k' else 'all'} crops")
    for name, text in written:
        click.echo(f"{name:<8} {text}")
    for source in sources:
        click.echo(f"source   {source.name} = {source.uri}")
    return 0


@click.command()
@click.option("--config", type=PATH, help="Configuration file (glatd.toml), whose sources are listened to.")
@click.option("--record", type=PATH, metavar="DIR", help="Is there room to record in DIR?  [default: the file's]")
@FORMAT
def doctor(config: Path | None, record: Path | None, form: str) -> int:
    """What is wrong on this machine, and how to mend it; exit code 1 where something is."""
    from glatd.daemon.doctor.visit import visit

    return visit(config, record, form)
