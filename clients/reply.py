"""What a node's catch-up answers, as plain values; catchup.py reads it from the wire."""

from dataclasses import dataclass

from glatd.messages import Event


@dataclass(frozen=True, slots=True)
class Reply:
    """Some events of a node, and where it stands."""

    node: str
    journal: str  # id of its sequence of offsets
    first: int  # the oldest offset that it keeps
    last: int  # the newest that it gave out
    next: int  # where to go on asking
    holes: tuple[tuple[int, int, str], ...]  # start, stop, cause
    events: tuple[Event, ...]
