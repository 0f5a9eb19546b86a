"""Whether a replayed stream says what was said before, and where not.

Both runs count in samples of the stream, so they compare window by window. Scores may differ by TOLERANCE, since a
live run looks at windows of several streams together, in batches of any size. Which crops were chosen is not compared:
a near tie may fall either way without changing what is said.

Where engines were swapped, a replay has one of them, and what the others said is not compared.

A live run hears less than its recording where it was overloaded, and says so: windows that it skipped or looked at
with fewer crops, and audio that it had no room for, are counted, not compared. So is audio that the recording lacks
(its disk was full), and what comes after the end of a run that was stopped.
"""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from glatd.daemon.recording.decisions import Common, Decision, compare_decisions, decisions
from glatd.daemon.recording.expected import Map
from glatd.daemon.recording.layout import OF_THE_RECORDING
from glatd.daemon.recording.verdict import (
    AFTER_THE_RECORDING,
    AFTER_THE_RUN,
    FEWER_CROPS,
    OTHER_ENGINE,
    SKIPPED,
    TOLERANCE,
    UNHEARD,
    Span,
    Verdict,
    overlaps,
)
from glatd.messages import Event, Gap, Message, Status, Tags, to_map

OVERLOAD = "overload"  # cause of a gap of audio that came, and that the loop had no room for


class StreamComparison:
    """A sink for the messages of one replayed stream.

    Args:
        expected: its messages of the run to compare with, in order.
        types: of message that are compared.
        overloaded: whether that run says that it ever looked at less than it should.
    """

    def __init__(self, expected: Iterable[Map], types: set[str], overloaded: bool) -> None:
        messages = list(expected)
        self._types = types
        self._windows = {m["end"]: m for m in messages if m["type"] == Tags.type}
        self._engines = {m.get("engine") for m in self._windows.values()}  # more than one where they were swapped
        self._expected_ends = list(self._windows)
        self._gaps = [m for m in messages if m["type"] == Gap.type]
        self._events = decisions(messages)
        states = [m for m in messages if m["type"] == Status.type]
        last = states[-1]["state"] if states else "ended"  # without states, somebody has chosen these messages
        self._ended = last in ("ended", "failed")
        # What a run has skipped since its last status is known only if it said goodbye.
        skipped = max((m.get("skipped", 0) + m.get("dropped", 0) for m in states), default=0)
        whole = self._ended or last == "stopped" or not (skipped or overloaded)
        self._skipped: float = skipped if whole else math.inf
        self._overloaded = overloaded or skipped > 0
        self._last = max(self._windows, default=0)
        self._unheard = [(m["start"], m["end"]) for m in self._gaps if m["cause"] == OVERLOAD]
        self._found_ends: list[int] = []
        self._found_gaps: list[Map] = []
        self._found_events: list[Decision] = []
        self._extra: list[Span] = []
        self._less: list[Span] = []  # windows that were not compared
        self._rate = 1
        self._end = 0  # of the replay, in samples
        self._verdict = Verdict()

    def __call__(self, message: Message) -> None:
        """Take the next message of the replay."""
        if isinstance(message, Tags):
            self._rate = message.rate
            if Tags.type in self._types:
                self._take_window(to_map(message))
        elif isinstance(message, Gap):
            self._found_gaps.append(to_map(message))
            if message.cause in OF_THE_RECORDING:
                self._unheard.append((message.start, message.end))
        elif isinstance(message, Event):
            self._found_events.append((to_map(message), self._found_ends[-1] if self._found_ends else 0))
        elif isinstance(message, Status):
            self._rate, self._end = message.rate, message.samples + message.lost

    def finish(self, complete: bool) -> Verdict:
        """The verdict, with what has not come.

        Args:
            complete: whether the recording reaches the end of its stream; one that was killed does not.
        """
        self._compare_hops()
        self._finish_windows(complete)
        if Gap.type in self._types:
            self._finish_gaps(complete)
        if Event.type in self._types:
            self._finish_events(complete)
        self._verdict.differences.sort(key=lambda difference: difference.sample / difference.rate)
        return self._verdict

    def _take_window(self, found: Map) -> None:
        self._found_ends.append(found["end"])
        expected = self._windows.pop(found["end"], None)
        span = found["start"], found["end"]
        if expected is None:
            self._extra.append(span)
            return
        if expected.get("engine", found["engine"]) != found["engine"]:
            if found["engine"] in self._engines:
                self._excuse_window(OTHER_ENGINE.format(expected["engine"]), span)
                return
            self._verdict.engines = expected["engine"], found["engine"]
        if overlaps(span, self._unheard):
            self._excuse_window(UNHEARD, span)
        elif self._overloaded and len(expected["crops"]) < len(found["crops"]):
            self._excuse_window(FEWER_CROPS, span)
        elif what := unlike(expected, found):
            self._verdict.differ(found["end"], found["rate"], what)
        else:
            self._verdict.equal["windows"] += 1

    def _compare_hops(self) -> None:
        hops = [_hop(ends) for ends in (self._expected_ends, self._found_ends)]
        if hops[0] and hops[1] and hops[0] != hops[1]:
            self._verdict.hops = hops[0] / self._rate, hops[1] / self._rate

    def _finish_windows(self, complete: bool) -> None:
        for end, expected in self._windows.items():
            span = expected["start"], end
            if overlaps(span, self._unheard):
                self._excuse_window(UNHEARD, span)
            elif not complete and end > self._end:
                self._excuse_window(AFTER_THE_RECORDING, span)
            else:
                self._verdict.differ(end, expected["rate"], "a window was expected, none came")
        for span in self._extra:
            if overlaps(span, self._unheard):
                self._excuse_window(UNHEARD, span)
            elif not self._ended and span[1] > self._last:
                self._excuse_window(AFTER_THE_RUN, span)
            elif self._skipped:
                self._skipped -= 1
                self._excuse_window(SKIPPED, span)
            else:
                self._verdict.differ(span[1], self._rate, "a window came, none was expected")

    def _finish_gaps(self, complete: bool) -> None:
        def told(gaps: list[Map]) -> Counter[tuple[int, int, int, str]]:
            ours = (OVERLOAD, *OF_THE_RECORDING)
            return Counter((g["start"], g["end"], g["rate"], g["cause"]) for g in gaps if g["cause"] not in ours)

        expected, found = told(self._gaps), told(self._found_gaps)
        if both := (expected & found).total():
            self._verdict.equal["gaps"] += both
        for start, end, rate, cause in (expected - found).elements():
            if not complete and end > self._end:
                self._verdict.excuse("gaps", AFTER_THE_RECORDING)
            else:
                self._finish_gap(start, end, rate, f"({cause}) was expected, none came")
        for start, end, rate, cause in (found - expected).elements():
            if not self._ended and start >= self._last:
                self._verdict.excuse("gaps", AFTER_THE_RUN)
            else:
                self._finish_gap(start, end, rate, f"({cause}) came, none was expected")

    def _finish_gap(self, start: int, end: int, rate: int, what: str) -> None:
        if overlaps((start - 1, end + 1), self._unheard):
            self._verdict.excuse("gaps", UNHEARD)
        else:
            self._verdict.differ(start, rate, f"a gap of {(end - start) / rate:.3f} s {what}")

    def _finish_events(self, complete: bool) -> None:
        common = Common(
            self._unheard,
            self._less,
            None if self._ended else self._last,
            None if complete else self._end,
            swapped=len(self._engines) > 1,
        )
        compare_decisions(self._events, self._found_events, common, self._verdict)

    def _excuse_window(self, why: str, span: Span) -> None:
        self._verdict.excuse("windows", why)
        self._less.append(span)


def unlike(expected: Map, found: Map) -> str:
    """How two windows differ, in words; empty where they do not."""
    if expected["start"] != found["start"]:
        return f"the window was expected to start at sample {expected['start']}, not {found['start']}"
    for name in ("filled", "quiet"):
        if name in expected and abs(expected[name] - found[name]) > TOLERANCE:
            return f"{name} {expected[name]} expected, {found[name]} came"
    one, other = ({tag["label"]: tag for tag in message["tags"]} for message in (expected, found))
    # A list that is cut leaves out what scores no more than its last.
    least, least_found = (min((tag["score"] for tag in tags.values()), default=0.0) for tags in (one, other))
    off: list[tuple[float, str]] = []
    for label in one.keys() & other.keys():
        was, is_ = one[label], other[label]
        by = {name: abs(was[name] - is_[name]) for name in ("score", "global", "local")}
        worst = "score" if by["score"] > TOLERANCE else max(by, key=lambda name: by[name])
        if by[worst] > TOLERANCE:
            of = "" if worst == "score" else f" ({worst})"
            off.append((by[worst], f"{label}{of} {was[worst]:.3f} expected, {is_[worst]:.3f} came"))
    for label in one.keys() - other.keys():
        score = one[label]["score"]
        if score > least_found + TOLERANCE:
            off.append((score - least_found, f"{label} {score:.3f} expected, {_at_most(least_found)} came"))
    for label in other.keys() - one.keys():
        score = other[label]["score"]
        if score > least + TOLERANCE:
            off.append((score - least, f"{label} {_at_most(least)} expected, {score:.3f} came"))
    if not off:
        return ""
    more = f" and {len(off) - 1} more" if len(off) > 1 else ""
    return max(off)[1] + more


def _at_most(score: float) -> str:
    return f"at most {score:.3f}" if score else "none"


def _hop(ends: list[int]) -> int:
    """The most common distance between the ends of windows; 0 where there is none."""
    distances = Counter(after - before for before, after in pairwise(ends))
    return distances.most_common(1)[0][0] if distances else 0
