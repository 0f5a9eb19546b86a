"""Discovery messages hold what Home Assistant documents, and nothing else; they are judged by itself in
`test_with_homeassistant.py`."""

import json
import re
from typing import Any

import pytest

from glatd.clients.bridges.homeassistant import Discovery
from glatd.clients.bridges.mqtt_settings import CLASSES
from glatd.clients.bridges.mqtt_topics import Topics

TOPICS = Topics("glatd", "glatd-box-1234")
DISCOVERY = Discovery("homeassistant", TOPICS, CLASSES, 5.0)

# As of https://www.home-assistant.io/integrations/mqtt/ and the pages of its platforms, 2026.
TOPIC = re.compile(r"homeassistant/(\w+)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config")
OF_ALL = {"name", "unique_id", "device", "origin", "availability", "availability_mode", "icon", "entity_category"}
OF_ALL |= {"state_topic", "value_template", "json_attributes_topic", "qos"}
OF = {
    "binary_sensor": {"device_class"},
    "sensor": {"device_class", "unit_of_measurement", "state_class", "suggested_display_precision", "expire_after"}
    | {"options"},
    "event": {"event_types"},
    "switch": {"command_topic"},
    "number": {"command_topic", "min", "max", "step", "mode"},
}
NEEDED = {"switch": {"command_topic"}, "number": {"command_topic"}, "event": {"state_topic", "event_types"}}
DEVICE_CLASSES = {"binary_sensor": {"sound", "problem"}, "sensor": {"enum", "duration"}}
UNITS = {"duration": {"d", "h", "min", "s", "ms"}}
AVAILABLE = [{"topic": "glatd/_bridge/glatd-box-1234/availability"}, {"topic": "glatd/edge-1/availability"}]


def check(topic: str, payload: str) -> dict[str, Any]:
    """A discovery message that Home Assistant takes."""
    match = TOPIC.fullmatch(topic)
    assert match is not None, topic
    component, entity = match[1], json.loads(payload)
    assert entity.keys() <= OF_ALL | OF[component], entity.keys() - OF_ALL - OF[component]
    assert entity.keys() >= {"name", "unique_id", "device", "origin", "state_topic"} | NEEDED.get(component, set())
    assert entity["device"].keys() <= {"identifiers", "name", "manufacturer", "model", "via_device"}
    assert entity["origin"].keys() == {"name", "sw_version"}
    assert entity["availability"][:2] == AVAILABLE and entity["availability_mode"] == "all"
    for key in entity:
        if key.endswith("_topic"):
            assert not re.search(r"[+#]|//|^/|/$", entity[key])
    kind = entity.get("device_class")
    assert kind is None or kind in DEVICE_CLASSES[component]
    if component == "sensor":
        assert ("options" in entity) == (kind == "enum")
        assert kind not in UNITS or entity["unit_of_measurement"] in UNITS[kind]
        assert "state_class" not in entity or kind != "enum"
    if component in ("switch", "number"):
        assert entity["entity_category"] == "config" and entity["command_topic"] == f"{entity['state_topic']}/set"
    return dict(entity)


def test_every_message_is_one_that_is_documented() -> None:
    messages = DISCOVERY.node("edge-1") | DISCOVERY.stream("edge-1", "yard", True)
    entities = [check(topic, payload) for topic, payload in messages.items()]
    ids = [entity["unique_id"] for entity in entities]
    assert len(set(ids)) == len(ids) == 4 + 8 + 3 * len(CLASSES)
    assert "glatd/edge-1/yard/baby_cry_infant_cry-sound" in ids
    names = [(entity["device"]["name"], entity["name"]) for entity in entities]
    assert len(set(names)) == len(names)  # else an entity would be called switch.yard_mute_2
    devices = {entity["device"]["identifiers"][0]: entity["device"].get("via_device") for entity in entities}
    assert devices == {"glatd/edge-1": None, "glatd/edge-1/yard": "glatd/edge-1"}


def test_without_a_control_socket_there_is_nothing_to_switch() -> None:
    plain = DISCOVERY.stream("edge-1", "yard", False)
    assert plain.items() <= DISCOVERY.stream("edge-1", "yard", True).items()
    assert not [topic for topic in plain if "/switch/" in topic or "/number/" in topic]


def test_what_is_unavailable_without_audio_is_what_says_what_sounds() -> None:
    heard = {
        json.loads(payload)["name"]
        for payload in DISCOVERY.stream("edge-1", "yard", True).values()
        if {"topic": "glatd/edge-1/yard/availability"} in json.loads(payload)["availability"]
    }
    assert heard == {*CLASSES, "Level"}


def test_no_two_names_become_one_topic() -> None:
    names = ["a.b", "a_b", "a-b", "a", "A", "a_2eb", "b", "yard", "yard-x", "x"]
    discovery = Discovery("homeassistant", TOPICS, ("Dog",), 5.0)
    topics = [topic for node in names for stream in names for topic in discovery.stream(node, stream, True)]
    topics += [topic for node in names for topic in discovery.node(node)]
    assert len(set(topics)) == len(topics)
    assert all(TOPIC.fullmatch(topic) for topic in topics)


@pytest.mark.parametrize(
    "payload", ["", "[]", "{}", '{"availability": []}', '{"availability": [{"topic": "other"}]}', "x"]
)
def test_messages_of_others_are_not_ours(payload: str) -> None:
    assert not DISCOVERY.is_ours(payload)
    assert all(DISCOVERY.is_ours(ours) for ours in DISCOVERY.node("edge-1").values())
