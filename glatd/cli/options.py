"""What several commands share."""

from pathlib import Path

import click

# click's Path type would check existence with a message of its own; ours name the remedy.
PATH = click.Path(path_type=Path)
CLIENT_KEYS = click.option("--keys", type=PATH, metavar="FILE", help="What `glatd keys add` made for you.")
FORMAT = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
