"""Home Assistant's MQTT discovery: pure, from what there is to the messages that make it appear.

One message for each entity and not one for the whole device: every version of Home Assistant reads these (a device in
one message needs 2024.11), others such as openHAB and ioBroker do too, and a class or stream that goes takes its own
messages with it. Keys and what they mean: https://www.home-assistant.io/integrations/mqtt/
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from glatd import __version__
from glatd.clients.bridges.mqtt_settings import slug
from glatd.clients.bridges.mqtt_topics import Topics
from glatd.labels import OWN

PHASES = ["start", "update", "end", "retract"]
STATES = ["starting", "live", "silent", "stalled", "reconnecting", "muted", "ended", "failed", "stopped"]
LEVELS_MISSED = 6  # after so many intervals without a level it is unknown

Entity = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Makes the messages of a bridge.

    Args:
        prefix: that Home Assistant looks below.
        classes: that have entities of their own.
    """

    prefix: str
    topics: Topics
    classes: tuple[str, ...]
    level_seconds: float

    def filter(self, node: str) -> str:
        """Topic that matches every discovery message of a node, and those of no other."""
        return f"{self.prefix}/+/{_level(node)}/+/config"

    def node(self, node: str) -> dict[str, str]:
        """Discovery messages of a node: payload by topic."""
        return dict(self._messages(node, "", self._node_entities(node)))

    def stream(self, node: str, stream: str, controlled: bool) -> dict[str, str]:
        """Discovery messages of a stream: payload by topic.

        Args:
            controlled: whether there is a control socket for switches and numbers to act through.
        """
        entities = [*self._stream_entities(node, stream)]
        if controlled:
            entities += self._controls(node, stream)
        return dict(self._messages(node, stream, iter(entities)))

    def is_ours(self, payload: str) -> bool:
        """Whether a discovery message was made by this bridge, in this run or an earlier one."""
        try:
            return bool(json.loads(payload)["availability"][0]["topic"] == self.topics.bridge)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            return False

    def _messages(
        self, node: str, stream: str, entities: Iterator[tuple[str, str, Entity]]
    ) -> Iterator[tuple[str, str]]:
        for component, what, entity in entities:
            name = f"{_escaped(stream)}-{what}" if stream else what
            topic = f"{self.prefix}/{component}/{_level(node)}/{name}/config"
            common = {
                "unique_id": "/".join(part for part in ("glatd", node, stream, what) if part),
                "availability_mode": "all",
                "device": _device(node, stream),
                "origin": {"name": "glatd", "sw_version": __version__},
            }
            yield topic, json.dumps(entity | common, ensure_ascii=False)

    def _available(self, node: str, stream: str = "") -> dict[str, Any]:
        """Where it is said whether an entity is: the bridge has to be, the node, and the stream has to be heard."""
        topics = [self.topics.bridge, self.topics.node(node)]
        if stream:
            topics.append(self.topics.stream(node, stream).availability)
        return {"availability": [{"topic": topic} for topic in topics]}

    def _stream_entities(self, node: str, stream: str) -> Iterator[tuple[str, str, Entity]]:
        topics, heard, there = self.topics.stream(node, stream), self._available(node, stream), self._available(node)
        for label in self.classes:
            name = label.removeprefix(OWN)
            entity = {"name": name, "state_topic": topics.state(label), "device_class": "sound"} | heard
            yield "binary_sensor", f"{slug(label)}-sound", entity
        yield (
            "sensor",
            "level",
            {
                "name": "Level",
                "state_topic": topics.level,
                "unit_of_measurement": "dBFS",  # no unit of its class sound_pressure, so it has no class
                "state_class": "measurement",
                "suggested_display_precision": 1,
                "expire_after": round(LEVELS_MISSED * self.level_seconds),
                "icon": "mdi:volume-high",
            }
            | heard,
        )
        yield (
            "sensor",
            "last",
            {
                "name": "Last sound",
                "state_topic": topics.last,
                "value_template": "{{ value_json.label }}",
                "json_attributes_topic": topics.last,
                "icon": "mdi:ear-hearing",
            }
            | there,
        )
        yield (
            "event",
            "event",
            {
                "name": "Sound",
                "state_topic": topics.event,
                "event_types": PHASES,
                "value_template": "{{ dict(value_json, event_type=value_json.phase) | tojson }}",
                "icon": "mdi:waveform",
            }
            | there,
        )
        health = {"state_topic": topics.status, "entity_category": "diagnostic"} | there
        yield (
            "sensor",
            "state",
            {
                "name": "State",
                "device_class": "enum",
                "options": STATES,
                "value_template": "{{ value_json.state }}",
                "json_attributes_topic": topics.status,
            }
            | health,
        )
        yield "sensor", "late", {"name": "Delay", "value_template": "{{ value_json.late_ms }}"} | _MS | health
        yield (
            "sensor",
            "lost",
            {
                "name": "Lost audio",
                "value_template": "{{ (value_json.lost / value_json.rate) | round(1) }}",
                "unit_of_measurement": "s",
                "device_class": "duration",
                "state_class": "total_increasing",
            }
            | health,
        )
        yield (
            "binary_sensor",
            "problem",
            {
                "name": "Signal",
                "device_class": "problem",
                "value_template": "{{ 'ON' if value_json.findings else 'OFF' }}",
            }
            | health,
        )

    def _controls(self, node: str, stream: str) -> list[tuple[str, str, Entity]]:
        topics = self.topics.stream(node, stream)
        common = {"entity_category": "config", "qos": 1} | self._available(node)

        def switch(name: str, topic: str, icon: str) -> Entity:
            return {"name": name, "state_topic": topic, "command_topic": f"{topic}/set", "icon": icon} | common

        found = [("switch", "mute", switch("Mute", topics.mute, "mdi:microphone-off"))]
        for label in self.classes:
            found.append(
                (
                    "switch",
                    f"{slug(label)}-mute",
                    switch(f"Mute {label}", topics.class_mute(label), "mdi:volume-off"),
                )
            )
            topic = topics.threshold(label)
            number = {
                "name": f"Threshold {label.removeprefix(OWN)}",
                "state_topic": topic,
                "command_topic": f"{topic}/set",
                "min": 0.01,
                "max": 1.0,
                "step": 0.01,
                "mode": "slider",
                "icon": "mdi:tune-vertical",
            }
            found.append(("number", f"{slug(label)}-threshold", number | common))
        return found

    def _node_entities(self, node: str) -> Iterator[tuple[str, str, Entity]]:
        health = {"state_topic": self.topics.health(node), "entity_category": "diagnostic"} | self._available(node)
        live = {"name": "Live streams", "value_template": "{{ value_json.live }}", "state_class": "measurement"}
        yield "sensor", "live", live | health
        yield "sensor", "late", {"name": "Delay", "value_template": "{{ value_json.late_ms }}"} | _MS | health
        yield "sensor", "policy", {"name": "Overload policy", "value_template": "{{ value_json.policy }}"} | health
        yield (
            "binary_sensor",
            "trouble",
            {
                "name": "Journal",
                "device_class": "problem",
                "value_template": "{{ 'ON' if value_json.trouble else 'OFF' }}",
                "json_attributes_topic": self.topics.health(node),
            }
            | health,
        )


_MS = {"unit_of_measurement": "ms", "device_class": "duration", "state_class": "measurement"}


def _device(node: str, stream: str) -> dict[str, Any]:
    box = f"glatd/{node}"
    if not stream:
        return {"identifiers": [box], "name": f"glatd {node}", "manufacturer": "glatd", "model": "node"}
    return {
        "identifiers": [f"{box}/{stream}"],
        "name": stream,
        "manufacturer": "glatd",
        "model": "stream",
        "via_device": box,
    }


def _level(node: str) -> str:
    return f"glatd-{_escaped(node)}"


def _escaped(name: str) -> str:
    """A name in a discovery topic, which may hold letters, digits, - and _ only: no two names become one."""
    return re.sub(r"[^A-Za-z0-9]", lambda odd: f"_{ord(odd[0]):02x}", name)
