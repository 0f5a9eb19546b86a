"""Home Assistant itself takes the discovery messages, and shows what it should.

    python3 -m venv build/homeassistant
    build/homeassistant/bin/pip install homeassistant paho-mqtt janus

or GLATD_HOMEASSISTANT=PYTHON names another Python that has it. Its Python decides which version that is: 3.11 runs
2024.3.3, the current ones need newer Pythons. Where pip is lost in its dependencies, `--no-deps` and then the few that
its import asks for will do.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from glatd.clients.bridges.homeassistant import Discovery
from glatd.clients.bridges.mqtt_picture import as_json
from glatd.clients.bridges.mqtt_settings import CLASSES
from glatd.clients.bridges.mqtt_topics import Topics
from tests.clients.bridges.test_mqtt import health, sound, status
from tests.conftest import ROOT

PYTHON = Path(os.environ.get("GLATD_HOMEASSISTANT", ROOT / "build" / "homeassistant" / "bin" / "python"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs Home Assistant; the top of this file has the commands"),
]


def judged(messages: dict[str, str], states: dict[str, str]) -> dict[str, Any]:
    """What Home Assistant says."""
    program = Path(__file__).with_name("judge.py")
    done = subprocess.run(
        [PYTHON, "-I", program], input=json.dumps({"messages": messages, "states": states}), capture_output=True,
        text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_it_takes_every_message_and_shows_what_is_so() -> None:
    topics = Topics("glatd", "glatd-box-1234")
    discovery = Discovery("homeassistant", topics, CLASSES, 5.0)
    yard = topics.stream("edge-1", "yard")
    states = {
        topics.health("edge-1"): as_json(health()),
        yard.status: as_json(status()),
        yard.event: as_json(sound(1, "start")),
        yard.last: as_json(sound(1, "start")),
        yard.state("Dog"): "ON",
        yard.level: "-31.2",
        yard.mute: "OFF",
        yard.threshold("Dog"): "0.5",
    }
    messages = discovery.node("edge-1") | discovery.stream("edge-1", "yard", True)
    found = judged(messages, states)
    print(found["version"])
    assert found["wrong"] == {} and len(found["shown"]) == len(messages)
    shown = {name.removeprefix("glatd/edge-1/"): value for name, value in found["shown"].items() if value}
    assert shown == {
        "live": "1", "late": "41.5", "policy": "full", "trouble": "OFF",
        "yard/dog-sound": "ON", "yard/level": "-31.2", "yard/last": "Dog", "yard/event": "start",
        "yard/state": "live", "yard/late": "41.0", "yard/lost": "1.0", "yard/problem": "OFF",
        "yard/mute": "OFF", "yard/dog-threshold": "0.5",
    }  # fmt: skip


def test_it_would_say_what_is_wrong() -> None:
    topics = Topics("glatd", "x")
    (topic, payload), *_ = Discovery("homeassistant", topics, ("Dog",), 5.0).node("n").items()
    found = judged({topic: json.dumps(json.loads(payload) | {"state_class": "no such"})}, {})
    assert found["shown"] == {} and "state_class" in found["wrong"][topic]
