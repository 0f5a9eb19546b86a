"""The state machine alone: whatever the looks say, what is told is whole, and no sound counts twice."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glatd.daemon.events.machine import Change, Gate, Heard, State, advance, end
from glatd.daemon.events.rules import Rule
from glatd.daemon.events.timing import Grid, Run, find_runs, level_of
from glatd.schedule import Schedule

RATE = 32_000
PIECE = 10_240
HOP = 3 * PIECE
FRAMES = 31
RULE = Rule(0.5, 0.3, (1, 1), 0, 2 * RATE, 0, 5 * RATE, HOP, PIECE, Schedule())


def looks(
    activations: list[float], scores: list[float] | float, rule: Rule = RULE, again: list[float] | None = None
) -> list[Heard]:
    """Every look at a stream whose pieces are active like that; the score is that of the window.

    Args:
        again: what every second look finds instead, for looks that do not agree.
    """
    count = len(activations) // 3
    wholes = [np.resize(np.array(part, np.float32), 3 * count) for part in (activations, again or activations)]
    told = scores if isinstance(scores, list) else [scores] * count
    found = []
    for look in range(count):
        whole, last = wholes[look % 2], 3 * (look + 1)  # piece after the window
        window = np.zeros(FRAMES, np.float32)
        part = whole[max(0, last - FRAMES) : last]
        window[FRAMES - len(part) :] = part
        first, now = (last - FRAMES) * PIECE, last * PIECE
        values = window.tolist()
        runs = find_runs(values, level_of(values), Grid(first, PIECE, max(0, FRAMES - last), FRAMES - 1, now), ())
        fused = told[look % len(told)] if runs else 0.0
        found.append(Heard(first, now, fused, runs, (), fused, fused, 96_000))
    return found


def follow(heard: list[Heard], rule: Rule = RULE) -> list[tuple[int, Change]]:
    """What is told, and at which sample; the stream ends after the last look."""
    state, told = State(), []
    for look in heard:
        state, changes = advance(state, look, rule)
        told += [(look.end, change) for change in changes]
    if state.open is not None:
        told.append((heard[-1].end, end(state, rule, "end of stream")[1]))
    return told


ACTIVATIONS = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.2, 0.45, 0.6, 0.95]), min_size=3, max_size=240)
SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.29, 0.3, 0.4, 0.5, 0.8]), min_size=1, max_size=40)
RULES = st.builds(
    lambda m, n, least, hold, cooldown: replace(
        RULE,
        confirm=(m, m + n),
        min_duration=round(least * RATE),
        hold=round(hold * RATE),
        cooldown=round(cooldown * RATE),
    ),
    st.integers(1, 4),
    st.integers(0, 20),
    st.sampled_from([0.0, 0.0, 0.5, 1.5]),
    st.sampled_from([0.0, 0.5, 2.0, 5.0]),
    st.sampled_from([0.0, 0.0, 3.0, 20.0]),
)


@given(ACTIVATIONS, st.one_of(st.none(), ACTIVATIONS), SCORES, RULES)
def test_what_is_told_is_whole(
    activations: list[float], again: list[float] | None, scores: list[float], rule: Rule
) -> None:
    """Ends match starts and are told in time, events of a class never overlap, pauses are as long as the rule says."""
    going, last = None, None
    for now, change in follow(looks(activations, scores, rule, again), rule):
        event = change.event
        assert event.onset < event.offset <= now
        assert 0 < event.mean <= event.peak <= 1
        if change.phase == "start":
            assert going is None
            assert event.peak >= rule.on
            assert event.offset - event.onset >= rule.min_duration
            assert now - event.offset < rule.hold + 2 * HOP
            if last is not None:
                assert event.onset - last.offset >= max(rule.hold, rule.cooldown)
            going = event.began
        else:
            assert going == event.began
            if change.phase != "update":
                going = None
            if change.phase == "end":
                assert change.cause or now - event.offset <= rule.hold + 2 * HOP
                last = event
    assert going is None


@given(ACTIVATIONS, SCORES, RULES)
def test_hysteresis(activations: list[float], scores: list[float], rule: Rule) -> None:
    """Nothing begins below the upper threshold, and a look above the lower one never takes anything back."""
    state = State()
    for look in looks(activations, scores, rule):
        before = state
        state, changes = advance(state, look, rule)
        phases = [change.phase for change in changes]
        assert "start" not in phases or look.fused >= rule.on
        assert "retract" not in phases or look.fused < rule.off
        if before.open is not None and look.fused < rule.off and state.open is not None:
            assert state.open.offset == before.open.offset


@given(ACTIVATIONS, st.integers(1, 6), st.integers(0, 10))
def test_no_piece_of_audio_counts_twice(activations: list[float], m: int, more: int) -> None:
    """However many looks hold it: the pieces that are active bound what can be confirmed."""
    rule = replace(RULE, confirm=(m, m + more))
    told = follow(looks(activations, 0.9, rule), rule)
    if sum(value > 0 for value in activations) < m:
        assert told == []


@pytest.mark.parametrize(("hold", "events"), [(2.0, 2), (3.0, 2), (5.0, 1)])
def test_two_barks_4_s_apart(hold: float, events: int) -> None:
    activations = [0.0] * 90
    activations[30] = activations[31] = activations[44] = 0.95
    rule = replace(RULE, hold=round(hold * RATE))
    told = follow(looks(activations, 0.8), rule)
    ends = [(now, change.event) for now, change in told if change.phase == "end"]
    assert [change.phase for _, change in told] == ["start", "end"] * events
    assert ends[0][1].onset == pytest.approx(30 * PIECE, abs=PIECE)
    assert ends[-1][1].offset == pytest.approx(45 * PIECE, abs=PIECE)
    for now, event in ends:
        assert now - event.offset <= rule.hold + 2 * HOP


def test_an_end_is_told_in_time_also_where_the_next_look_moves_it_back() -> None:
    """A scene had one told after 4.4 s: its end moved back by so much that what came next was another event.

    What one look took for one event is one.
    """
    now = 1_000_000
    offset = now - RULE.hold - HOP + 1_000  # it ends with the next look, if that hears no more of it

    def run(onset: int, offset: int) -> Run:
        at = (onset + offset) // 2
        return Run(onset, offset, at, 0.9, 0.9, tuple(range(onset // PIECE, offset // PIECE)))

    first = run(offset - 20_000, offset)
    moved = run(offset - 40_000, offset - 20_000)
    next_one = run(moved.offset + RULE.hold + 100, now)
    state, told = State(), []
    for end_of_look, runs in ((offset, (first,)), (now, (first,)), (now + HOP, (moved, next_one))):
        heard = Heard(end_of_look - 320_000, end_of_look, 0.9, runs, (), 0.9, 0.9, 96_000)
        state, changes = advance(state, heard, RULE)
        told += [(end_of_look, change) for change in changes]
    for end_of_look in range(now + 2 * HOP, now + 9 * HOP, HOP):
        state, changes = advance(state, Heard(end_of_look - 320_000, end_of_look, 0.0, (), ()), RULE)
        told += [(end_of_look, change) for change in changes]
    ends = [(at, change.event) for at, change in told if change.phase == "end"]
    assert [change.phase for _, change in told if change.phase != "update"] == ["start", "end"]
    assert all(at - event.offset <= RULE.hold + 2 * HOP for at, event in ends)


@pytest.mark.parametrize(("barks", "told"), [(1, 0), (2, 0), (3, 1)])
def test_three_barks_within_a_minute(barks: int, told: int) -> None:
    """One bark is in ten looks, and is one piece of audio."""
    activations = [0.0] * 200
    for bark in range(barks):
        activations[20 + 50 * bark] = 0.95
    rule = replace(RULE, confirm=(3, 190))
    assert sum(change.phase == "start" for _, change in follow(looks(activations, 0.8), rule)) == told


def test_a_sound_that_a_second_look_does_not_confirm_is_taken_back() -> None:
    activations = [0.0] * 60
    activations[29] = 0.9
    heard = looks(activations, 0.6)
    heard = [look._replace(fused=0.1) if look.end > 30 * PIECE else look for look in heard]
    (started, start), (taken, retraction) = follow(heard)
    assert (start.phase, retraction.phase) == ("start", "retract")
    assert (started, taken) == (30 * PIECE, 33 * PIECE)
    assert start.event.began == retraction.event.began


def test_a_look_between_the_thresholds_neither_confirms_nor_takes_back() -> None:
    activations = [0.0] * 60
    activations[29] = 0.9
    heard = [
        look._replace(fused=min(look.fused, 0.4)) if look.end > 30 * PIECE else look for look in looks(activations, 0.6)
    ]
    assert [change.phase for _, change in follow(heard)] == ["start", "end"]


def test_a_long_sound_is_one_event_with_updates_that_are_limited() -> None:
    activations = [0.0] * 30 + [0.9] * 300 + [0.0] * 60
    scores = [0.5 + 0.004 * look for look in range(125)]
    told = follow(looks(activations, scores))
    assert {change.phase for _, change in told[1:-1]} == {"update"}
    times = [now for now, change in told if change.phase == "update"]
    assert len(times) >= 2 and min(np.diff(times)) >= RULE.update
    last = told[-1][1].event
    assert last.onset == pytest.approx(30 * PIECE, abs=PIECE) and last.offset == pytest.approx(330 * PIECE, abs=PIECE)
    assert last.peak == pytest.approx(max(scores[10:110]), abs=0.05)


def test_quiet_windows_end_an_event_and_take_none_back() -> None:
    activations = [0.0] * 30 + [0.9] * 3 + [0.0] * 60
    heard = looks(activations, 0.6)
    heard = [
        Heard(look.start, look.end, 0.0, (), (), looked=False) if look.end > 33 * PIECE else look for look in heard
    ]
    told = follow(heard)
    assert [change.phase for _, change in told] == ["start", "end"]
    assert told[-1][0] - told[-1][1].event.offset <= RULE.hold + 2 * HOP


def test_what_goes_on_as_another_class_begins_is_not_cut_off() -> None:
    """Suppressed, or told by a more specific class: only beginnings are."""
    activations = [0.0] * 30 + [0.9] * 30 + [0.0] * 60
    heard = looks(activations, 0.6)
    later = [look._replace(blocked=1 << 62) if look.end > 36 * PIECE else look for look in heard]
    assert [change.event.offset for _, change in follow(later)] == [change.event.offset for _, change in follow(heard)]
    assert follow([look._replace(blocked=1 << 62) for look in heard]) == []
    assert follow([look._replace(implied=((0, 1 << 62),)) for look in heard]) == []
    assert follow([look._replace(scheduled=False) for look in heard]) == []
    first, *_ = follow([look._replace(blocked=40 * PIECE) for look in heard])
    assert first[1].event.onset == 40 * PIECE


def test_a_general_class_waits_one_look_for_a_better_name() -> None:
    activations = [0.0] * 30 + [0.9] * 30 + [0.0] * 60
    heard = looks(activations, 0.6)
    usual, late = follow(heard)[0][0], follow([look._replace(promising=True) for look in heard])[0][0]
    assert late - usual == HOP


def test_every_gate_says_its_numbers() -> None:
    activations = [0.0] * 30 + [0.9] * 30
    heard = looks(activations, 0.6)
    trace: list[Gate] = []
    rule = replace(RULE, confirm=(9, 9))
    state = State()
    for look in heard[:11]:
        trace.clear()
        state, _ = advance(state, look, rule, trace)
    shut = [gate for gate in trace if not gate.passed]
    assert [(gate.name, gate.value, gate.limit) for gate in shut] == [("pieces of audio", 3, 9)]
