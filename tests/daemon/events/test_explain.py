"""`glatd explain`: why a bark was told, or why not."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from glatd.cli import cli
from glatd.daemon.events.explain import Asking, Explanation, as_map, as_text
from glatd.daemon.events.rehearse import rehearse
from glatd.daemon.events.settings import EventSettings, RuleSettings
from glatd.daemon.replay import plan
from glatd.engines.engine import Engine
from glatd.errors import GlatdError
from tests.daemon.events.barking import ANIMAL, DOG, Barking, barks, cut_off
from tests.daemon.sounds import write_wav


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 s with a bark from 7 to 8 s and another from 14 s."""
    return write_wav(tmp_path_factory.mktemp("site") / "yard.wav", barks(22, (7.0, 8.0), (14.0, 14.5)))


def explained(engine: Engine, yard: Path, index: int, at: float, events: EventSettings | None = None) -> Explanation:
    """Of a class at a second of it, as Barking hears it."""
    (part,) = plan([yard], (), {"top": 1, "events": events or EventSettings()})
    wrong: list[GlatdError] = []
    asking, _ = rehearse(
        part,
        Barking(engine),
        lambda announcer, rules: Asking(announcer, rules, index, at),
        at + 14,
        lambda done: None,
        wrong.append,
    )
    assert not wrong
    return asking.found


def shut(found: Explanation) -> list[str]:
    """The gates that are shut in the look that came nearest."""
    look = found.decisive()
    return [] if look is None else [gate.name for gate in look.gates if not gate.passed]


def test_what_was_told_has_all_gates_open(engine: Engine, yard: Path) -> None:
    found = explained(engine, yard, DOG, 7.4)
    (event,) = found.meant()
    assert event.phase == "end" and event.onset / event.rate == pytest.approx(7.0, abs=0.05)
    look = found.decisive()
    assert look is not None and "start" in look.phases and len(look.gates) == 9 and not shut(found)
    assert look.run == (pytest.approx(7.0, abs=0.05), pytest.approx(look.end, abs=0.6))
    text = list(as_text(found))
    assert text[0].endswith(": told") and all(len(line) <= 80 for line in text)
    assert len(found.looks) == 11 and found.looks[0].end == pytest.approx(7.68, abs=0.01)


@pytest.mark.parametrize(
    ("rules", "gate", "is_", "asked"),
    [
        (EventSettings(min_duration=3.0), "duration", "s", "3.00 s or more"),
        (EventSettings(confirm=(9, 9)), "pieces of audio", "", "9 or more"),
        (EventSettings(on=0.95), "on", "0.8", "0.950 or more"),
        (EventSettings(schedule="03:00-03:01"), "schedule", "outside", "within"),
    ],
)
def test_what_was_not_told_names_the_gate_that_was_shut(
    engine: Engine, yard: Path, rules: EventSettings, gate: str, is_: str, asked: str
) -> None:
    found = explained(engine, yard, DOG, 7.4, rules)
    assert found.meant() == [] and gate in shut(found)
    text = list(as_text(found))
    assert gate in text[0]
    (line,) = [line for line in text if line.startswith(f"  SHUT {gate}")]
    assert is_ in line and asked in line


def test_a_general_class_names_the_special_one_that_was_told(engine: Engine, yard: Path) -> None:
    found = explained(engine, yard, ANIMAL, 7.4)
    assert found.meant() == [] and [event.label for event in found.events] == ["Dog"]
    assert "not told by a more specific class" in shut(found)
    assert "Dog: 7.0" in "\n".join(as_text(found))


def test_a_class_that_the_rules_silence_and_a_second_without_a_sound(engine: Engine, yard: Path) -> None:
    silent = explained(engine, yard, DOG, 7.4, EventSettings(rule=(RuleSettings(labels=("Dog",), publish=False),)))
    assert next(iter(as_text(silent))).endswith("not told: the rules do not let it be")
    nothing = explained(engine, yard, DOG, 3.0)
    assert nothing.events == [] and nothing.looks and not nothing.meant()


def test_an_event_that_an_outage_ended_has_its_end(engine: Engine, tmp_path: Path) -> None:
    found = explained(engine, cut_off(tmp_path / "rec"), DOG, 5.0)
    (event,) = found.meant()
    assert (event.phase, event.cause) == ("end", "reconnecting")
    assert event.offset_time is not None and event.offset_time / event.rate == pytest.approx(6.7, abs=0.5)
    assert "s goes on," not in "\n".join(as_text(found))


def test_the_command_speaks_json_and_refuses_what_is_not_there(yard: Path) -> None:
    """With the default engine, whatever it hears."""
    ask = ["explain", str(yard), "--label", "Dog", "--format", "json"]
    done = CliRunner().invoke(cli, [*ask, "--at", "1.3"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["stream"], said["label"], said["at"]) == ("yard", "Dog", 1.3)
    assert {"end", "fused", "global", "local", "active", "phases", "gates", "decisive"} == said["looks"][0].keys()
    for wrong, words in ((["--at", "23"], "is not in yard, which has 22.0 s"), (["--at", "1", "--stream", "x"], "'x'")):
        refused = CliRunner().invoke(cli, [*ask, *wrong])
        assert isinstance(refused.exception, GlatdError) and words in str(refused.exception)


def test_a_map_of_it_is_plain(engine: Engine, yard: Path) -> None:
    plain = as_map(explained(engine, yard, DOG, 14.2))
    assert json.loads(json.dumps(plain)) == json.loads(json.dumps(plain, allow_nan=False))
    assert plain["told"] and plain["events"][0]["onset"] == pytest.approx(14.0, abs=0.05)
    assert sum(look["decisive"] for look in plain["looks"]) == 1
