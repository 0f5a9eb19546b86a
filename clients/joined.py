"""One sound that several microphones heard, as one event with the evidence of each.

Pure: it is told events, and says what they are together. Whatever order the events of different microphones come in,
which sounds belong together is the same in the end; only what was said on the way differs.
"""

import fnmatch
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from glatd.errors import ConfigError
from glatd.labels import ancestors, mids_below
from glatd.messages import Event

TOLERANCE_S = 0.5  # 170 m of way, or as much difference between two clocks
LONGEST_TOLERANCE_S = 60.0
MOST_OPEN = 100  # sounds of one place that go on at once; beyond, the oldest is told as ended
MOST_ENDED = 100  # sounds of one place that somebody who comes late may still join

TOO_MANY = f"more than {MOST_OPEN} sounds went on at once"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Key = tuple[str, str, str]  # of an event: node, stream, id


@dataclass(frozen=True, slots=True)
class Joined:
    """One sound, as far as it is known now. Its last message says all of it; each replaces the one before."""

    id: str  # the same in all messages of the sound: `NODE/STREAM/ID` of the event that it began with
    phase: Literal["start", "update", "end", "retract"]  # an end may be followed by a better one, or by an update
    label: str  # the most specific one that somebody gave it, and of several the one with the best score
    mid: str
    onset_at: str  # UTC, RFC 3339: when the first microphone heard it
    offset_at: str  # UTC, RFC 3339: when the last one did; "" while one of them still does, and where it is not known
    peak: float  # best of all, 0 to 1
    heard: tuple[Event, ...]  # the newest message of each microphone, by onset: never two of one stream
    cause: str  # of an end that is not the sound's own, and of a retraction


class SoundJoiner:
    """Joins the events of streams that stand at one place.

    >>> sounds = SoundJoiner([["yard-1/*", "yard-2/north"], ["*/hall-?"]])
    >>> for sound in sounds.join(events):  # doctest: +SKIP
    ...     print(sound.phase, sound.label, [(each.stream, each.peak) for each in sound.heard])

    Events of two microphones are one sound if their labels are the same, or one stands above the other in AudioSet's
    ontology, and if their spans overlap, or miss each other by no more than the tolerance. One that goes on counts as
    lasting, until its end says otherwise: then what was joined too soon is told apart again.

    Args:
        places: for each place, globs of `NODE/STREAM`; a stream belongs to the first place that fits. One that fits
            nowhere stands alone.
        tolerance: seconds, for the way of the sound and the error of clocks and onsets.
        alike: labels or groups of the ontology below which everything is one sound, for example "Dog", so that the
            Bark of one microphone and the Howl of another are.

    Raises:
        ConfigError: a tolerance or label that cannot be, or a place without a stream.
    """

    def __init__(
        self, places: Sequence[Sequence[str]], tolerance: float = TOLERANCE_S, alike: Sequence[str] = ()
    ) -> None:
        if not 0 <= tolerance <= LONGEST_TOLERANCE_S:
            raise ConfigError(f"tolerance = {tolerance!r} must be seconds from 0 to {LONGEST_TOLERANCE_S:g}")
        for place in places:
            if isinstance(place, str) or not place:
                raise ConfigError(f'places: {place!r} must be a list of globs of NODE/STREAM, such as ["edge-1/yard*"]')
        self._globs = [tuple(place) for place in places]
        self._tolerance = round(1e6 * tolerance)
        self._alike = tuple(map(mids_below, alike))
        self._where: dict[tuple[str, str], _Place] = {}
        self._places: dict[int, _Place] = {}

    def join(self, events: Iterable[Event]) -> Iterator[Joined]:
        """What `events`, such as an `EventStream`, are together."""
        for event in events:
            yield from self.take(event)

    def take(self, event: Event) -> list[Joined]:
        """What one more event changes: often one message, none for a repeat."""
        return self._place(event.node, event.stream).take(event)

    def _place(self, node: str, stream: str) -> "_Place":
        if (node, stream) not in self._where:
            fitting = (
                number
                for number, globs in enumerate(self._globs)
                if any(fnmatch.fnmatchcase(f"{node}/{stream}", glob) for glob in globs)
            )
            number = next(fitting, None)
            new = _Place(self._tolerance, self._alike)
            self._where[node, stream] = new if number is None else self._places.setdefault(number, new)
        return self._where[node, stream]


@dataclass(frozen=True, slots=True)
class _Part:
    """One event of one microphone, as it is known now."""

    event: Event
    onset: int  # us since 1970
    heard: int  # us: until then it is known to have lasted
    until: int | None  # us; None while it goes on
    order: tuple[int, Key]

    @property
    def source(self) -> tuple[str, str]:
        return self.event.node, self.event.stream


class _Place:
    """Streams whose sounds may be joined."""

    def __init__(self, tolerance: int, alike: tuple[frozenset[str], ...]) -> None:
        self._tolerance, self._alike = tolerance, alike
        self._parts: dict[Key, _Part] = {}
        self._ids: dict[Key, str] = {}  # of a sound that was told, by the part that stands for it
        self._told: dict[str, Joined] = {}  # what was said last of each sound that is remembered
        self._ended: dict[str, None] = {}  # of them, those that have ended, in this order

    def take(self, event: Event) -> list[Joined]:
        """What one more event changes."""
        key = event.node, event.stream, event.id
        known = self._parts.get(key)
        if known is not None and event.offset <= known.event.offset:
            return []
        if event.phase == "retract":
            if known is None:
                return []
            self._remove(key)
        else:
            self._parts[key] = _part(event, key, known)
        said = self._tell(event.cause)
        if sum(part.until is None for part in self._parts.values()) > MOST_OPEN:
            said += self._end_oldest()
        while len(self._ended) > MOST_ENDED:
            self._forget(next(iter(self._ended)))
        return said

    def _tell(self, cause: str) -> list[Joined]:
        """What differs from what was said last.

        Args:
            cause: of a retraction.
        """
        said: list[Joined] = []
        ids: dict[Key, str] = {}
        now: dict[str, Joined] = {}
        sound_of: dict[Key, str] = {}
        for group in self._groups():
            keys = [part.order[1] for part in group]
            anchor = next((key for key in keys if key in self._ids), keys[0])
            name = ids[anchor] = self._ids.get(anchor) or "/".join(anchor)
            sound_of.update(dict.fromkeys(keys, name))
            before, events = self._told.get(name), tuple(part.event for part in group)
            if before is not None and before.heard == events:
                now[name] = before
                continue
            after = now[name] = _view(name, group, events)
            if before is None:
                said.append(replace(after, phase="start", offset_at="", cause=""))
            if before is not None or after.phase == "end":
                said.append(after)
            if after.phase == "end":
                self._ended.setdefault(name)
            else:
                self._ended.pop(name, None)
        for name, last in self._told.items():
            if name not in now:
                self._ended.pop(name, None)
                other = next((sound_of[key] for each in last.heard if (key := _key(each)) in sound_of), None)
                said.append(replace(last, phase="retract", cause=f"joined with {other}" if other else cause))
        self._ids, self._told = ids, now
        return said

    def _groups(self) -> list[list[_Part]]:
        """The parts of each sound. It depends on what the parts are, and not on the order in which they came."""
        groups: list[list[_Part]] = []
        near: list[tuple[float, list[_Part]]] = []  # groups that a later part may still belong to, and until when
        for part in sorted(self._parts.values(), key=lambda part: part.order):
            near = [each for each in near if each[0] >= part.onset]
            fitting = [
                (part.onset - group[-1].onset, number)
                for number, (_, group) in enumerate(near)
                if all(self._alike_or_related(other, part) for other in group)
            ]
            until = float("inf") if part.until is None else part.until + self._tolerance
            if fitting:  # the one whose newest onset is nearest
                number = min(fitting)[1]
                before, group = near[number]
                group.append(part)
                near[number] = max(before, until), group
            else:
                groups.append([part])
                near.append((until, groups[-1]))
        return groups

    def _alike_or_related(self, one: _Part, other: _Part) -> bool:
        """Whether two parts may be one sound, for where they come from and what they are called."""
        mids = one.event.mid, other.event.mid
        return one.source != other.source and (
            _related(*mids) or any(mids[0] in group and mids[1] in group for group in self._alike)
        )

    def _remove(self, key: Key) -> None:
        """Take a part away; another one of its sound stands for it now."""
        del self._parts[key]
        name = self._ids.pop(key, None)
        if name is not None:
            others = (_key(event) for event in self._told[name].heard)
            heir = next((other for other in others if other in self._parts and other not in self._ids), None)
            if heir is not None:
                self._ids[heir] = name

    def _end_oldest(self) -> list[Joined]:
        """Say that the oldest sound that goes on has ended, and forget it."""
        name, last = min(
            ((name, last) for name, last in self._told.items() if name not in self._ended),
            key=lambda each: (each[1].onset_at, each[0]),
        )
        self._forget(name)
        return [replace(last, phase="end", cause=TOO_MANY)]

    def _forget(self, name: str) -> None:
        """What comes of it later is another sound."""
        for event in self._told.pop(name).heard:
            del self._parts[_key(event)]
            self._ids.pop(_key(event), None)
        self._ended.pop(name, None)


def _view(name: str, group: list[_Part], events: tuple[Event, ...]) -> Joined:
    """What is to be said of a sound that was told before."""
    mids = {event.mid for event in events}
    above: frozenset[str] = frozenset().union(*map(ancestors, mids))
    best = min((event for event in events if event.mid not in above), key=lambda event: (-event.peak, event.mid))
    ended = [event for event in events if event.phase == "end"]
    over = len(ended) == len(events)
    last = max((part for part in group if part.event.offset_at), key=lambda part: part.heard, default=None)
    causes = dict.fromkeys(event.cause for event in ended if event.cause)
    return Joined(
        name,
        "end" if over else "update",
        best.label,
        best.mid,
        _rfc3339(group[0].onset),
        last.event.offset_at if over and last else "",
        max(event.peak for event in events),
        events,
        "; ".join(causes) if over else "",
    )


def _part(event: Event, key: Key, known: _Part | None) -> _Part:
    onset = _microseconds(event.onset_at or event.time)
    heard = max(onset, known.heard if known else onset)
    if event.phase != "end":
        return _Part(event, onset, max(heard, _microseconds(event.time)), None, (onset, key))
    # After a kill nobody knows when it ended: not before it was told last.
    until = max(onset, _microseconds(event.offset_at)) if event.offset_at else heard
    return _Part(event, onset, until, until, (onset, key))


def _key(event: Event) -> Key:
    return event.node, event.stream, event.id


@functools.lru_cache(10_000)
def _related(one: str, other: str) -> bool:
    return one == other or one in ancestors(other) or other in ancestors(one)


def _microseconds(time: str) -> int:
    return (datetime.fromisoformat(time) - _EPOCH) // _MICROSECOND


def _rfc3339(microseconds: int) -> str:
    return (_EPOCH + microseconds * _MICROSECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
