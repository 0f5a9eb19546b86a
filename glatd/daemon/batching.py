"""Which of the windows that are due are looked at now, and which wait for companions.

One inference over several streams costs less than one for each. A window waits only as long as its latency budget
allows, and not at all once nobody else can join it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from glatd.daemon.stream import Window

T = TypeVar("T")

MOST_WINDOWS = 32  # in one batch: more would let the first wait for the last


@dataclass(frozen=True, slots=True)
class Due(Generic[T]):
    """A window whose frames are all there."""

    of: T  # whose it is
    window: Window
    since: float  # monotonic seconds at which its last sample came


def choose(due: Sequence[Due[T]], now: float, patience: float, others: int) -> list[Due[T]]:
    """The batch to look at now, the oldest window first; empty when all can wait.

    Args:
        now: monotonic seconds.
        patience: seconds that a window may wait for companions.
        others: streams that may still bring a window within that time.
    """
    if not due:
        return []
    ordered = sorted(due, key=lambda item: item.since)
    if others and len(due) < MOST_WINDOWS and now - ordered[0].since < patience:
        return []
    return ordered[:MOST_WINDOWS]


def sleep_until(due: Sequence[Due[T]], patience: float) -> float | None:
    """Monotonic seconds at which the first window must wait no more; None when none is due."""
    return min(item.since for item in due) + patience if due else None
