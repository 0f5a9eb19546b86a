"""Which messages are wanted: by stream, class or group of the ontology, phase and score."""

import dataclasses
import fnmatch
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args, get_type_hints

from glatd.errors import ConfigError
from glatd.labels import mids_below
from glatd.messages import Event, Message, Tags, Unknown

PHASES: tuple[str, ...] = get_args(get_type_hints(Event)["phase"])
EVERY = "*"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a subscriber wants to hear. Made by `wanted`."""

    streams: tuple[str, ...] = (EVERY,)  # globs, one of which must fit
    labels: tuple[str, ...] = ()  # classes and groups as they were given; none for all
    mids: frozenset[str] | None = None  # of these and all below them; None for all
    phases: frozenset[str] | None = None  # None for all, also those of a later glatd
    least: float = 0.0  # score; 0 asks for none

    def stream(self, name: str) -> bool:
        """Whether messages of a stream are wanted."""
        return any(glob == EVERY or fnmatch.fnmatchcase(name, glob) for glob in self.streams)

    def event(self, event: Event) -> bool:
        """Whether an event is wanted, in the phase that it is in."""
        return (
            (self.phases is None or event.phase in self.phases)
            and (not self.least or event.peak >= self.least)
            and (self.mids is None or event.mid in self.mids)
            and self.stream(event.stream)
        )

    def message(self, message: Message | Unknown) -> Message | Unknown | None:
        """What is wanted of any message: of tags those that fit, if there are any; what has no class, as it is."""
        if isinstance(message, Unknown):
            return message
        if isinstance(message, Event):
            return message if self.event(message) else None
        if not self.stream(message.stream):
            return None
        if not isinstance(message, Tags) or (self.mids is None and not self.least):
            return message
        tags = tuple(
            tag for tag in message.tags if tag.score >= self.least and (self.mids is None or tag.mid in self.mids)
        )
        return dataclasses.replace(message, tags=tags) if tags else None


def wanted(
    stream: str | Sequence[str] = EVERY,
    label: str | Sequence[str] = (),
    phase: str | Sequence[str] = (),
    least: float = 0.0,
) -> Wanted:
    """What a subscriber's arguments ask for; see `EventStream`.

    Raises:
        ConfigError: a class or phase that there is not, or a score that is none.
    """
    streams, labels, phases = several(stream), several(label), several(phase)
    for name in phases:
        if name not in PHASES:
            raise ConfigError(f"phase = {name!r} must be one of {', '.join(PHASES)}")
    if not (math.isfinite(least) and 0 <= least <= 1):
        raise ConfigError(f"least = {least!r} must be a score from 0 to 1")
    mids = frozenset[str]().union(*map(mids_below, labels)) if labels else None
    return Wanted(streams or (EVERY,), labels, mids, frozenset(phases) or None, least)


def several(values: str | Iterable[str]) -> tuple[str, ...]:
    """One text or many."""
    return (values,) if isinstance(values, str) else tuple(values)
