"""To tell a node that runs: `glatd control`."""

from pathlib import Path

import click

from glatd.cli.options import CLIENT_KEYS, FORMAT


@click.command()
@click.argument("endpoint")
@click.argument("do", metavar="version|list|add|remove|mute|unmute|reload|rules|set")
@click.argument("what", nargs=-1, metavar="[[NAME=]URI|NAME [LABEL [KEY VALUE]]]")
@FORMAT
@click.option("--timeout", type=float, default=15.0, help="Seconds to wait for the reply.", show_default=True)
@CLIENT_KEYS
def control(endpoint: str, do: str, what: tuple[str, ...], form: str, timeout: float, keys: Path | None) -> int:
    """Tell the glatd whose control socket is ENDPOINT to add, remove or mute a stream, or change a rule."""
    from glatd.clients.control import ask
    from glatd.clients.remote import lines, values

    reply = ask(endpoint, do, timeout=timeout, keys=keys, **values(do, *what))
    click.echo("\n".join(lines(do, reply, form)))
    return 0
