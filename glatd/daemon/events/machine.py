"""The state machine of one class on one stream: pure, from what a look has heard of it to what is to be told.

A look covers 10 s, so one sound is in about ten looks. Everything here counts audio by its place in the stream: a
piece that was heard is one piece, however many looks hold it, and nothing before `State.closed` ever begins an event.
"""

import operator
from collections.abc import Iterator
from typing import Literal, NamedTuple

from glatd.daemon.events.rules import Rule
from glatd.daemon.events.timing import Run

EVER = 1 << 62  # samples
RISE = 0.1  # of a score, that is worth an update
MOST_ESTIMATES = 11  # of an onset; there is hardly one look more that holds it

Phase = Literal["start", "update", "end", "retract"]


class Crop(NamedTuple):
    """A piece of audio that was looked at twice, and what was found there of a class."""

    start: int  # sample
    end: int  # sample
    local: float  # score
    chosen_for: str  # label that it was chosen for


class Evidence(NamedTuple):
    """The piece of audio that says most for a class."""

    start: int  # sample
    end: int  # sample
    global_: float  # of the window that it was seen in
    local: float  # of the crop for this class; of the window, where nobody looked there twice
    fused: float  # of the window
    chosen_for: str  # label that the crop was chosen for; "" where nobody looked there twice


class Heard(NamedTuple):
    """What one look says of one class."""

    start: int  # sample, of the window
    end: int  # sample, exclusive; now
    fused: float
    runs: tuple[Run, ...]  # stretches in which the class is active, in order
    crops: tuple[Crop, ...]  # what was looked at twice
    global_: float = 0.0
    local: float = 0.0
    length: int = 0  # samples of a crop
    blocked: int = 0  # sample before which another class keeps events of this one from beginning
    implied: tuple[tuple[int, int], ...] = ()  # [onset, offset + hold] of events that say this class too
    promising: bool = False  # whether a class below scores so much that it may be the better name
    scheduled: bool = True
    since: int = 0  # samples since the look before; 0 where that is a hop
    looked: bool = True  # whether the networks did; the level gate says that all of it is quiet


class Open(NamedTuple):
    """An event that goes on."""

    began: int  # sample that its id is made of: the onset as it was first told
    onset: int  # sample: the median of the estimates
    offset: int  # sample: the end of what was heard of it so far
    anchor: int  # sample: the peak of its first run, by which later looks know it again
    onsets: tuple[int, ...]  # estimates
    evidence: Evidence
    peak: float  # best fused score
    total: float  # of the fused scores of `looks`
    looks: int
    told: tuple[float, float, int]  # peak, local score of the evidence, and onset, as last told
    told_at: int  # sample, end of the window
    confirmed: bool = False  # by a second look

    @property
    def mean(self) -> float:
        """Mean fused score of the looks that heard it."""
        return min(self.peak, self.total / self.looks)  # the sum is rounded


class State(NamedTuple):
    """Of one class."""

    closed: int = -EVER  # sample before which nothing begins
    ended: int = -EVER  # sample at which the last event ended
    last: tuple[int, int] | None = None  # onset and offset of the last event
    pieces: tuple[int, ...] = ()  # numbers of the pieces of audio that held it, for its confirmation
    waited: int = -EVER  # sample, end of the look from which it waits for a better name
    open: Open | None = None


class Change(NamedTuple):
    """What is to be told."""

    phase: Phase
    event: Open
    cause: str = ""


class Gate(NamedTuple):
    """One condition of an event's beginning, with its numbers."""

    name: str
    passed: bool
    value: float
    limit: float
    unit: Literal["score", "pieces", "samples", "sample", ""] = ""  # of value and limit; "sample" is a place


def advance(state: State, heard: Heard, rule: Rule, trace: list[Gate] | None = None) -> tuple[State, list[Change]]:
    """One look further.

    Args:
        trace: where every gate that a beginning is measured by is noted, for explanations.
    """
    changes: list[Change] = []
    bouts = _bouts(heard, state.closed, rule.hold) if heard.fused >= rule.off else []
    pieces = _pieces(state, heard, rule, bouts)
    if pieces != state.pieces:
        state = state._replace(pieces=pieces)
    touched = False
    # What one look took for one event is not torn apart by the next: the first half's end would be told too late.
    before = state.open.offset if state.open is not None else -EVER
    for bout in bouts:
        event = state.open
        if event is not None and bout[-1].offset < event.onset - rule.hold:
            continue  # an older sound that is still in the window
        if event is not None and bout[0].onset - max(event.offset, before) < max(rule.hold, 1):
            state = state._replace(open=_longer(event, bout, heard))
            touched = True
            continue
        if event is not None:
            state, change = end(_not_too_late(state, heard, rule), rule)
            changes.append(change)
            before = -EVER
            bout = _clipped(bout, state.closed)
            state = state._replace(pieces=_pieces(state, heard, rule, [bout]))
        if bout and _begins(state, bout, heard, rule, trace):
            state = state._replace(open=_begun(bout, heard))
            changes.append(Change("start", state.open))  # type: ignore[arg-type]
            touched = True
    if bouts and heard.promising and heard.fused >= rule.on and state.waited <= heard.start:
        state = state._replace(waited=heard.end)
    if not bouts and trace is not None:
        trace.append(Gate("on", heard.fused >= rule.on, heard.fused, rule.on, "score"))
        newest = max((run.at for run in heard.runs), default=-EVER)
        trace.append(
            Gate("active since the last event", newest >= max(state.closed, 0), newest, state.closed, "sample")
        )
    event = state.open
    if event is not None and heard.end - event.offset >= rule.hold + rule.hop and event.told_at == heard.end:
        state, change = end(state, rule)  # it was found late
        changes.append(change)
    elif event is not None and event.told_at != heard.end:
        state, news = _going_on(state, event, heard, rule, touched)
        changes += news
    return state, changes


def end(state: State, rule: Rule, cause: str = "", closed: int | None = None) -> tuple[State, Change]:
    """End the event that is open.

    Args:
        closed: sample before which nothing begins, where something else than the sound has ended it.
    """
    event = state.open
    if event is None:
        raise ValueError("no event is open")
    after = event.offset + rule.hold if closed is None else closed
    after = max(after, event.offset + rule.cooldown)
    span = event.onset, event.offset
    return State(closed=after, ended=event.offset, last=span), Change("end", event, cause)


def _bouts(heard: Heard, closed: int, hold: int) -> list[tuple[Run, ...]]:
    """Runs after `closed`, together where the pause between them is shorter than the hold."""
    bouts: list[tuple[Run, ...]] = []
    for run in _clipped(heard.runs, closed):
        if bouts and run.onset - bouts[-1][-1].offset < hold:
            bouts[-1] += (run,)
        else:
            bouts.append((run,))
    return bouts


def _clipped(runs: tuple[Run, ...], closed: int) -> tuple[Run, ...]:
    """What of the runs is later than `closed`. One whose peak is not belongs to what was told before."""
    return tuple(
        run if run.onset >= closed else run._replace(onset=closed, cut=True)
        for run in runs
        if run.at >= closed and run.offset > closed
    )


def _pieces(state: State, heard: Heard, rule: Rule, bouts: list[tuple[Run, ...]]) -> tuple[int, ...]:
    """Every piece of audio that was heard counts once; those that no confirmation looks back to are forgotten."""
    if rule.confirm[0] == 1 or state.open is not None or heard.fused < rule.on:
        return state.pieces
    found = {piece for bout in bouts for run in bout for piece in run.pieces}
    oldest = heard.start // rule.piece - rule.confirm[1]
    return tuple(sorted(piece for piece in found | set(state.pieces) if piece >= oldest))


def _begins(state: State, bout: tuple[Run, ...], heard: Heard, rule: Rule, trace: list[Gate] | None) -> bool:
    """Whether all gates are open. For an explanation all are asked, else only as far as the first that is shut."""
    gates = _gates(state, bout, heard, rule)
    if trace is None:
        return all(gate.passed for gate in gates)
    asked = list(gates)
    trace += asked
    return all(gate.passed for gate in asked)


def _gates(state: State, bout: tuple[Run, ...], heard: Heard, rule: Rule) -> Iterator[Gate]:
    onset, offset = max(bout[0].onset, heard.blocked), bout[-1].offset
    yield Gate("on", heard.fused >= rule.on, heard.fused, rule.on, "score")
    age, oldest = heard.end - offset, rule.hold + 2 * rule.hop
    yield Gate("age", age < oldest, age, oldest, "samples")
    implied = max((min(end, offset) - max(start, onset) for start, end in heard.implied), default=-1)
    yield Gate("not told by a more specific class", implied < 0, max(0, implied), 0, "samples")
    # Another event in this window, of this class or one that says it, may be all that its scores speak of.
    shared = max((state.ended, *(end for _, end in heard.implied))) > heard.start
    own = max(run.score for run in bout)
    name = "own score beside the last event"
    yield Gate(name, not shared or own >= rule.on, own, rule.on if shared else 0.0, "score")
    newest = bout[-1].pieces[-1]
    pieces = set(state.pieces).union(*(run.pieces for run in bout))
    confirmed = sum(newest - rule.confirm[1] < piece <= newest for piece in pieces)
    yield Gate("pieces of audio", confirmed >= rule.confirm[0], confirmed, rule.confirm[0], "pieces")
    yield Gate("duration", offset - onset >= max(rule.min_duration, 1), offset - onset, rule.min_duration, "samples")
    yield Gate("not suppressed", heard.blocked < offset, heard.blocked, offset, "sample")
    waited = not heard.promising or state.waited > heard.start
    since = state.waited if heard.promising else EVER
    yield Gate("no better name comes up", waited, since, heard.start, "sample")
    yield Gate("schedule", heard.scheduled, float(heard.scheduled), 1.0)


def _begun(bout: tuple[Run, ...], heard: Heard) -> Open:
    onset = max(bout[0].onset, heard.blocked)
    first = next(run for run in bout if run.offset > onset)
    evidence = _evidence(None, heard, onset, bout)
    return Open(
        began=onset,
        onset=onset,
        offset=bout[-1].offset,
        anchor=first.at,
        onsets=(onset,),
        evidence=evidence,
        peak=heard.fused,
        total=heard.fused,
        looks=1,
        told=(heard.fused, evidence.local, onset),
        told_at=heard.end,
    )


def _longer(event: Open, bout: tuple[Run, ...], heard: Heard) -> Open:
    """What a further look says of an event."""
    onsets = event.onsets
    for run in bout:
        if run.onset <= event.anchor < run.offset and not run.cut and len(onsets) < MOST_ESTIMATES:
            onsets += (run.onset,)
    onset = sorted(onsets)[len(onsets) // 2]
    return event._replace(
        onset=onset,
        offset=max(bout[-1].offset, onset + 1),
        onsets=onsets,
        evidence=_evidence(event.evidence, heard, onset, bout),
        peak=max(event.peak, heard.fused),
        total=event.total + heard.fused,
        looks=event.looks + 1,
    )


def _going_on(state: State, event: Open, heard: Heard, rule: Rule, touched: bool) -> tuple[State, list[Change]]:
    """The end of an event, its retraction, an update, or nothing."""
    if not event.confirmed:
        if touched and heard.fused >= rule.on:
            event = event._replace(confirmed=True)
        elif heard.looked and heard.fused < rule.off and event.onset >= heard.start:
            closed = event.offset + max(rule.hold, rule.cooldown)
            return State(closed=closed), [Change("retract", event, "not confirmed by a later look")]
    state = state._replace(open=event)
    if heard.end - event.offset >= rule.hold + rule.hop:
        state, change = end(_not_too_late(state, heard, rule), rule)
        return state, [change]
    peak, local, onset = event.told
    news = (
        event.peak - peak >= RISE or event.evidence.local - local >= RISE or abs(event.onset - onset) > rule.piece // 2
    )
    if not news or heard.end - event.told_at < rule.update:
        return state, []
    event = event._replace(told=(event.peak, event.evidence.local, event.onset), told_at=heard.end)
    return state._replace(open=event), [Change("update", event)]


def _not_too_late(state: State, heard: Heard, rule: Rule) -> State:
    """The look before heard the event until later than this, else it would have ended then: so much is taken back."""
    least = heard.end - (rule.hold + rule.hop + max(rule.hop, heard.since))
    event = state.open
    if event is None or event.offset >= least:
        return state
    return state._replace(open=event._replace(offset=least))


def _evidence(before: Evidence | None, heard: Heard, onset: int, bout: tuple[Run, ...]) -> Evidence:
    """The crop of the event with the highest local score, over all looks; around its peak where there is none."""
    offset = bout[-1].offset
    inside = [crop for crop in heard.crops if crop.start < offset and onset < crop.end]
    if inside:
        best = max(inside, key=_local)
        if before is not None and before.chosen_for and before.local >= best.local:
            return before
        return Evidence(best.start, best.end, heard.global_, best.local, heard.fused, best.chosen_for)
    if before is not None:
        return before
    at = max(bout, key=_peak).at
    start = at - heard.length // 2
    return Evidence(start, start + heard.length, heard.global_, heard.local, heard.fused, "")


_local = operator.attrgetter("local")
_peak = operator.attrgetter("peak")
