"""To hear and to tell a node that runs: `glatd listen`, `glatd control`."""

from pathlib import Path

import click

from glatd.cli.options import CLIENT_KEYS, FORMAT
from glatd.errors import ConfigError
from glatd.terminal import Printer, tell


@click.command()
@click.argument("endpoint")
@click.option("--stream", default="*", metavar="GLOB", help="Only streams whose name fits.", show_default=True)
@click.option("--label", metavar="NAME", help="Only windows with this tag, and only that tag.")
@click.option("--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
@click.option("--timeout", type=float, help="End after so many seconds of quiet.")
@CLIENT_KEYS
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
