"""To tell a node that runs: `glatd control`."""

from pathlib import Path

import click

from glatd.cli.options import CLIENT_KEYS, FORMAT


@click.command()
@click.argument("endpoint")
@click.argument("do", metavar="version|list|add|remove|mute|unmute|reload|rules|set|engine")
@click.argument("what", nargs=-1, metavar="[[NAME=]URI|NAME [LABEL [KEY VALUE]]|DIR]")
@FORMAT
@click.option("--timeout", type=float, help="Seconds to wait for the reply.  [default: 15; 300 for reload and engine]")
@CLIENT_KEYS
def control(endpoint: str, do: str, what: tuple[str, ...], form: str, timeout: float | None, keys: Path | None) -> int:
    """Tell the glatd whose control socket is ENDPOINT to change its streams, a rule or its engine."""
    from glatd.clients.control import ask
    from glatd.clients.remote import PATIENCE, USUAL_PATIENCE, lines, values

    given = values(do, *what)
    patience = PATIENCE.get(do, USUAL_PATIENCE) if timeout is None else timeout
    reply = ask(endpoint, do, timeout=patience, keys=keys, **given)
    click.echo("\n".join(lines(do, reply, form)))
    return 0
