"""What a run is: everything that decides what it computes, by name; a checkpoint of another run is not gone on from."""

import json
from collections.abc import Mapping
from typing import Any

Identity = Mapping[str, str]  # values as JSON, or hashes
NONE = "none"  # the value of what a run has not
NAMED = 3  # differences that are told


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A tree of plain values under dotted names."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = json.dumps(value)
    return found


def differences(kept: Identity, now: Identity) -> str:
    """What is another in `now`, in words; empty where nothing is."""
    names = [name for name in {**kept, **now} if kept.get(name, NONE) != now.get(name, NONE)]
    told = [f"{name}: {kept.get(name, NONE)}, now {now.get(name, NONE)}" for name in names[:NAMED]]
    return "; ".join(told) + (f"; and {len(names) - NAMED} more" if len(names) > NAMED else "")
