"""Offsets without a journal: from 1 on, in memory, for one session."""

from collections.abc import Sequence
from dataclasses import replace

from glatd.messages import Event, Message


class Numbering:
    """Stands where a `Journal` would."""

    trouble = ""

    def __init__(self) -> None:
        self._next = 1

    def append(self, events: Sequence[Event]) -> list[Event]:
        """The events with their offsets."""
        numbered = [replace(event, offset=self._next + index) for index, event in enumerate(events)]
        self._next += len(events)
        return numbered

    def packed(self, message: Message) -> bytes | None:
        """Nothing was packed."""
        return None

    def end_unfinished(self) -> list[Event]:
        """Nothing is known of what went on before."""
        return []
