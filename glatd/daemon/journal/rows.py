"""What stands in the journal: events, and the offsets that stand nowhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Row(NamedTuple):
    """An event as it stands in the journal."""

    offset: int
    time: float  # UNIX seconds
    stream: str
    mid: str
    payload: bytes
    id: str
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets [start, stop) that were given out, or left out, and stand nowhere."""

    start: int
    stop: int
    cause: str


def merged(holes: Iterable[Hole]) -> list[Hole]:
    """Holes in order; of two that overlap, the later begins where the earlier ends."""
    found: list[Hole] = []
    for hole in sorted(holes, key=lambda hole: (hole.start, -hole.stop)):
        start = max(hole.start, found[-1].stop) if found else hole.start
        if start < hole.stop:
            found.append(Hole(start, hole.stop, hole.cause))
    return found
