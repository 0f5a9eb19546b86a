"""What is said on the wire, for other languages: `glatd schema`."""

import re
from pathlib import Path

import click

from glatd.cli.options import PATH
from glatd.errors import ConfigError


@click.command()
@click.argument("name", required=False)
@click.option("--out", type=PATH, metavar="DIR", help="Write every schema into this folder.")
def schema(name: str | None, out: Path | None) -> int:
    """Print the JSON schema NAME of a message, request or reply; without NAME, which there are."""
    from glatd.daemon.schema.documents import documents, summary, text

    made = documents()
    if name is not None and name not in made:
        raise ConfigError(f"there is no schema {name!r}; known: {', '.join(made)}")
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            for each in made if name is None else [name]:
                out.joinpath(f"{each}.json").write_text(text(made[each]), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write into {out}: {error.strerror}; name another folder") from error
    elif name is not None:
        click.echo(text(made[name]), nl=False)
    else:
        for each, document in made.items():
            click.echo(f"{each:<16} {re.split('[.:;(]', summary(document))[0].rstrip()}")
    return 0
