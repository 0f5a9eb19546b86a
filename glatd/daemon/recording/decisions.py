"""Events of a run and of its replay, decision by decision: the same ones, those that moved, those that one lacks."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glatd.daemon.events.decider import NO_SUCH_CLASS
from glatd.daemon.recording.expected import Map
from glatd.daemon.recording.verdict import TOLERANCE, UNHEARD, UNLIKE, Span, Verdict, overlaps
from glatd.messages import Event, Tags

SECONDS_SEEN = 10  # of audio in a window
NEAR_SECONDS = 5.0  # an event of the same class this near has moved; further off it is another one

Decision = tuple[Map, int]  # an event, and the end of the last window that its run had seen when it said so


@dataclass(frozen=True, slots=True)
class Common:
    """How far the two runs have seen the same."""

    unheard: Sequence[Span]  # that only one of them had
    unlike: Sequence[Span]  # windows that were not compared
    stopped: int | None  # end of the last window of a run that was stopped; None where it came to its end
    cut: int | None  # sample at which the recording was cut off; None where it was not
    swapped: bool  # whether the run had several engines

    def lacks(self, decision: Decision) -> bool:
        """Whether an event lies where the two runs have not seen the same windows. Those after the one at which it was
        decided, which the other run may lack, can have no part in it."""
        event, decided = decision
        if event.get("cause") == NO_SUCH_CLASS:  # the replay has one engine, which has the class
            return True
        span = event["onset"], (event["offset_time"] or event["onset"]) + 1
        if self.stopped is not None:
            # The end of a run that was stopped ends what goes on.
            ended = event["phase"] == "end" and decided >= self.stopped
            if ended or span[1] > self.stopped:
                return True
        if self.cut is not None and span[1] > self.cut:
            return True
        heard = [(start, end + SECONDS_SEEN * event["rate"]) for start, end in self.unheard]
        return overlaps(span, heard) or overlaps(span, [window for window in self.unlike if window[1] <= decided])


def decisions(messages: Iterable[Map]) -> list[Decision]:
    """Of a run; where windows were left out of the messages, all of them had been seen for all that is known."""
    found: list[Decision] = []
    seen: int | None = None
    for message in messages:
        if message["type"] == Tags.type:
            seen = message["end"]
        elif message["type"] == Event.type:
            found.append((message, 0 if seen is None else seen))
    return found if seen is not None else [(event, 1 << 62) for event, _ in found]


def compare_decisions(
    expected: Sequence[Decision], found: Sequence[Decision], common: Common, verdict: Verdict
) -> None:
    """Hold those of a replay against those of its run.

    Args:
        verdict: is told what was found.
    """
    pairs, missing, extra = _paired(expected, found)
    why = UNLIKE if common.swapped else UNHEARD
    for one, (other, _) in pairs:
        event = one[0]
        off = [name for name in ("peak", "mean") if abs(event[name] - other[name]) > TOLERANCE]
        if off and not common.lacks(one):
            figures = ", ".join(f"{name} {event[name]:.3f} expected, {other[name]:.3f} came" for name in off)
            verdict.differ(event["onset"], event["rate"], f"{_called(event)}: {figures}")
        else:
            verdict.equal["events"] += 1
    for one in missing:
        event = one[0]
        moved = next((at for at, (other, _) in enumerate(extra) if _has_moved(event, other)), None)
        if common.lacks(one):
            verdict.excuse("events", why)
        elif moved is not None:
            came = _called(extra.pop(moved)[0])
            verdict.differ(event["onset"], event["rate"], f"{_called(event)} expected, {came} came")
        else:
            verdict.differ(event["onset"], event["rate"], f"{_called(event)} was expected, none came")
    for one in extra:
        event = one[0]
        if common.lacks(one):
            verdict.excuse("events", why)
        else:
            verdict.differ(event["onset"], event["rate"], f"{_called(event)} came, none was expected")


def _paired(
    expected: Sequence[Decision], found: Sequence[Decision]
) -> tuple[list[tuple[Decision, Decision]], list[Decision], list[Decision]]:
    """Those that both have, each with its other; and what only the one, and only the other has.

    Several may be alike, such as two updates of an event: they pair in their order.
    """
    places: defaultdict[tuple[str, str, int, int | None], deque[int]] = defaultdict(deque)
    for place, (event, _) in enumerate(found):
        places[_key(event)].append(place)
    pairs: list[tuple[Decision, Decision]] = []
    missing: list[Decision] = []
    taken: set[int] = set()
    for one in expected:
        if alike := places[_key(one[0])]:
            taken.add(place := alike.popleft())
            pairs.append((one, found[place]))
        else:
            missing.append(one)
    return pairs, missing, [one for place, one in enumerate(found) if place not in taken]


def _key(event: Map) -> tuple[str, str, int, int | None]:
    return event["mid"], event["phase"], event["onset"], event["offset_time"]


def _has_moved(event: Map, other: Map) -> bool:
    near = abs(event["onset"] - other["onset"]) <= NEAR_SECONDS * event["rate"]
    return near and (event["mid"], event["phase"]) == (other["mid"], other["phase"])


def _called(event: Map) -> str:
    at, rate = event["onset"], event["rate"]
    until = "" if event["offset_time"] is None else f" to {event['offset_time'] / rate:.2f}"
    return f"{event['phase']} of {event['label']} at {at / rate:.2f}{until} s"
