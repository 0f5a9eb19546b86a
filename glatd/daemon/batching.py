"""Which of the windows that are due are looked at now, and which wait for companions.

Where one inference over several streams costs less than one for each (a GPU; the engine says how many it likes), a
window waits as long as its latency budget allows, and not at all once nobody else can join it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from glatd.daemon.stream import Window

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Due(Generic[T]):
    """A window whose frames are all there."""

    of: T  # whose it is
    window: Window
    since: float  # monotonic seconds at which its last sample came


def choose(due: Sequence[Due[T]], now: float, patience: float, others: int, most: int, beside: int = 1) -> list[Due[T]]:
    """The batch to look at now, the oldest window first; empty when all can wait.

    Args:
        now: monotonic seconds.
        patience: seconds that a window may wait for companions.
        others: streams that may still bring a window within that time.
        most: windows in a batch that is looked at together.
        beside: windows that are handed out at once where they are looked at side by side; none waits to fill these.
    """
    if not due:
        return []
    ordered = sorted(due, key=lambda item: item.since)
    if others and len(due) < most and now - ordered[0].since < patience:
        return []
    return ordered[: max(most, beside)]


def sleep_until(due: Sequence[Due[T]], patience: float) -> float | None:
    """Monotonic seconds at which the first window must wait no more; None when none is due."""
    return min(item.since for item in due) + patience if due else None
