"""Rules that are changed while a stream runs."""

import pytest

from glatd.daemon.events.settings import EventSettings, RuleSettings
from glatd.daemon.live_rules import LiveRules
from glatd.engines.engine import Engine
from glatd.errors import ConfigError
from glatd.messages import Event, Message
from tests.daemon.events.barking import Barking, barks
from tests.daemon.events.test_decider import Played, loop_of


@pytest.fixture
def rules(engine: Engine) -> LiveRules:
    settings = EventSettings(rule=(RuleSettings(labels=("Siren",), on=0.7, streams=("yard",)),))
    return LiveRules(settings, engine.manifest.labels, engine.sizes, 96 * 320, "yard")


def told(rules: LiveRules, label: str) -> tuple[bool, float, float]:
    said = rules.told(label)
    assert (said["stream"], said["label"]) == ("yard", label)
    return said["publish"], said["on"], said["off"]


def test_a_threshold_is_set_and_the_lower_one_goes_with_it(rules: LiveRules) -> None:
    assert told(rules, "Dog") == (True, 0.5, 0.3) and told(rules, "Siren") == (True, 0.7, 0.3)
    higher = rules.with_one("Dog", "on", "0.8")
    assert told(higher, "Dog") == (True, 0.8, 0.3) and told(rules, "Dog") == (True, 0.5, 0.3)
    lower = higher.with_one("Dog", "on", "0.25")
    assert told(lower, "Dog") == (True, 0.25, 0.6 * 0.25)
    assert told(lower.with_one("Dog", "on", "0.6"), "Dog") == (True, 0.6, 0.3)  # it comes back with it
    own = lower.with_one("Dog", "off", "0.1").with_one("Dog", "on", "0.6")
    assert told(own, "Dog") == (True, 0.6, 0.1)  # what was given stays
    assert told(own, "Cat") == (True, 0.5, 0.3)


def test_a_class_and_a_group_are_muted_and_told_again(rules: LiveRules) -> None:
    muted = rules.with_one("Vehicle", "publish", "false")
    assert [told(muted, label)[0] for label in ("Vehicle", "Truck", "Siren", "Dog")] == [False, False, True, True]
    truck = muted.with_one("Truck", "publish", "true")
    assert [told(truck, label)[0] for label in ("Vehicle", "Truck", "Bus")] == [True, True, False]
    assert told(truck.with_one("Vehicle", "publish", "true"), "Bus")[0]
    many = rules
    for score in range(1, 10):
        many = many.with_one("Dog", "on", f"{score / 10}")
    assert len(many.since) == 1


def on_start(engine: Engine, label: str, key: str, value: str) -> list[Event]:
    """Events of two barks, with a rule that is changed as soon as the first one is told."""
    messages: list[Message] = []
    loop, _ = loop_of(Barking(engine), Played(barks(30, (6.0, 14.0), (20.0, 24.0))), messages)
    rules = LiveRules(EventSettings(), engine.manifest.labels, engine.sizes, 96 * 320, "yard")

    def change(message: Message) -> None:
        if isinstance(message, Event) and message.phase == "start":
            loop.change("yard", rules.with_one(label, key, value).resolved)

    loop.sinks = [messages.append, change]
    loop.run()
    return [message for message in messages if isinstance(message, Event) and message.phase != "update"]


def test_what_goes_on_is_not_disturbed_but_where_it_is_told_no_more(engine: Engine) -> None:
    start, end = on_start(engine, "Animal", "publish", "false")  # and so of dogs
    assert (start.label, start.phase, end.phase, end.cause, end.id) == ("Dog", "start", "end", "muted", start.id)
    first, last, *others = on_start(engine, "Dog", "hold", "1.0")
    assert (first.phase, last.phase, last.cause, last.id) == ("start", "end", "", first.id)
    assert [event.phase for event in others] == ["start", "end"] and others[0].id == others[1].id != first.id


@pytest.mark.parametrize(
    ("label", "key", "value", "said"),
    [
        ("Dgo", "on", "0.5", "set: .*Dgo"),
        ("Dog", "loudness", "1", "cannot set 'loudness'; what can be set: publish, on, off"),
        ("Dog", "on", "high", "on = 'high' is no value of TOML; write 0.7, false"),
        ("Dog", "on", "0.5\noff = 0.1", "is no value of TOML"),
        ("Dog", "on", "1.5", "on = 1.5 must be a score above 0 and up to 1"),
        ("Dog", "on", "true", "set: on = True must be of type float"),
        ("Dog", "off", "0.9", "Dog on stream yard has off = 0.9 above on = 0.5"),
        ("Dog", "schedule", "'never'", "schedule|span|never"),
    ],
)
def test_what_cannot_be_changes_nothing(rules: LiveRules, label: str, key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rules.with_one(label, key, value)
    assert told(rules, "Dog") == (True, 0.5, 0.3)
