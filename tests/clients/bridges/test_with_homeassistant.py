"""Home Assistant itself takes the discovery messages, and shows what it should.

    python3 -m venv build/homeassistant
    build/homeassistant/bin/pip install homeassistant paho-mqtt janus

or GLATD_HOMEASSISTANT=PYTHON names another Python that has it. Its Python decides which version that is: 3.11 runs
2024.3.3, the current ones need newer Pythons. Where pip is lost in its dependencies, `--no-deps` and then the few that
its import asks for will do.
"""

import json
import os
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from glatd.clients.bridges.homeassistant import Discovery
from glatd.clients.bridges.mqtt_picture import as_json
from glatd.clients.bridges.mqtt_settings import CLASSES
from glatd.clients.bridges.mqtt_topics import Topics
from tests.clients.bridges.test_mqtt import bridge, health, repeat, say, sound, status, tags
from tests.clients.nodes import Node
from tests.conftest import ROOT
from tests.daemon.processes import free_endpoint
from tests.servers.mosquitto import Mosquitto, Watcher

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


class Living:
    """Home Assistant as a process, connected to a broker."""

    def __init__(self, broker: Mosquitto, folder: Path) -> None:
        self._log = (folder / "homeassistant.log").open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [PYTHON, "-I", Path(__file__).with_name("living.py"), str(broker.port), folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip

    def ask(self, **asked: object) -> dict[str, Any]:
        """Its entities, once what was asked for is so, or has been waited for."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._log.close()


def wait(home: Living, node: Node, **wanted: str | None) -> dict[str, Any]:
    """Entities, once some have these states; `__` stands for the dot. The node tells how it is meanwhile."""
    named = {name.replace("__", "."): state for name, state in wanted.items()}
    for _ in range(90):
        for message in (health(), status(), tags()):
            node.publisher(message)
        found = home.ask(wait=named)
        if {name: found[name]["state"] if name in found else None for name in named} == named:
            return found
    raise AssertionError(f"{named} did not come: { {name: found.get(name) for name in named} }")


@pytest.mark.timeout(600)
def test_it_lives_with_the_bridge(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    with Mosquitto() as broker, Watcher(broker) as watcher, closing(Node(tmp_path / "journal")) as node:
        control = ["--control", free_endpoint(), "--prefix", "glatd", "--homeassistant", "homeassistant"]
        with closing(Living(broker, folder)) as home, bridge(broker, tmp_path, node, *control) as process:
            repeat(node, watcher, "glatd/edge-1")
            wait(home, node, binary_sensor__yard_dog="off", sensor__yard_level="-30.0", event__yard_sound="unknown")
            say(node, sound(1, "start"))
            found = wait(home, node, binary_sensor__yard_dog="on", sensor__yard_last_sound="Dog")
            assert found["binary_sensor.yard_dog"]["attributes"]["device_class"] == "sound"
            assert found["sensor.yard_level"]["attributes"]["unit_of_measurement"] == "dBFS"
            assert found["event.yard_sound"]["attributes"]["event_type"] == "start"
            assert found["event.yard_sound"]["attributes"]["label"] == "Dog"
            assert found["sensor.glatd_edge_1_live_streams"]["state"] == "1"

            home.ask(call=["switch", "turn_on", {"entity_id": "switch.yard_mute_dog"}])
            home.ask(call=["number", "set_value", {"entity_id": "number.yard_threshold_dog", "value": 0.7}])
            watcher.wait_for(lambda: watcher.said("glatd/edge-1/yard/dog/threshold/set") == ["0.7"], "the command")
            assert watcher.said("glatd/edge-1/yard/dog/mute/set") == ["ON"]

            node.publisher(status("gate"))
            wait(home, node, binary_sensor__gate_dog="off", switch__gate_mute="off")
            node.publisher(status("gate", "ended", "removed"))
            wait(home, node, binary_sensor__gate_dog=None, event__gate_sound=None, switch__gate_mute=None)

            process.end(signal.SIGKILL)
            wait(home, node, binary_sensor__yard_dog="unavailable", sensor__yard_state="unavailable")
