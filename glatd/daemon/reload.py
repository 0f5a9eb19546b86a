"""What changes when a configuration is read again while the daemon runs: sources, the engine, and rules of events."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import unique_names
from glatd.daemon.sources.uri import parse_source

WITH_THE_ENGINE = ("engine", "engines", "threads", "shadow", "events")  # what a `Swapper` changes
# What follows the file at once; everything else is built into what runs.
LIVE = frozenset({"source", *WITH_THE_ENGINE})


@dataclass(frozen=True, slots=True)
class Plan:
    """How to get from one configuration to another. Remove first: a source that changed is in both lists."""

    removed: tuple[str, ...]  # names of streams
    added: tuple[SourceSettings, ...]  # each with its name
    kept: tuple[str, ...]  # names of streams that are not disturbed
    needs_restart: tuple[str, ...]  # settings that differ and stay as they were

    @property
    def text(self) -> str:
        """A line of a log."""
        changed = {source.name for source in self.added} & set(self.removed)
        parts = [
            f"{what} {', '.join(names)}"
            for what, names in (
                ("added", [source.name for source in self.added if source.name not in changed]),
                ("changed", [source.name for source in self.added if source.name in changed]),
                ("removed", [name for name in self.removed if name not in changed]),
            )
            if names
        ]
        return "; ".join(parts) or "no source has changed"


def named(sources: Sequence[SourceSettings]) -> dict[str, SourceSettings]:
    """Sources of a configuration by the name of their stream, which each of them then has.

    Raises:
        ConfigError: one that cannot be understood, or two of one name.
    """
    parsed = unique_names([parse_source(f"{one.name}={one.uri}" if one.name else one.uri) for one in sources])
    found = {}
    for source, one in zip(parsed, sources, strict=True):
        # A --source may have its name in the URI.
        uri = one.uri.strip().removeprefix(f"{source.name}=") if source.named and not one.name else one.uri
        found[source.name] = dataclasses.replace(one, uri=uri, name=source.name)
    return found


def plan(old: Settings, new: Settings) -> Plan:
    """Compare two configurations.

    Default names are made of all sources together: one that is called `mic-2` because a `mic` stands before
    it is another stream when that is gone. Names that were given stay.

    Raises:
        ConfigError: a source of either that cannot be understood.
    """
    before, after = named(old.source), named(new.source)
    kept = tuple(name for name, one in before.items() if after.get(name) == one)
    return Plan(
        removed=tuple(name for name in before if name not in kept),
        added=tuple(one for name, one in after.items() if name not in kept),
        kept=kept,
        needs_restart=tuple(
            field.name
            for field in dataclasses.fields(Settings)
            if field.name not in LIVE and getattr(old, field.name) != getattr(new, field.name)
        ),
    )
