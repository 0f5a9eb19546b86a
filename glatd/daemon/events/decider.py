"""What is told of one stream: every look goes through the rules of every class, and events come out."""

import hashlib
from typing import Any

import numpy as np

from glatd.daemon.announce import DIGITS, Announcer
from glatd.daemon.clock import rfc3339
from glatd.daemon.events.machine import EVER, Change, Evidence, Gate, Heard, Open, State, advance, end
from glatd.daemon.events.rules import Rules, resolve
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.events.timing import Grid, Steps, find_runs, find_steps, level_of, sharpened
from glatd.daemon.stream import AFRESH_SECONDS, Window
from glatd.daemon.tagging import Seen
from glatd.messages import Event

IDLE = State()


class Decider:
    """Decides for one stream, look by look. Its events have no offsets yet: the journal gives them.

    Args:
        announcer: of the stream's messages.
        rules: of the stream.
    """

    def __init__(self, announcer: Announcer, rules: Rules) -> None:
        self._announcer, self._rules = announcer, rules
        self._sizes = announcer.manifest.geometry
        self._states: dict[int, State] = {}
        self._open: set[int] = set()
        self._ids: dict[int, str] = {}  # of the open events
        self._floor = -EVER  # sample before which nothing begins: a gap ended what was open
        self._end = 0  # sample, of the last look

    def take(self, seen: Seen) -> list[Event]:
        """What a look changes."""
        changes: list[tuple[int, Change]] = []
        steps: Steps | None = None
        for index in self._candidates(seen):
            state = self._state(index)
            if self._has_passed(seen, index, state):
                continue
            steps = steps or self._steps(seen)
            state, changed = advance(state, self._heard(seen, index, steps), self._rules.of[index])
            self._keep(index, state)
            changes += [(index, change) for change in changed]
        self._end = seen.window.end
        return [self._event(index, change, self._end) for index, change in changes]

    def quiet(self, window: Window) -> list[Event]:
        """What it changes that all of a window is quiet: nothing goes on in it."""
        changes: list[tuple[int, Change]] = []
        for index in sorted(self._open, key=lambda index: int(self._rules.order[index])):
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

    @property
    def open(self) -> int:
        """Events that go on."""
        return len(self._open)

    def explain(self, seen: Seen, index: int) -> list[Gate]:
        """Every gate that a class comes by, or not, in the look that would be taken next. Changes nothing."""
        gates: list[Gate] = []
        heard = self._heard(seen, index, self._steps(seen))
        advance(self._state(index), heard, self._rules.of[index], gates)
        return gates

    def _candidates(self, seen: Seen) -> list[int]:
        """Classes that are heard or go on, in the order in which they are decided."""
        found = np.flatnonzero(seen.scores >= self._rules.on).tolist()
        return sorted({*found, *self._open}, key=lambda index: int(self._rules.order[index]))

    def _has_passed(self, seen: Seen, index: int, state: State) -> bool:
        """Whether all that a class did in this window is too long ago to begin an event: mostly so, and soon known."""
        if state.open is not None:
            return False
        window, rule, activations = seen.window, self._rules.of[index], seen.framewise[index]
        since = state.closed
        if rule.confirm[0] == 1:  # else older pieces count
            since = max(since, window.end - rule.hold - 2 * rule.hop - rule.piece)
        first = max(0, (since - window.start) // rule.piece - 1)
        newer = activations[first:]
        return not len(newer) or float(newer.max()) < level_of(activations)

    def _steps(self, seen: Seen) -> Steps:
        return find_steps(seen.stream.frames_of(seen.window), seen.window.start, self._sizes.hop)

    def _state(self, index: int) -> State:
        state = self._states.get(index, IDLE)
        return state if state.closed >= self._floor else State(self._floor, state.ended, state.last)

    def _keep(self, index: int, state: State) -> None:
        self._states[index] = state
        (self._open.discard if state.open is None else self._open.add)(index)

    def _heard(self, seen: Seen, index: int, steps: Steps) -> Heard:
        window, sizes, rule = seen.window, self._sizes, self._rules.of[index]
        activations = seen.framewise[index]
        length = sizes.crop * sizes.hop
        local = seen.of_crops[:, index].tolist()
        crops = tuple((start, start + length, score) for start, score in zip(seen.starts, local, strict=True))
        real = np.flatnonzero(seen.audible).tolist() or [0]
        grid = Grid(window.start, rule.piece, real[0], real[-1], window.end)
        runs = find_runs(activations, level_of(activations), grid, crops)
        fused, global_ = float(seen.scores[index]), float(seen.global_[index])
        labels = self._announcer.manifest.labels
        looks = [
            Evidence(start, stop, global_, score, fused, labels[chosen].name)
            for (start, stop, score), chosen in zip(crops, seen.classes, strict=True)
        ]
        nowhere = Evidence(-(length // 2), length - length // 2, global_, float(seen.local[index]), fused, "")
        return Heard(
            window.start,
            window.end,
            fused,
            tuple(sharpened(run, steps) for run in runs),
            (*looks, nowhere),
            self._blocked(index),
            self._implied(index),
            any(seen.scores[other] >= self._rules.of[other].off for other in self._rules.below[index]),
            rule.schedule.holds(self._announcer.clock.at(window.end)),
            since=window.end - self._end,
        )

    def _blocked(self, index: int) -> int:
        until = -EVER
        for suppression in self._rules.suppressed[index]:
            for other in suppression.by & self._states.keys():
                state = self._states[other]
                until = max(until, EVER if state.open else state.ended + suppression.samples)
        return until

    def _implied(self, index: int) -> tuple[tuple[int, int], ...]:
        spans = []
        for other in self._rules.below[index] & self._states.keys():
            state, hold = self._states[other], self._rules.of[other].hold
            if state.open is not None:
                spans.append((state.open.onset, EVER))
            if state.last is not None:
                spans.append((state.last[0], state.last[1] + hold))
        return tuple(spans)

    def _close(self, indices: list[int], cause: str, closed: int) -> list[Event]:
        events = []
        for index in sorted(indices, key=lambda index: int(self._rules.order[index])):
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
