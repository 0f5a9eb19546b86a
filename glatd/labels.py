"""AudioSet's 527 labels: names, machine ids (mids) and their place in the ontology.

`labels.csv` holds facts taken from AudioSet's class list and ontology (Google, CC BY-SA 4.0):
one row a node; rows without an index are nodes of the ontology that are no label.
"""

import csv
import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TypeVar

from glatd.errors import ConfigError

T = TypeVar("T")
OWN = "own:"  # in front of the name of a class of one's own, where no engine is at hand that knows it
BACKGROUND = "background"  # folder, beside those of one's own sounds, of what is none of them


@dataclass(frozen=True, slots=True)
class Label:
    """One class of sound."""

    name: str  # AudioSet display name
    mid: str  # machine id, for example /m/0bt9lr


@functools.cache
def _nodes() -> tuple[tuple[Label, bool, tuple[str, ...]], ...]:
    text = resources.files("glatd").joinpath("labels.csv").read_text(encoding="utf-8")
    return tuple(
        (Label(row["name"], row["mid"]), row["index"] != "", tuple(row["parents"].split()))
        for row in csv.DictReader(text.splitlines())
    )


@functools.cache
def audioset() -> tuple[Label, ...]:
    """The 527 labels in AudioSet's order."""
    return tuple(label for label, is_class, _ in _nodes() if is_class)


@functools.cache
def _index() -> dict[str, int]:
    return {label.name: index for index, label in enumerate(audioset())}


def class_index(name: str) -> int:
    """Index of a label by display name.

    Raises:
        ConfigError: no such label; the nearest name is in the message.
    """
    return _known(_index(), name, "label")


@functools.cache
def _mids() -> dict[str, str]:
    return {label.name: label.mid for label, _, _ in _nodes()}


def own_mid(name: str) -> str:
    """What stands for a machine id with a class that is not AudioSet's, such as one that `train finetune` added."""
    return f"/own/{name}"


def node_mid(name: str) -> str:
    """Mid of a node of the ontology by display name, be it a label or a group such as "Human sounds".

    A name behind `own:` is that of a class of one's own, which only an engine can know.

    Raises:
        ConfigError: no such node; the nearest name is in the message.
    """
    if name.startswith(OWN):
        return own_mid(name.removeprefix(OWN))
    return _known(_mids(), name, "label or group", f"; a class of your own is asked for as {OWN + name!r}")


def _known(table: Mapping[str, T], name: str, what: str, otherwise: str = "") -> T:
    """What `table` has for a display name; an error that names the nearest one, or `otherwise`, if it has nothing."""
    if name not in table:
        near = difflib.get_close_matches(name, table, 1, 0.5)
        hint = f"; did you mean {near[0]!r}?" if near else otherwise
        raise ConfigError(f"unknown {what} {name!r}{hint}")
    return table[name]


@functools.cache
def ancestors(mid: str) -> frozenset[str]:
    """Mids of every node above `mid` in the ontology, itself not included."""
    parents = {label.mid: above for label, _, above in _nodes()}
    found: set[str] = set()
    open_mids = list(parents.get(mid, ()))
    while open_mids:
        above = open_mids.pop()
        if above not in found:
            found.add(above)
            open_mids.extend(parents.get(above, ()))
    return frozenset(found)


@functools.cache
def mids_below(name: str) -> frozenset[str]:
    """Mids of a node of the ontology by display name, and of every node below it: "Vehicle" has "Truck" in it.

    Raises:
        ConfigError: no such node; the nearest name is in the message.
    """
    top = node_mid(name)
    if name.startswith(OWN):
        return frozenset({top})
    return frozenset(label.mid for label, _, _ in _nodes() if label.mid == top or top in ancestors(label.mid))
