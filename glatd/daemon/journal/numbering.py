"""Offsets without a journal: from 1 on, in memory, for one session."""

from collections.abc import Sequence

from glatd.messages import Event, Message, with_offset


class Numbering:
    """Stands where a `Journal` would."""

    trouble = ""
    waiting = 0

    def __init__(self) -> None:
        self._next = 1

    @property
    def last(self) -> int:
        """The newest offset that was given out; 0 for none."""
        return self._next - 1

    def append(self, events: Sequence[Event]) -> list[Event]:
        """The events with their offsets."""
        numbered = [with_offset(event, offset) for offset, event in enumerate(events, self._next)]
        self._next += len(events)
        return numbered

    def packed(self, message: Message) -> bytes | None:
        """Nothing was packed."""
        return None

    def end_unfinished(self) -> list[Event]:
        """Nothing is known of what went on before."""
        return []
