"""`glatd control`: a request from the command line, and its reply as text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from glatd.errors import ConfigError

# What each request takes, and how the reply begins.
REQUESTS = {
    "version": ("", "glatd"),
    "list": ("", ""),
    "add": ("source", "added"),
    "remove": ("stream", "removed"),
    "mute": ("stream", "muted"),
    "unmute": ("stream", "unmuted"),
    "reload": ("", "reloaded"),
}
_FIRST = ("stream", "state")  # columns that stand before the others


def values(do: str, what: str | None) -> dict[str, str]:
    """The values of a request.

    Raises:
        ConfigError: an unknown request, a value that is missing or too many.
    """
    if do not in REQUESTS:
        raise ConfigError(f"unknown request {do!r}; known: {', '.join(REQUESTS)}")
    takes, _ = REQUESTS[do]
    if not takes:
        if what is not None:
            raise ConfigError(f"{do} takes nothing, not {what!r}; leave it out")
        return {}
    if what is None:
        example = "[NAME=]URI, for example yard=mic:USB" if takes == "source" else "the NAME of a stream; see list"
        raise ConfigError(f"{do} needs {example}")
    return {takes: what}


def lines(do: str, reply: Mapping[str, Any], form: str) -> Iterator[str]:
    """A reply as "text" or "json"."""
    if form == "json":
        yield json.dumps(reply, ensure_ascii=False, default=str)
    elif do == "list":
        yield from _table(reply.get("streams", []))
    else:
        said = [
            ", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in reply.values() if value
        ]
        yield " ".join([REQUESTS[do][1], "; ".join(said)]).rstrip()


def _table(streams: list[dict[str, Any]]) -> Iterator[str]:
    """A line a stream, in columns."""
    keys = [*_FIRST, *(key for key in dict.fromkeys(key for row in streams for key in row) if key not in _FIRST)]
    rows = [[_cell(row.get(key)) for key in keys] for row in streams]
    widths = [max(len(row[column]) for row in rows) for column in range(len(keys))] if rows else []
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
