"""Why an event was told, or was not: every look that could have told it, and each of its gates with its numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from glatd.daemon.announce import Announcer
from glatd.daemon.events.decider import Decider
from glatd.daemon.events.machine import EVER, Change, Gate, Heard
from glatd.daemon.events.rehearse import clock
from glatd.daemon.events.rules import Rule, Rules
from glatd.daemon.tagging import Seen
from glatd.labels import ancestors
from glatd.messages import Event

NEAR = 1.0  # s from the second that was asked for, in which a sound is taken for the one that was meant


@dataclass(frozen=True, slots=True)
class Asked:
    """One look, and what it made of a class."""

    end: float  # s
    fused: float
    global_: float
    local: float
    run: tuple[float, float] | None  # s, where near the second that was asked for the class is active
    gates: tuple[Gate, ...]  # that a beginning was measured by; none while an event goes on
    phases: tuple[str, ...]  # of the messages that it led to


@dataclass(slots=True)
class Explanation:
    """Of one class at one second of one stream."""

    stream: str
    label: str
    at: float  # s
    rule: Rule
    told: bool  # whether the rules let events of the class be told at all
    rate: int
    looks: list[Asked] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)  # of the class, of what it says and of what says it; newest each
    first: dict[str, float] = field(default_factory=dict)  # id -> s at which it was first told

    def meant(self) -> list[Event]:
        """The events of the class at that second."""
        return [event for event in self.events if event.label == self.label]

    def decisive(self) -> Asked | None:
        """The look in which it began, or the one that came nearest to it."""
        began = [look for look in self.looks if "start" in look.phases]
        if began:
            return began[0]
        measured = [look for look in self.looks if look.gates and look.run is not None]
        measured = measured or [look for look in self.looks if look.gates]
        return min(measured, key=lambda look: (_shut(look), -look.fused), default=None)


def _shut(look: Asked) -> int:
    return sum(not gate.passed for gate in look.gates)


class Asking(Decider):
    """Decides as ever, and notes how, for one class in the looks that hold one second.

    Args:
        index: of the class.
        at: s.
    """

    def __init__(self, announcer: Announcer, rules: Rules, index: int, at: float) -> None:
        super().__init__(announcer, rules)
        self._index, self._rate = index, announcer.manifest.geometry.rate
        self._sample = round(at * self._rate)
        label = announcer.manifest.labels[index]
        self._mid = label.mid
        told = bool(rules.on[index] <= 1)
        self.found = Explanation(announcer.name, label.name, at, rules.of[index], told, self._rate)

    def take(self, seen: Seen) -> list[Event]:
        """As any decider."""
        window = seen.window
        if not window.start <= self._sample < window.end:
            return super().take(seen)
        goes_on = self.is_open(self._index)
        gates, heard = self.ask(seen, self._index)
        events = super().take(seen)
        phases = tuple(event.phase for event in events if event.mid == self._mid)
        self.found.looks.append(
            Asked(
                window.end / self._rate,
                heard.fused,
                heard.global_,
                heard.local,
                self._near(heard),
                () if goes_on and "start" not in phases else tuple(gates),
                phases,
            )
        )
        return events

    def _event(self, index: int, change: Change, now: int) -> Event:
        """As any decider; whatever it tells is made here. Where the replay is stopped because nothing that follows
        matters, events go on."""
        event = super()._event(index, change, now)
        if event.cause != "stopped":
            self._note(event, now)
        return event

    def _near(self, heard: Heard) -> tuple[float, float] | None:
        near = round(NEAR * self._rate)
        runs = [run for run in heard.runs if run.onset - near <= self._sample < run.offset + near]
        if not runs:
            return None
        run = min(runs, key=lambda run: max(run.onset - self._sample, self._sample - run.offset, 0))
        return run.onset / self._rate, run.offset / self._rate

    def _note(self, event: Event, now: int) -> None:
        """Keep the newest of every event that is of this second and of the class, or says it, or is said by it."""
        if event.mid != self._mid and self._mid not in ancestors(event.mid) and event.mid not in ancestors(self._mid):
            return
        near = round(NEAR * self._rate)
        self.found.first.setdefault(event.id, now / self._rate)
        known = {other.id: place for place, other in enumerate(self.found.events)}
        if event.id in known:
            self.found.events[known[event.id]] = event
        elif event.phase == "start":
            self.found.events.append(event)
        self.found.events = [
            one
            for one in self.found.events
            if one.onset - near <= self._sample < (EVER if one.offset_time is None else one.offset_time) + near
        ]


def as_map(found: Explanation) -> dict[str, Any]:
    """For --format json."""
    look = found.decisive()
    return {
        "stream": found.stream,
        "label": found.label,
        "at": found.at,
        "told": bool(found.meant()),
        "publish": found.told,
        "events": [
            {
                "id": event.id,
                "label": event.label,
                "phase": event.phase,
                "told_at": found.first[event.id],
                "onset": event.onset / event.rate,
                "offset": None if event.offset_time is None else event.offset_time / event.rate,
                "peak": event.peak,
                "cause": event.cause,
            }
            for event in found.events
        ],
        "looks": [
            {
                "end": each.end,
                "fused": round(each.fused, 6),
                "global": round(each.global_, 6),
                "local": round(each.local, 6),
                "active": each.run,
                "phases": list(each.phases),
                "gates": [_gate_map(gate, found.rate) for gate in each.gates],
                "decisive": each is look,
            }
            for each in found.looks
        ],
    }


def _gate_map(gate: Gate, rate: int) -> dict[str, Any]:
    seconds = gate.unit in ("samples", "sample")
    value, limit = (
        (None if abs(number) >= EVER else round(number / rate, 3)) if seconds else round(number, 6)
        for number in (gate.value, gate.limit)
    )
    unit = "s" if seconds else gate.unit
    return {"name": gate.name, "passed": gate.passed, "value": value, "limit": limit, "unit": unit}


def as_text(found: Explanation) -> Iterator[str]:
    """80 columns."""
    yield f"{found.label} on {found.stream} at {found.at:g} s ({clock(found.at)}): {_verdict(found)}"
    for event in found.events:
        yield f"  {_event_line(event, found)}"
    if not found.looks:
        return
    yield ""
    yield " look ends  fused  global  local  active near there   what came of it"
    for look in found.looks:
        where = "-" if look.run is None else f"{look.run[0]:.2f} to {look.run[1]:.2f}"
        scores = f"{look.fused:>6.2f}  {look.global_:>6.2f}  {look.local:>5.2f}"
        yield f"{look.end:>10.2f} {scores}  {where:<19} {_outcome(look)}"[:80]
    if (nearest := found.decisive()) is None:
        return
    yield ""
    yield f"The look that ends at {nearest.end:.2f} s, gate by gate:"
    yield f"{'':>7}{'gate':<36} {'is':<16} must be"
    for gate in nearest.gates:
        mark = "open" if gate.passed else "SHUT"
        value, limit = _in_words(gate, found.rate)
        yield f"  {mark} {gate.name:<36} {value:<16} {limit}"


def _verdict(found: Explanation) -> str:
    meant = found.meant()
    if any(event.phase == "retract" for event in meant):
        return "told, and taken back"
    if meant:
        return "told"
    if not found.told:
        return "not told: the rules do not let it be"
    if not found.looks:
        return "not told: no look of the networks holds it"
    look = found.decisive()
    shut = [gate.name for gate in look.gates if not gate.passed] if look else []
    return f"not told: {', '.join(shut)}" if shut else "not told"


def _event_line(event: Event, found: Explanation) -> str:
    rate = event.rate
    until = "goes on" if event.offset_time is None else f"to {event.offset_time / rate:.2f} s"
    why = f", {event.cause}" if event.cause else ""
    told = f"first told at {found.first[event.id]:.2f} s"
    return f"{event.label}: {event.onset / rate:.2f} s {until}, {told}, peak {event.peak:.2f}{why}"[:78]


def _outcome(look: Asked) -> str:
    words = {"start": "it begins", "update": "told again", "end": "it ends", "retract": "taken back"}
    if look.phases:
        return ", ".join(words[phase] for phase in look.phases)
    shut = [gate.name for gate in look.gates if not gate.passed]
    return f"not: {shut[0]}" if shut else "it goes on"


def _in_words(gate: Gate, rate: int) -> tuple[str, str]:
    """Its value, and what is asked of it."""
    is_, asked = gate.value, gate.limit
    forms: dict[str, Callable[[], tuple[str, str]]] = {
        "on": lambda: (f"{is_:.3f}", f"{asked:.3f} or more"),
        "own score beside the last event": lambda: (f"{is_:.3f}", f"{asked:.3f} or more" if asked else "anything"),
        "age": lambda: (f"{is_ / rate:.2f} s", f"less than {asked / rate:.2f} s"),
        "pieces of audio": lambda: (f"{is_:g}", f"{asked:g} or more"),
        "duration": lambda: (f"{is_ / rate:.2f} s", f"{asked / rate:.2f} s or more"),
        "not suppressed": lambda: (_until(is_, rate), f"over before {asked / rate:.2f} s"),
        "not told by a more specific class": lambda: (f"for {is_ / rate:.2f} s" if not gate.passed else "no", "no"),
        "no better name comes up": lambda: ("waits for it", "a look later") if not gate.passed else ("no", "no"),
        "schedule": lambda: ("within" if gate.passed else "outside", "within"),
        "active since the last event": lambda: (
            "nowhere" if is_ <= -EVER else f"{is_ / rate:.2f} s",
            "anywhere" if asked <= -EVER else f"{asked / rate:.2f} s or later",
        ),
    }
    return forms[gate.name]()


def _until(sample: float, rate: int) -> str:
    if sample <= -EVER:
        return "no"
    return "for now" if sample >= EVER else f"until {sample / rate:.2f} s"
