"""What is told of one stream: every look goes through the rules of every class, and events come out."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from glatd.daemon.announce import DIGITS, Announcer
from glatd.daemon.clock import rfc3339
from glatd.daemon.events.hearing import Hearing, Loudness, Told
from glatd.daemon.events.machine import EVER, Change, Gate, Heard, Open, State, advance, end
from glatd.daemon.events.rules import Rules, resolve
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.stream import AFRESH_SECONDS, Window
from glatd.daemon.tagging import Seen
from glatd.engines.manifest import Manifest
from glatd.messages import Event

IDLE = State()
NO_SUCH_CLASS = "the engine was changed, and the new one has no such class"  # cause of an end


class Around(NamedTuple):
    """What of a look and the stream is the same for all classes."""

    promising: frozenset[int]  # classes that score so much that they may be the better name for a general one's sound
    wall: float  # UNIX seconds of the look's end
    since: int  # samples since the look before


class Decider:
    """Decides for one stream, look by look. Its events have no offsets yet: the journal gives them.

    Args:
        announcer: of the stream's messages.
        rules: of the stream.
    """

    def __init__(self, announcer: Announcer, rules: Rules) -> None:
        self._announcer, self._rules = announcer, rules
        self._sizes = announcer.manifest.geometry
        self._loudness = Loudness()
        self._states: dict[int, State] = {}
        self._open: set[int] = set()
        self._ids: dict[int, str] = {}  # of the open events
        self._end = 0  # sample, of the last look

    def take(self, seen: Seen) -> list[Event]:
        """What a look changes."""
        if not self._open and not (seen.scores >= self._rules.on).any():  # mostly so
            self._end = seen.window.end
            return []
        return self.decide(self._hearing(seen))

    def decide(self, hearing: Hearing) -> list[Event]:
        """The same of a look that may have been kept."""
        changes: list[tuple[int, Change]] = []
        around: Around | None = None
        for index in self._candidates(hearing):
            state = self._state(index)
            if self._has_passed(hearing, index, state):
                continue
            around = around or self._around(hearing)
            heard = hearing.heard(index, self._told(index, around), state.closed)
            state, changed = advance(state, heard, self._rules.of[index])
            self._keep(index, state)
            changes += [(index, change) for change in changed]
        self._end = hearing.window.end
        return [self._event(index, change, self._end) for index, change in changes]

    def quiet(self, window: Window) -> list[Event]:
        """What it changes that all of a window is quiet: nothing goes on in it."""
        changes: list[tuple[int, Change]] = []
        for index in sorted(self._open, key=self._rules.order.__getitem__):
            heard = Heard(window.start, window.end, 0.0, (), (), looked=False, since=window.end - self._end)
            state, changed = advance(self._states[index], heard, self._rules.of[index])
            self._keep(index, state)
            changes += [(index, change) for change in changed]
        self._end = window.end
        return [self._event(index, change, self._end) for index, change in changes]

    def gap(self, start: int, stop: int, cause: str) -> list[Event]:
        """What it changes that samples [start, stop) are lost: events end that would not outlast such a pause."""
        longest = AFRESH_SECONDS * self._sizes.rate
        over = [index for index in self._open if stop - start >= min(max(self._rules.of[index].hold, 1), longest)]
        return self._close(over, f"gap: {cause}", stop)

    def lost(self, seconds: float, cause: str) -> list[Event]:
        """What it changes that no audio has come for so long."""
        over = [index for index in self._open if seconds * self._sizes.rate > self._rules.of[index].hold]
        return self._close(over, cause, self._end)

    def close(self, cause: str) -> list[Event]:
        """End everything: nothing more is heard of this stream."""
        return self._close(list(self._open), cause, self._end)

    def change(self, rules: Rules) -> list[Event]:
        """Decide by other rules from now on. What goes on does so, but for events that are told no more: they end."""
        self._rules = rules
        return self._close([index for index in self._open if rules.on[index] > 1], "muted", self._end)

    def turn(self, manifest: Manifest, rules: Rules) -> list[Event]:
        """Decide on what another engine says from now on; call before the announcer speaks for it.

        A class is the same where its name and its mid are. Its event goes on; of others, events end.

        Args:
            manifest: of the engine; of the same rate.
            rules: for its classes.
        """
        places = {label: index for index, label in enumerate(manifest.labels)}
        known = {index: places[label] for index, label in enumerate(self._announcer.manifest.labels) if label in places}
        unknown = [index for index in self._open if index not in known]
        events = self._close(unknown, NO_SUCH_CLASS, self._end)
        muted = [index for index in self._open if rules.on[known[index]] > 1]
        events += self._close(muted, "muted", self._end)
        # A piece is numbered by its place, and as long as an output frame.
        same_pieces = rules.of[0].piece == self._rules.of[0].piece
        self._states = {
            known[index]: state if same_pieces else state._replace(pieces=())
            for index, state in self._states.items()
            if index in known
        }
        self._open = {known[index] for index in self._open}
        self._ids = {known[index]: identity for index, identity in self._ids.items() if index in known}
        self._rules, self._sizes, self._loudness = rules, manifest.geometry, Loudness()
        return events

    @property
    def rules(self) -> Rules:
        """By which it decides now."""
        return self._rules

    @property
    def end(self) -> int:
        """Sample: end of the last look."""
        return self._end

    @property
    def open(self) -> int:
        """Events that go on."""
        return len(self._open)

    def is_open(self, index: int) -> bool:
        """Whether an event of a class goes on."""
        return index in self._open

    def explain(self, seen: Seen, index: int) -> list[Gate]:
        """Every gate that a class comes by, or not, in the look that would be taken next. Changes nothing."""
        return self.ask(seen, index)[0]

    def ask(self, seen: Seen, index: int) -> tuple[list[Gate], Heard]:
        """The same, and what is heard of the class."""
        gates: list[Gate] = []
        hearing = self._hearing(seen)
        heard = hearing.heard(index, self._told(index, self._around(hearing)))
        advance(self._state(index), heard, self._rules.of[index], gates)
        return gates, heard

    def _hearing(self, seen: Seen) -> Hearing:
        return Hearing.of(seen, lambda: self._loudness.of(seen), self._announcer.manifest)

    def _candidates(self, hearing: Hearing) -> list[int]:
        """Classes that are heard or go on, in the order in which they are decided."""
        found = np.flatnonzero(hearing.scores >= self._rules.on).tolist()
        return sorted({*found, *self._open}, key=self._rules.order.__getitem__)

    def _has_passed(self, hearing: Hearing, index: int, state: State) -> bool:
        """Whether all that a class did in this window is too long ago to begin an event: mostly so, and soon known."""
        if state.open is not None:
            return False
        rule, since = self._rules.of[index], state.closed
        if rule.confirm[0] == 1:  # else older pieces count
            since = max(since, hearing.window.end - rule.hold - 2 * rule.hop - rule.piece)
        return not hearing.has_since(index, since)

    def _around(self, hearing: Hearing) -> Around:
        end = hearing.window.end
        promising = frozenset(np.flatnonzero(hearing.scores >= self._rules.off).tolist())
        return Around(promising, self._announcer.clock.at(end), end - self._end)

    def _state(self, index: int) -> State:
        return self._states.get(index, IDLE)

    def _keep(self, index: int, state: State) -> None:
        self._states[index] = state
        (self._open.discard if state.open is None else self._open.add)(index)

    def _told(self, index: int, around: Around) -> Told:
        rules = self._rules
        return Told(
            self._blocked(index),
            self._implied(index),
            not around.promising.isdisjoint(rules.below[index]),
            rules.of[index].schedule.holds(around.wall),
            around.since,
        )

    def _blocked(self, index: int) -> int:
        until = -EVER
        for suppression in self._rules.suppressed[index]:
            for other in suppression.by & self._states.keys():
                state = self._states[other]
                until = max(until, EVER if state.open else state.ended + suppression.samples)
        return until

    def _implied(self, index: int) -> tuple[tuple[int, int], ...]:
        below = self._rules.below[index]
        if not below:
            return ()
        spans = []
        for other in below & self._states.keys():
            state, hold = self._states[other], self._rules.of[other].hold
            if state.open is not None:
                spans.append((state.open.onset, EVER))
            if state.last is not None:
                spans.append((state.last[0], state.last[1] + hold))
        return tuple(spans)

    def _close(self, indices: list[int], cause: str, closed: int) -> list[Event]:
        events = []
        for index in sorted(indices, key=self._rules.order.__getitem__):
            state, change = end(self._states[index], self._rules.of[index], cause, closed)
            self._keep(index, state)
            events.append(self._event(index, change, max(self._end, change.event.offset)))
        return events

    def _event(self, index: int, change: Change, now: int) -> Event:
        said, event, label = self._announcer, change.event, self._announcer.manifest.labels[index]
        rate = self._sizes.rate
        wall = said.clock.at(now)
        ended = change.phase == "end"
        if change.phase == "start":
            # Without the session, so that every replay of a recording gives an event the same id. A stream that is
            # removed and added again starts anew at sample 0, but not at the same time.
            began = f"{said.node}/{said.name}/{label.mid}/{event.began}/{wall}"
            self._ids[index] = hashlib.sha256(began.encode()).hexdigest()[:20]
        return Event(
            said.node,
            said.session,
            said.name,
            rfc3339(wall),
            offset=0,
            id=self._ids[index],
            phase=change.phase,
            label=label.name,
            mid=label.mid,
            rate=rate,
            onset=event.onset,
            offset_time=event.offset if ended else None,
            peak=round(event.peak, DIGITS),
            mean=round(event.mean, DIGITS),
            evidence=_evidence(event),
            cause=change.cause,
            onset_at=rfc3339(wall - (now - event.onset) / rate),
            offset_at=rfc3339(wall - (now - event.offset) / rate) if ended else "",
        )


def _evidence(event: Open) -> dict[str, Any]:
    found = event.evidence
    return {
        "crop": [found.start, found.end],
        "global": round(found.global_, DIGITS),
        "local": round(found.local, DIGITS),
        "fused": round(found.fused, DIGITS),
        "chosen_for": found.chosen_for,
    }


def make_decider(announcer: Announcer, settings: EventSettings, hop: int) -> Decider | None:
    """The decider of a stream; None where no rule lets it tell anything.

    Args:
        hop: mel frames between windows.

    Raises:
        ConfigError: rules for labels that the engine has not.
    """
    manifest = announcer.manifest
    samples = hop * manifest.geometry.hop
    rules = resolve(settings, manifest.labels, manifest.geometry, samples, announcer.name)
    return Decider(announcer, rules) if rules.any else None
