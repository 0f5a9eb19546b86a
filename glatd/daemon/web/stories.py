"""Events as a list shows them: all messages of one sound as one story."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from glatd.messages import Event, to_map

LAST = ("end", "retract")  # phases after which nothing more is told of it


@dataclass(frozen=True, slots=True)
class Story:
    """One sound, by its messages in order."""

    phases: tuple[Event, ...]

    @property
    def last(self) -> Event:
        """What was told of it last."""
        return self.phases[-1]

    @property
    def over(self) -> bool:
        """Whether it has ended, or was taken back."""
        return self.last.phase in LAST

    def row(self) -> dict[str, Any]:
        """Its last message, by the offset of its first, with `end` (null while it goes on) and `clip`."""
        last = self.last
        ended = {"offset": self.phases[0].offset, "end": last.offset_time, "clip": bool(last.evidence.get("clip"))}
        return to_map(last) | ended

    def whole(self) -> dict[str, Any]:
        """The row with all that was told."""
        return self.row() | {"phases": [to_map(event) for event in self.phases]}


def of_one(events: Iterable[Event], identity: str) -> Story | None:
    """The story of an event by its id, out of messages in order; None where there are none of it."""
    found: list[Event] = []
    for event in events:
        if event.id == identity:
            found.append(event)
            if event.phase in LAST:
                break
    return Story(tuple(found)) if found else None


def span(story: Story) -> dict[str, Any]:
    """As little as a timeline needs."""
    last = story.last
    return {
        "id": last.id,
        "label": last.label,
        "onset": last.onset,
        "end": last.offset_time,
        "time": last.onset_at,
        "peak": last.peak,
    }


def told(events: Sequence[Event]) -> list[Story]:
    """The stories of many messages in order, without those that were taken back, by their first message."""
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.id, []).append(event)
    stories = [Story(tuple(phases)) for phases in found.values()]
    return [story for story in stories if story.last.phase != "retract"]
