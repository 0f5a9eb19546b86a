"""Events of whole streams, told by the loop and by `Tagger`: when, until when, and what ends them."""

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from glatd.audio import Block, read_mono
from glatd.daemon.assembly import Assembly
from glatd.daemon.events.settings import EventSettings, RuleSettings
from glatd.daemon.loop import Loop
from glatd.daemon.settings import Settings
from glatd.daemon.sources.base import Source
from glatd.daemon.tagger import Tagger
from glatd.daemon.track import Track
from glatd.engines.engine import Engine, Floats
from glatd.messages import Event, Gap, Message, Status, Tags
from tests.conftest import needs_shared
from tests.daemon.events.barking import ANIMAL, DOG, Barking, barks
from tests.daemon.sounds import RATE, pieces

HOP = 0.96  # s
USUAL = EventSettings()


class Played(Source):
    """Blocks of 0.1 s, with the parts left out that are None."""

    live: ClassVar[bool] = False

    def __init__(self, *parts: Floats | float) -> None:
        super().__init__("test:yard", "yard", True)
        self.parts = parts

    def blocks(self) -> Iterator[Block]:
        at = 0
        for part in self.parts:
            if isinstance(part, float):
                at += round(part * RATE)
                continue
            for samples in pieces(part, (3_200,)):
                yield Block(at, samples.reshape(-1, 1), RATE, None)
                at += len(samples)


def told(engine: Engine, samples: Floats, events: EventSettings = USUAL, crops: int | None = None) -> list[Event]:
    """The events of a recording."""
    tagger = Tagger(engine, crops=crops, start=0.0, events=events)
    found = [message for piece in pieces(samples, (50_001,)) for message in tagger.push(piece)]
    return [message for message in found + tagger.finish() if isinstance(message, Event)]


def loop_of(engine: Engine, source: Source, messages: list[Message], **settings: object) -> tuple[Loop, Track]:
    """A loop with one stream."""
    assembly = Assembly(Settings(publish="", **settings), engine)  # type: ignore[arg-type]
    track = assembly.track(source, None)
    return assembly.loop([track], [messages.append], live=False), track


def run(engine: Engine, *parts: Floats | float, **settings: object) -> list[Message]:
    """All that is said of what is played."""
    messages: list[Message] = []
    loop, _ = loop_of(engine, Played(*parts), messages, **settings)
    guard = threading.Timer(100, loop.stop)
    guard.start()
    loop.run()
    guard.cancel()
    return messages


def events_of(messages: list[Message]) -> list[Event]:
    """The events among messages."""
    return [message for message in messages if isinstance(message, Event)]


def spans(events: list[Event]) -> list[tuple[float, float, str]]:
    """Onset and end of every event that ended in s, and why."""
    return [(e.onset / e.rate, e.offset_time / e.rate, e.cause) for e in events if e.offset_time is not None]


@pytest.fixture(scope="module")
def barking(engine: Engine) -> Barking:
    return Barking(engine)


def test_a_bark_is_one_event_timed_to_the_frame(barking: Barking) -> None:
    start, end = told(barking, barks(20, (7.37, 8.91)))
    assert (start.phase, end.phase) == ("start", "end") and start.id == end.id
    assert start.label == end.label == "Dog" and start.mid == "/m/0bt9lr"  # and not Animal, which it implies
    assert end.onset / RATE == pytest.approx(7.37, abs=0.03)
    assert end.offset_time is not None and end.offset_time / RATE == pytest.approx(8.91, abs=0.2)
    assert start.offset_time is None and start.offset_at == ""
    assert end.onset_at.startswith("1970-01-01T00:00:07.3") and end.offset_at.startswith("1970-01-01T00:00:0")
    assert (start.offset, end.offset) == (1, 2)
    first, last = end.evidence["crop"]
    assert last - first == 3 * RATE and first < end.offset_time and end.onset < last
    assert {*end.evidence} == {"crop", "global", "local", "fused", "chosen_for"}
    assert 0.5 <= end.mean <= end.peak <= 1 and end.cause == ""


@pytest.mark.parametrize(("hold", "count"), [(0.0, 2), (2.0, 2), (3.0, 2), (5.0, 1)])
def test_two_barks_4_s_apart(barking: Barking, hold: float, count: int) -> None:
    events = told(barking, barks(24, (6.0, 6.4), (10.0, 10.4)), EventSettings(hold=hold))
    assert [event.phase for event in events if event.phase != "update"] == ["start", "end"] * count
    assert len({event.id for event in events}) == count
    for event in events:
        if event.phase == "end" and event.offset_time is not None:
            assert float(event.time[17:-1]) - event.offset_time / RATE <= hold + 2 * HOP


def test_blocks_and_runs_change_nothing(barking: Barking) -> None:
    samples = barks(20, (3.1, 4.0), (9.9, 12.0))

    def said(size: int) -> list[Event]:
        tagger = Tagger(barking, start=0.0, events=USUAL)
        found = [message for piece in pieces(samples, (size,)) for message in tagger.push(piece)]
        # The id of an event is made of the run's.
        return [dataclasses.replace(m, session="", id="") for m in found if isinstance(m, Event)]

    assert said(321) == said(7_777) == said(10**9) != []


def test_the_loop_tells_what_tagger_tells(barking: Barking) -> None:
    samples = barks(16, (5.2, 6.0))
    looped = events_of(run(barking, samples))
    assert [(e.phase, e.label, e.onset, e.offset_time, e.peak, e.offset) for e in looped] == [
        (e.phase, e.label, e.onset, e.offset_time, e.peak, e.offset) for e in told(barking, samples)
    ]


def test_a_gap_ends_what_goes_on(barking: Barking) -> None:
    messages = run(barking, barks(9.6, (6.0, 9.6)), 3.0, barks(12, (0.0, 2.0), seed=1))
    (first, second) = spans(events_of(messages))
    assert first[0] == pytest.approx(6.0, abs=0.03) and first[2].startswith("gap: ")
    assert first[1] == pytest.approx(9.6, abs=HOP) and second[0] == pytest.approx(12.6, abs=0.35)
    gap = next(index for index, message in enumerate(messages) if isinstance(message, Gap))
    ended = next(index for index, message in enumerate(messages) if isinstance(message, Event) and message.cause)
    assert ended == gap + 1


def test_a_gap_that_is_shorter_than_the_hold_is_a_pause(barking: Barking) -> None:
    messages = run(barking, barks(9.6, (6.0, 9.6)), 0.5, barks(8, (0.0, 2.0), seed=1))
    ((onset, offset, cause),) = spans(events_of(messages))
    assert (onset, offset, cause) == (pytest.approx(6.0, abs=0.03), pytest.approx(12.1, abs=0.3), "")


def test_a_restart_ends_what_goes_on_and_nothing_is_told_twice(barking: Barking) -> None:
    messages = run(
        barking, barks(9.6, (6.0, 9.6)), 30.0, barks(12, (4.0, 5.0), seed=1), events=EventSettings(hold=60.0)
    )
    first, second = spans(events_of(messages))
    assert first[2].startswith("gap: ") and first[1] == pytest.approx(9.6, abs=HOP)
    assert second[0] == pytest.approx(43.6, abs=0.03) and second[2] == "end of stream"


def test_the_end_of_a_stream_ends_what_goes_on_before_its_last_status(barking: Barking) -> None:
    messages = run(barking, barks(9, (6.0, 9.0)))
    *_, end, last = messages
    assert isinstance(end, Event) and isinstance(last, Status) and last.state == "ended"
    assert spans([end]) == [(pytest.approx(6.0, abs=0.03), pytest.approx(9.0, abs=0.01), "end of stream")]


def test_mute_and_stop_end_what_goes_on(barking: Barking) -> None:
    messages: list[Message] = []
    source = Played(barks(30, (6.0, 30.0)))
    loop, track = loop_of(barking, source, messages)

    def on_start(message: Message) -> None:
        if isinstance(message, Event) and message.phase == "start":
            track.announcer.state = "muted"
            loop.tell_events(track.lost())
            loop.stop()

    loop.sinks = [messages.append, on_start]
    loop.run()
    start, end = events_of(messages)
    assert (start.phase, end.phase, end.cause, end.id) == ("start", "end", "muted", start.id)
    again: list[Message] = []
    loop, _ = loop_of(barking, Played(barks(30, (6.0, 30.0))), again)
    loop.sinks = [again.append, lambda message: loop.stop() if isinstance(message, Event) else None]
    loop.run()
    assert [event.cause for event in events_of(again)] == ["", "stopped"]
    assert isinstance(again[-1], Status) and again[-1].state == "stopped"


def test_quiet_windows_end_an_event(barking: Barking) -> None:
    """The gate keeps the networks from looking as soon as the bark has left the window: it went on until then."""
    events = EventSettings(hold=15.0)
    messages = run(barking, barks(40, (6.0, 7.0)), gate=-50.0, events=events)
    assert any(isinstance(message, Tags) and message.quiet for message in messages)
    (span,) = spans(events_of(messages))
    assert span == (pytest.approx(6.0, abs=0.03), pytest.approx(7.0, abs=0.2), "")
    (end,) = [m for m in messages if isinstance(m, Event) and m.phase == "end"]
    before = messages[messages.index(end) - 1]
    assert isinstance(before, Tags) and before.quiet
    assert before.end - (end.offset_time or 0) <= (15.0 + 2 * HOP) * RATE


@pytest.mark.parametrize(("hop", "crops"), [(1.92, 5), (2.88, 1), (0.32, 2)])
def test_other_hops_and_fewer_crops_tell_the_same(barking: Barking, hop: float, crops: int) -> None:
    """As overload makes them."""
    messages = run(barking, barks(30, (6.0, 6.5), (13.0, 15.0)), hop=hop, crops=crops)
    one, two = spans(events_of(messages))
    assert (one[0], two[0]) == (pytest.approx(6.0, abs=0.05), pytest.approx(13.0, abs=0.05))
    assert (one[1], two[1]) == (pytest.approx(6.5, abs=0.25), pytest.approx(15.0, abs=0.25))


def test_rules_name_the_general_class_or_silence_the_special_one(barking: Barking) -> None:
    samples = barks(20, (7.0, 8.0))
    both = told(barking, samples, EventSettings(rule=(RuleSettings(labels=("Animal",), children=False),)))
    assert {event.label for event in both} == {"Dog", "Animal"}
    general = told(barking, samples, EventSettings(rule=(RuleSettings(labels=("Dog",), publish=False),)))
    assert {event.label for event in general} == {"Animal"}
    rule = RuleSettings(labels=("Dog",), suppress=("Animal",), suppress_seconds=30.0)
    named = RuleSettings(labels=("Animal",), children=False)
    assert {event.label for event in told(barking, samples, EventSettings(rule=(named, rule)))} == {"Dog"}
    assert told(barking, samples, EventSettings(publish=False)) == []


def test_every_gate_can_be_asked_for(barking: Barking) -> None:
    """`explain` says which gate is shut and changes nothing."""
    messages: list[Message] = []
    loop, track = loop_of(barking, Played(barks(8, (6.0, 7.0))), messages, events=EventSettings(min_duration=3.0))
    asked: list[dict[str, bool]] = []
    assert track.decider is not None
    decider, take = track.decider, track.decider.take

    def noted(seen):  # type: ignore[no-untyped-def]
        asked.append({gate.name: gate.passed for gate in decider.explain(seen, DOG)})
        assert decider.explain(seen, ANIMAL) == decider.explain(seen, ANIMAL)
        return take(seen)

    decider.take = noted  # type: ignore[method-assign]
    loop.run()
    assert events_of(messages) == []
    assert asked[0]["on"] is False
    assert [name for name, passed in asked[-1].items() if not passed] == ["duration"]


def test_two_runs_say_the_same(barking: Barking) -> None:
    """Each with offsets from 1."""
    runs: list[list[Event]] = []
    for _ in range(2):
        messages = run(barking, barks(20, (7.0, 8.0), (14.0, 14.5)))
        clockless = {"session": "", "id": "", "time": "", "onset_at": "", "offset_at": ""}
        runs.append([dataclasses.replace(event, **clockless) for event in events_of(messages)])  # type: ignore[arg-type]
    assert runs[0] == runs[1] and [event.offset for event in runs[0]] == [1, 2, 3, 4]


@needs_shared
@pytest.mark.parametrize("clip", ["esc/dog/1-110389-A", "esc/siren/1-76831-A", "esc/dog/1-30344-A"])
def test_real_sounds_begin_when_they_begin(engine: Engine, shared: Path, clip: str) -> None:
    """In faint noise, with the default engine: these clips begin with their sound."""
    sound = read_mono(shared / "audio" / "clips" / f"{clip}.ogg", RATE)
    samples = (0.002 * np.random.default_rng(0).standard_normal(16 * RATE)).astype(np.float32)
    samples[6 * RATE : 6 * RATE + len(sound)] += sound
    loud = np.flatnonzero(np.abs(sound) > 0.1 * np.abs(sound).max())
    label = "Dog" if "dog" in clip else "Siren"
    events = told(engine, samples, EventSettings(rule=(RuleSettings(labels=(label,), children=False),)))
    (end,) = [event for event in events if event.label == label and event.phase == "end"]
    assert end.onset / RATE == pytest.approx(6 + loud[0] / RATE, abs=0.15)
    assert end.offset_time is not None and end.offset_time / RATE == pytest.approx(6 + loud[-1] / RATE, abs=0.6)
