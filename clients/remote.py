"""`glatd control`: a request from the command line, and its reply as text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from glatd.errors import ConfigError

# What each request takes, and how the reply begins.
REQUESTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "version": ((), "glatd"),
    "list": ((), ""),
    "add": (("source",), "added"),
    "remove": (("stream",), "removed"),
    "mute": (("stream",), "muted"),
    "unmute": (("stream",), "unmuted"),
    "reload": ((), "reloaded"),
    "rules": (("stream", "label"), ""),
    "set": (("stream", "label", "key", "value"), ""),
    "engine": (("engine",), "engine"),
}
# Seconds until what is asked for is done at the latest; an engine is loaded and tried before it takes over.
PATIENCE: Mapping[str, float] = {"reload": 300.0, "engine": 300.0}
USUAL_PATIENCE = 15.0
_NEEDED = {
    ("source",): "[NAME=]URI, for example yard=mic:USB",
    ("stream",): "the NAME of a stream; see list",
    ("engine",): "the folder of an engine, or auto",
    ("stream", "label"): "a stream and a class or group, for example yard Dog",
    ("stream", "label", "key", "value"): "a stream, a class or group, a key and its value, for example yard Dog on 0.7",
}
_FIRST = ("stream", "state")  # columns that stand before the others


def values(do: str, *what: str | None) -> dict[str, str]:
    """The values of a request.

    Raises:
        ConfigError: an unknown request, a value that is missing or too many.
    """
    if do not in REQUESTS:
        raise ConfigError(f"unknown request {do!r}; known: {', '.join(REQUESTS)}")
    takes, _ = REQUESTS[do]
    given = [one for one in what if one is not None]
    if len(given) > len(takes):
        raise ConfigError(f"{do} takes {' '.join(takes) or 'nothing'}, not {given[len(takes)]!r}; leave it out")
    if len(given) < len(takes):
        raise ConfigError(f"{do} needs {_NEEDED[takes]}")
    return dict(zip(takes, given, strict=True))


def lines(do: str, reply: Mapping[str, Any], form: str) -> Iterator[str]:
    """A reply as "text" or "json"."""
    if form == "json":
        yield json.dumps(reply, ensure_ascii=False, default=str)
    elif do == "list":
        yield from _table(reply.get("streams", []))
    elif do == "engine":
        yield f"{reply.get('model')} {reply.get('engine')} has taken over from {reply.get('before')}"
    elif do in ("rules", "set"):
        rest = ", ".join(f"{key} {json.dumps(value)}" for key, value in reply.items() if key not in ("stream", "label"))
        yield f"{reply.get('stream')} {reply.get('label')}: {rest}"
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
