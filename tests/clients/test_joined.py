"""One sound of several microphones: who is joined, what is said of it, and that it does not depend on who is first."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glatd.clients.joined import MOST_ENDED, MOST_OPEN, TOO_MANY, Joined, SoundJoiner
from glatd.errors import ConfigError
from glatd.labels import ancestors, node_mid
from glatd.messages import Event

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
YARD = [["*/yard*"]]


def at(seconds: float) -> str:
    """A time as messages tell it."""
    return (BEGAN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def told(
    phase: str, onset: float, end: float | None = None, *, source: str = "a/yard", label: str = "Dog",
    number: int = 0, peak: float = 0.5, cause: str = "", when: float | None = None, offset: int | None = None,
) -> Event:  # fmt: skip
    """An event of one microphone, as its node tells it."""
    node, stream = source.split("/")
    rank = {"start": 1, "update": 2, "end": 3, "retract": 3}[phase]
    return Event(
        node, "s1", stream, at(onset + 1.5 if when is None else when),
        offset=10 * number + rank if offset is None else offset, id=f"id{number}", phase=phase, label=label,  # type: ignore[arg-type]
        mid=node_mid(label), rate=32_000, onset=round(32_000 * onset),
        offset_time=None if end is None else round(32_000 * end), peak=peak, mean=peak, evidence={"crop": [1, 2]},
        cause=cause, onset_at=at(onset), offset_at="" if end is None else at(end),
    )  # fmt: skip


def take(sounds: SoundJoiner, *events: Event) -> list[Joined]:
    """What events change, each in itself as it must be."""
    said = [message for event in events for message in sounds.take(event)]
    for message in said:
        sources = [(event.node, event.stream) for event in message.heard]
        assert len(set(sources)) == len(sources) > 0
        assert message.mid in {event.mid for event in message.heard}
        assert message.peak == max(event.peak for event in message.heard)
        assert message.onset_at == min(event.onset_at for event in message.heard)
    return said


def short(said: list[Joined]) -> list[tuple[str, str, str]]:
    """Phase, id and where it was heard."""
    return [(m.phase, m.id, " ".join(f"{event.node}{event.id[2:]}" for event in m.heard)) for m in said]


def test_a_sound_begins_with_the_first_and_ends_with_the_last() -> None:
    sounds = SoundJoiner(YARD)
    assert short(take(sounds, told("start", 10.0))) == [("start", "a/yard/id0", "a0")]
    (joined,) = take(sounds, told("start", 10.3, source="b/yard-2", peak=0.8, number=7))
    assert short([joined]) == [("update", "a/yard/id0", "a0 b7")]
    assert (joined.peak, joined.onset_at, joined.offset_at) == (0.8, at(10.0), "")
    assert [event.evidence for event in joined.heard] == [{"crop": [1, 2]}] * 2
    (risen,) = take(sounds, told("update", 9.9, peak=0.9))
    assert (risen.phase, risen.peak, risen.onset_at) == ("update", 0.9, at(9.9))
    (one,) = take(sounds, told("end", 9.9, 12.0))
    assert (one.phase, one.offset_at, [event.phase for event in one.heard]) == ("update", "", ["end", "start"])
    (over,) = take(sounds, told("end", 10.3, 12.4, source="b/yard-2", number=7))
    assert (over.phase, over.offset_at, over.cause) == ("end", at(12.4), "")
    assert short(take(sounds, told("start", 12.8, number=1))) == [("start", "a/yard/id1", "a1")]


def test_the_most_specific_label_wins_and_what_is_no_relative_stands_apart() -> None:
    sounds = SoundJoiner(YARD)
    take(sounds, told("start", 10.0, label="Animal", peak=0.9))
    (joined,) = take(sounds, told("start", 10.1, source="b/yard", label="Dog", peak=0.6))
    assert (joined.id, joined.label, joined.peak) == ("a/yard/id0", "Dog", 0.9)
    assert [m.phase for m in take(sounds, told("start", 10.1, source="c/yard", label="Cat"))] == ["start"]
    assert [m.phase for m in take(sounds, told("start", 10.1, source="d/yard", label="Speech"))] == ["start"]
    (third,) = take(sounds, told("start", 10.2, source="e/yard", label="Bark"))
    assert (third.id, third.label, len(third.heard)) == ("a/yard/id0", "Bark", 3)


def test_siblings_are_one_sound_where_they_are_said_to_be_alike() -> None:
    for alike, phases in (((), ["start", "start"]), (("Dog",), ["start", "update"])):
        sounds = SoundJoiner(YARD, alike=alike)
        said = take(sounds, told("start", 1.0, label="Bark"), told("start", 1.1, source="b/yard", label="Howl"))
        assert [m.phase for m in said] == phases


def test_places_and_streams_of_none() -> None:
    sounds = SoundJoiner([["a/yard", "b/*"], ["?/hall"]])
    said = take(
        sounds,
        told("start", 1.0, source="a/yard"),
        told("start", 1.0, source="a/hall"),
        told("start", 1.0, source="b/hall"),  # of the first place that fits
        told("start", 1.0, source="c/hall"),
        told("start", 1.0, source="c/cellar"),
        told("start", 1.0, source="d/cellar"),
    )
    assert short(said) == [
        ("start", "a/yard/id0", "a0"), ("start", "a/hall/id0", "a0"), ("update", "a/yard/id0", "a0 b0"),
        ("update", "a/hall/id0", "a0 c0"), ("start", "c/cellar/id0", "c0"), ("start", "d/cellar/id0", "d0"),
    ]  # fmt: skip


def test_two_sounds_of_one_microphone_are_never_one() -> None:
    """The other one hears no pause between two barks: it belongs to the first."""
    sounds = SoundJoiner(YARD)
    said = take(
        sounds,
        told("start", 1.0, source="b/yard"),
        told("start", 1.1, number=0),
        told("end", 1.1, 1.5, number=0),
        told("start", 4.5, number=1),
        told("end", 4.5, 5.0, number=1),
        told("end", 1.0, 5.0, source="b/yard"),
    )
    assert short(said) == [
        ("start", "b/yard/id0", "b0"), ("update", "b/yard/id0", "b0 a0"), ("update", "b/yard/id0", "b0 a0"),
        ("start", "a/yard/id1", "a1"), ("end", "a/yard/id1", "a1"), ("end", "b/yard/id0", "b0 a0"),
    ]  # fmt: skip


def test_what_was_joined_too_soon_is_told_apart() -> None:
    """That the first had ended before the second began shows only in its end."""
    sounds = SoundJoiner(YARD)
    take(sounds, told("start", 1.0), told("start", 3.0, source="b/yard"))
    said = take(sounds, told("end", 1.0, 1.5))
    assert short(said) == [("end", "a/yard/id0", "a0"), ("start", "b/yard/id0", "b0")]


@pytest.mark.parametrize(("end", "joined"), [(1.9, True), (1.5, True), (1.499, False)])
def test_the_tolerance(end: float, joined: bool) -> None:
    sounds = SoundJoiner(YARD)
    take(sounds, told("start", 1.0), told("end", 1.0, end))
    (said,) = take(sounds, told("start", 2.0, source="b/yard"))
    assert (said.phase == "update") == joined


def test_who_comes_late_still_belongs_to_it() -> None:
    sounds = SoundJoiner(YARD)
    take(sounds, told("start", 1.0), told("end", 1.0, 2.0))
    said = take(sounds, told("start", 0.9, source="b/yard"), told("end", 0.9, 2.1, source="b/yard"))
    assert short(said) == [("update", "a/yard/id0", "b0 a0"), ("end", "a/yard/id0", "b0 a0")]
    assert (said[-1].onset_at, said[-1].offset_at) == (at(0.9), at(2.1))


def test_a_better_onset_can_make_two_sounds_one() -> None:
    sounds = SoundJoiner(YARD)
    take(sounds, told("start", 1.0), told("end", 1.0, 2.0), told("start", 3.0, source="b/yard"))
    said = take(sounds, told("update", 2.2, source="b/yard"))
    assert short(said) == [("update", "a/yard/id0", "a0 b0"), ("retract", "b/yard/id0", "b0")]
    assert said[1].cause == "joined with a/yard/id0"


def test_retractions() -> None:
    sounds = SoundJoiner(YARD)
    take(sounds, told("start", 1.0), told("start", 1.1, source="b/yard"))
    (less,) = take(sounds, told("retract", 1.0, cause="not confirmed"))
    assert short([less]) == [("update", "a/yard/id0", "b0")]  # the id stays, though who gave it took it back
    (none,) = take(sounds, told("retract", 1.1, source="b/yard", cause="not confirmed"))
    assert (none.phase, none.id, none.cause) == ("retract", "a/yard/id0", "not confirmed")
    assert take(sounds, told("retract", 1.0, source="c/yard")) == []


def test_repeats_change_nothing_and_an_end_alone_is_enough() -> None:
    sounds = SoundJoiner(YARD)
    end = told("end", 1.0, 2.0)
    assert [m.phase for m in take(sounds, end)] == ["start", "end"]  # the start came before this program was there
    assert take(sounds, end, told("start", 1.0)) == []


def test_an_end_after_a_kill_lasts_until_it_was_told_last() -> None:
    sounds = SoundJoiner(YARD)
    take(sounds, told("start", 1.0), told("update", 1.0, when=6.0))
    (end,) = take(sounds, told("end", 1.0, cause="restart", when=900.0))
    assert (end.phase, end.offset_at, end.cause) == ("end", "", "restart")
    assert [m.phase for m in take(sounds, told("start", 7.0, source="b/yard"))] == ["start"]
    said = take(sounds, told("start", 6.4, source="c/yard"))  # which joins all three
    assert short(said) == [("update", "a/yard/id0", "a0 c0 b0"), ("retract", "b/yard/id0", "b0")]


def test_memory_is_bounded() -> None:
    sounds = SoundJoiner(YARD)
    for number in range(3 * MOST_ENDED):
        onset = 10.0 * number
        take(sounds, told("start", onset, number=number), told("end", onset, onset + 1, number=number))
    (place,) = sounds._places.values()
    assert len(place._parts) == len(place._told) == len(place._ended) == len(place._ids) == MOST_ENDED
    said = []
    for number in range(MOST_OPEN + 5):  # never two of one label, so that each stands alone
        said += take(sounds, told("start", 1e5 + number, number=10_000 + number))
    ended = [(m.phase, m.id) for m in said if m.cause == TOO_MANY]
    assert ended == [("end", f"a/yard/id{10_000 + number}") for number in range(5)]
    assert len(place._parts) == MOST_ENDED + MOST_OPEN


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([["*"]], -1.0), "tolerance = -1.0 must be seconds from 0"),
        (([["*"]], float("nan")), "tolerance = nan must be"),
        ((["*"],), "must be a list of globs"),
        (([[]],), "must be a list of globs"),
        (([["*"]], 0.5, ["Dgo"]), "did you mean 'Dog'"),
    ],
)
def test_arguments_that_cannot_be(arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SoundJoiner(*arguments)  # type: ignore[arg-type]


LABELS = ("Animal", "Dog", "Bark", "Cat", "Speech")


@st.composite
def microphones(draw: st.DrawFn) -> list[list[Event]]:
    """What some microphones tell, each in its order: sounds one after another, some with updates, some taken back."""
    told_by: list[list[Event]] = []
    for name in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)):
        said: list[Event] = []
        now = 0.0
        for number in range(draw(st.integers(0, 5))):
            now += draw(st.integers(0, 30)) / 10
            length = draw(st.integers(0, 40)) / 10
            source, label = f"{name}/yard", draw(st.sampled_from(LABELS))
            kind = draw(st.sampled_from(["whole", "whole", "updated", "retracted", "open", "killed"]))
            moved = now + draw(st.integers(-5, 5)) / 10 if kind == "updated" else now
            said.append(told("start", now, source=source, label=label, number=number))
            if kind == "updated":
                said.append(told("update", moved, source=source, label=label, number=number, peak=0.7))
            if kind == "retracted":
                said.append(told("retract", now, source=source, label=label, number=number))
            elif kind == "killed":
                said.append(told("end", now, source=source, label=label, number=number, cause="restart"))
            elif kind != "open":
                said.append(told("end", moved, max(moved, now + length), source=source, label=label, number=number))
            now += length
        told_by.append(said)
    return told_by


def mixed(rng: random.Random, told_by: list[list[Event]]) -> list[Event]:
    """All that is told, each microphone's in its order."""
    left = [list(said) for said in told_by if said]
    events = []
    while left:
        said = rng.choice(left)
        events.append(said.pop(0))
        left = [said for said in left if said]
    return events


def last_of(said: list[Joined]) -> dict[str, Joined]:
    """What stands, by id, when all was said; and on the way nothing was said that could not be."""
    stands: dict[str, Joined] = {}
    for message in said:
        before = stands.get(message.id)
        if message.phase == "start":
            assert before is None
        else:
            assert before is not None
        if message.phase == "retract":
            del stands[message.id]
        else:
            stands[message.id] = message
    return stands


def summary(stands: dict[str, Joined]) -> set[tuple[object, ...]]:
    """Without ids, which are those of whoever came first."""
    return {(m.phase == "end", m.label, m.onset_at, m.offset_at, m.peak, repr(m.heard)) for m in stands.values()}


@pytest.mark.timeout(300)
@given(st.integers(0, 2**32), microphones())
@settings(max_examples=60)
def test_every_sound_is_in_one_event_whatever_comes_first(seed: int, told_by: list[list[Event]]) -> None:
    ends: list[set[tuple[object, ...]]] = []
    for order in (seed, seed + 1):
        events = mixed(random.Random(order), told_by)
        said = take(SoundJoiner(YARD), *events)
        assert said == take(SoundJoiner(YARD), *events)  # the same each time
        stands = last_of(said)
        latest = {(event.node, event.id): event for event in events}
        standing = {key: event for key, event in latest.items() if event.phase != "retract"}
        parts = [event for message in stands.values() for event in message.heard]
        assert sorted(parts, key=repr) == sorted(standing.values(), key=repr)
        for message in stands.values():
            assert message.phase != "end" or all(event.phase == "end" for event in message.heard)
            assert message.phase == "end" or any(event.phase != "end" for event in message.heard)
            for one, other in itertools.product({event.mid for event in message.heard}, repeat=2):
                assert one == other or one in ancestors(other) or other in ancestors(one)
        ends.append(summary(stands))
    assert ends[0] == ends[1]


@given(microphones())
@settings(max_examples=20)
def test_with_one_microphone_events_stay_as_they_are(told_by: list[list[Event]]) -> None:
    sounds = SoundJoiner(YARD)
    for event in told_by[0]:
        for message in take(sounds, event):
            assert [each.id for each in message.heard] == [event.id]
