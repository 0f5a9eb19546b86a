"""Several boxes as one: `glatd hub`."""

from pathlib import Path

import click

from glatd.cli.options import PATH
from glatd.terminal import stop_on_signals


@click.command()
@click.option("--in", "boxes", multiple=True, metavar="ENDPOINT", help="Where a box publishes; again for each box.")
@click.option("--out", metavar="ENDPOINT", help="ZeroMQ endpoint to bind.  [default: tcp://127.0.0.1:5555]")
@click.option("--keys", metavar="DIR", help="Only clients of these keys may connect (glatd keys).")
@click.option("--config", type=PATH, help="File with the boxes, their catch-up and keys; docs/fleet.md.")
def hub(boxes: tuple[str, ...], out: str | None, keys: str | None, config: Path | None) -> int:
    """Publish what several boxes do at one endpoint, until stopped."""
    import threading
    from contextlib import closing

    from glatd.daemon.hub import Hub, read_hub

    stopped = threading.Event()
    stop_on_signals(stopped.set)
    with closing(Hub(read_hub(config, boxes, out, keys))) as running:
        running.run(stopped)
    return 0
