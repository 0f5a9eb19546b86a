"""A node at a glance: `glatd top`."""

from pathlib import Path

import click

from glatd.cli.options import CLIENT_KEYS
from glatd.errors import ConfigError
from glatd.terminal import stop_on_signals


@click.command()
@click.argument("endpoint")
@click.option("--stream", multiple=True, metavar="GLOB", help="Only streams whose name fits.")
@click.option("--once", is_flag=True, help="Print one page and end.")
@CLIENT_KEYS
def top(endpoint: str, stream: tuple[str, ...], once: bool, keys: Path | None) -> int:
    """Watch a node: its streams, what they hear, the last events. Ctrl-C ends it.

    Where there is no terminal it prints a page every ten seconds.
    """
    try:
        from rich.console import Console

        from glatd.clients.top.watch import Watch
    except ModuleNotFoundError as error:
        raise ConfigError(f"glatd top needs {error.name}; pip install 'glatd[top]'") from error
    watch = Watch(endpoint, stream, keys)
    stop_on_signals(watch.stop)
    watch.show(Console(highlight=False), once)
    return 0
