"""To hand events on to what does not speak ZeroMQ: `glatd bridge`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from glatd.cli.options import CLIENT_KEYS, PATH

Command = TypeVar("Command", bound=Callable[..., Any])


def feed_options(command: Command) -> Command:
    """What every bridge is told of the nodes; fields of `BridgeSettings`."""
    for option in reversed(
        (
            click.option("--config", type=PATH, metavar="FILE", help="TOML file with these options as keys."),
            click.option(
                "--publish", multiple=True, metavar="ENDPOINT", help="Where a node publishes.  [tcp://127.0.0.1:5555]"
            ),
            click.option("--catchup", multiple=True, metavar="ENDPOINT", help="Where it answers who was away."),
            click.option("--cursor", metavar="FILE", help="Remembers what was handed over."),
            CLIENT_KEYS,
            click.option("--stream", metavar="GLOB", help="Only streams whose name fits.  [default: *]"),
            click.option("--label", multiple=True, metavar="NAME", help="Only this class, or group and all below it."),
            click.option(
                "--fresh", type=click.Choice(["first", "now"]), help="Begin with all that is kept, or now.  [now]"
            ),
        )
    ):
        command = option(command)
    return command


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a command as fields of its settings."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}


@click.group(no_args_is_help=False)
def bridge() -> None:
    """Hand events on, none lost: to MQTT and Home Assistant, and others."""
