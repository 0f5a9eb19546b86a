"""Who may connect: `glatd keys`."""

from pathlib import Path

import click

from glatd.cli.options import PATH

KEYS = click.option("--dir", "folder", type=PATH, default="keys", metavar="DIR", help="Of keys.", show_default=True)


@click.group(no_args_is_help=False)
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
