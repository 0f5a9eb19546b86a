"""Which notification is sent at once, and which are kept to be told as a number."""

from collections.abc import Callable
from dataclasses import dataclass, field

from glatd.messages import Event

MOST_KEPT = 10_000  # events that come again after a kill before they were told; of more, only the number is known
SETTLE_S = 2.0  # that a number waits at least, since more of the same mostly follows at once
MOST_KINDS = 10_000  # whose last notification is remembered

Kind = tuple[str, str, str]  # node, stream, label


@dataclass(slots=True)
class Kept:
    """Events of one kind that have not been told one by one."""

    first: Event
    last: Event
    since: float = 0.0  # monotonic s
    count: int = 1
    done: list[Callable[[], None]] = field(default_factory=list)  # of each, to be called when they have been told


class Pace:
    """Pure but for time, which it is told.

    Args:
        every: seconds from one notification of a class and stream to the next.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._told: dict[Kind, float] = {}  # when, monotonic s; the oldest first
        self._kept: dict[Kind, Kept] = {}
        self._undone = 0

    @property
    def kept(self) -> int:
        """Events that wait to be told."""
        return sum(kept.count for kept in self._kept.values())

    def may(self, event: Event, now: float) -> bool:
        """Whether an event may be told at once: nothing of its kind waits, or was told just now."""
        kind = kind_of(event)
        return kind not in self._kept and now - self._told.get(kind, -self._every) >= self._every

    def told(self, event: Event, now: float) -> None:
        """One of its kind has been told."""
        kind = kind_of(event)
        self._told.pop(kind, None)
        self._told[kind] = now
        if len(self._told) > MOST_KINDS:
            del self._told[next(iter(self._told))]

    def keep(self, event: Event, done: Callable[[], None], now: float) -> None:
        """Tell it later, with others."""
        kind = kind_of(event)
        if kind in self._kept:
            kept = self._kept[kind]
            kept.last, kept.count = event, kept.count + 1
        else:
            kept = self._kept[kind] = Kept(event, event, now)
        if self._undone < MOST_KEPT:
            self._undone += 1
            kept.done.append(done)
        else:
            done()

    def due(self, now: float, everything: bool = False) -> list[Kept]:
        """What may be told now; it is for the caller to tell, and then to call `told`."""
        found = [
            self._kept.pop(kind)
            for kind, kept in list(self._kept.items())
            if everything or (now - kept.since >= SETTLE_S and now - self._told.get(kind, -self._every) >= self._every)
        ]
        self._undone -= sum(len(kept.done) for kept in found)
        return found


def kind_of(event: Event) -> Kind:
    """What is counted as one."""
    return event.node, event.stream, event.label
