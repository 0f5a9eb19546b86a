"""Rules: what a configuration says, checked, and resolved for every class of a stream."""

import dataclasses
import json
import time
from pathlib import Path

import pytest

from glatd.config import build
from glatd.daemon.events.rules import Rules, resolve
from glatd.daemon.events.settings import EventSettings, RuleSettings
from glatd.daemon.replay import RECORDED
from glatd.daemon.settings import Settings, read_settings
from glatd.engines.engine import Engine
from glatd.errors import ConfigError
from glatd.labels import class_index
from glatd.schedule import Schedule

HOP = 30_720


def settings(tmp_path: Path, text: str) -> EventSettings:
    path = tmp_path / "glatd.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path).events


def rules(engine: Engine, of: EventSettings, stream: str = "yard") -> Rules:
    return resolve(of, engine.manifest.labels, engine.sizes, HOP, stream)


def test_streams_of_which_the_same_holds_share_their_rules(engine: Engine) -> None:
    """They are most of what a stream takes beside its rings. What holds for one alone is its own."""
    of = EventSettings(rule=(RuleSettings(("Dog",), streams=("yard*",), on=0.7),))
    assert rules(engine, of, "yard-1") is rules(engine, of, "yard-2")
    own, other = rules(engine, of, "yard-1"), rules(engine, of, "hall")
    assert other is rules(engine, of, "porch") and other is not own
    assert (own.of[class_index("Dog")].on, other.of[class_index("Dog")].on) == (0.7, 0.5)
    wrong = EventSettings(rule=(RuleSettings(("Dog",), on=0.2),))
    for stream in ("yard", "hall"):
        with pytest.raises(ConfigError, match=f"Dog on stream {stream} has off = 0.3 above on = 0.2"):
            rules(engine, wrong, stream)


def test_without_rules_every_class_but_silence_is_told(engine: Engine) -> None:
    found = rules(engine, EventSettings())
    assert [engine.manifest.names[i] for i in (found.on > 1).nonzero()[0]] == ["Silence"]
    dog, animal = class_index("Dog"), class_index("Animal")
    assert (found.of[dog].on, found.of[dog].hold, found.of[dog].piece) == (0.5, 64_000, 10_240)
    assert dog in found.below[animal] and animal not in found.below[dog]
    assert class_index("Silence") not in set().union(*found.below)
    assert found.order[dog] < found.order[animal]


def test_a_group_brings_its_children_and_a_later_rule_wins(engine: Engine, tmp_path: Path) -> None:
    of = settings(
        tmp_path,
        """
        [events]
        hold = 3.0
        [[events.rule]]
        labels = ["Vehicle"]
        on = 0.7
        [[events.rule]]
        labels = ["Truck"]
        streams = ["ya*"]
        on = 0.9
        hold = 1.0
        [[events.rule]]
        labels = ["Human voice"]        # a group that is no class
        publish = false
        """,
    )
    yard, hall = rules(engine, of), rules(engine, of, "hall")
    car, truck, speech = (class_index(name) for name in ("Car", "Truck", "Speech"))
    assert yard.on[[car, truck, speech]] == pytest.approx([0.7, 0.9, 2.0])
    assert hall.on[[car, truck, speech]] == pytest.approx([0.7, 0.7, 2.0])
    assert (yard.of[truck].hold, hall.of[truck].hold, yard.of[car].hold) == (32_000, 96_000, 96_000)
    # A rule that names a class wants to hear of it by that name.
    assert yard.below[class_index("Vehicle")] == frozenset() != yard.below[class_index("Animal")]


def test_suppression_is_decided_first(engine: Engine, tmp_path: Path) -> None:
    of = settings(tmp_path, '[[events.rule]]\nlabels = ["Vehicle"]\nsuppress = ["Thunder"]\nsuppress_seconds = 5\n')
    found = rules(engine, of)
    car, thunder = class_index("Car"), class_index("Thunder")
    (suppression,) = found.suppressed[thunder]
    assert car in suppression.by and suppression.samples == 160_000
    assert found.order[car] < found.order[thunder] and found.suppressed[car] == ()


def test_nothing_is_decided_where_nothing_is_told(engine: Engine) -> None:
    assert not rules(engine, EventSettings(publish=False)).any


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[events]\nonn = 0.5", "unknown key 'onn'; did you mean 'on'"),
        ("[events]\non = 0.0", "events: on = 0.0 must be a score above 0"),
        ("[events]\non = 0.2", "events: off = 0.3 must not be above on = 0.2"),
        ("[events]\nhold = -1", "events: hold = -1.0 must be seconds from 0"),
        ("[events]\nhold = nan", "events: hold = nan must be seconds"),
        ("[events]\nconfirm = [3, 2]", r"confirm = \[3, 2\] must be \[M, N\]"),
        ("[events]\nconfirm = [3]", r"confirm = \[3\] must have 2 values"),
        ("[events]\nschedule = '22-6'", "schedule = '22-6' is no span of the day"),
        ("[[events.rule]]\ndays = ['Mo']", "events.rule 1: days: 'Mo' is no day; give some of mon"),
        ("[[events.rule]]\nsuppress = ['Dog']", "events.rule 1: suppress needs labels"),
        ("[[events.rule]]\nstreams = []", "events.rule 1: streams = "),
        ("[[events.rule]]\nlabels = 'Dog'", "labels = 'Dog' must be an array"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[events.rule]]\nlabels = ['Dgo']", "events.rule 1: unknown label or group 'Dgo'; did you mean 'Dog'"),
        ("[[events.rule]]\nlabels = ['Dog']\nstreams = ['x']\nsuppress = ['Catt']", "unknown label or group 'Catt'"),
        ("[[events.rule]]\nlabels = ['Dog']\non = 0.2", "Dog on stream yard has off = 0.3 above on = 0.2"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_by_name(engine: Engine, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rules(engine, settings(tmp_path, text))


@pytest.mark.parametrize(
    ("span", "days", "when", "holds"),
    [
        ("", (), "2026-01-05 03:00", True),  # a Monday
        ("22:00-06:00", (), "2026-01-05 23:00", True),
        ("22:00-06:00", (), "2026-01-05 05:59", True),
        ("22:00-06:00", (), "2026-01-05 06:00", False),
        ("22:00-06:00", ("sun",), "2026-01-05 05:59", True),  # it began on Sunday
        ("22:00-06:00", ("sun",), "2026-01-05 22:00", False),
        ("08:00-17:30", ("mon",), "2026-01-05 17:29", True),
        ("08:00-17:30", ("mon",), "2026-01-06 17:29", False),
        ("", ("tue",), "2026-01-05 12:00", False),
        ("00:00-00:00", (), "2026-01-05 12:00", True),
    ],
)
def test_a_schedule(span: str, days: tuple[str, ...], when: str, holds: bool) -> None:
    second = time.mktime(time.strptime(when, "%Y-%m-%d %H:%M"))
    assert Schedule.read(span, days).holds(second) is holds


def test_a_recording_keeps_the_rules_that_it_was_made_by() -> None:
    """In its header, which is JSON; a replay takes them from there."""
    of = EventSettings(on=0.7, confirm=(2, 9), rule=(RuleSettings(labels=("Dog",), days=("mon",)), RuleSettings()))
    settings = Settings(events=of)
    header = json.loads(json.dumps(dataclasses.asdict(settings)))
    assert "events" in RECORDED
    assert build(Settings, {"events": header["events"]}, "recording.json").events == of
    assert hash(settings) == hash(dataclasses.replace(settings))  # replays with equal settings share an engine
