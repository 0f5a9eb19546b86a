"""What several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

# click's Path type would check existence with a message of its own; ours name the remedy.
PATH = click.Path(path_type=Path)
# By the environment too: a container's health check is the same command with keys and without.
CLIENT_KEYS = click.option(
    "--keys", type=PATH, metavar="FILE", envvar="GLATD_CLIENT_KEYS", show_envvar=True,
    help="What `glatd keys add` made for you.",
)  # fmt: skip
FORMAT = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)


def local_option(default: str) -> Callable[[Command], Command]:
    """`--local`, of a command that takes `default` without it."""
    text = f"Second looks: everywhere, or where chosen.  [default: {default}]"
    return click.option("--local", type=click.Choice(["top-k", "all"]), help=text)
