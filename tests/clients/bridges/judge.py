"""Home Assistant's own judgement of discovery messages; run by a Python that has it installed.

python judge.py < {"messages": {TOPIC: PAYLOAD}, "states": {TOPIC: PAYLOAD}}: what each entity shows of these states, by
its unique id, or what is wrong with its message.
"""

import asyncio
import importlib
import json
import sys
import tempfile

from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template


def judge(home: HomeAssistant, component: str, payload: str, states: dict[str, str]) -> str:
    """What an entity shows; raises what is wrong."""
    module = importlib.import_module(f"homeassistant.components.mqtt.{component}")
    config = module.DISCOVERY_SCHEMA(json.loads(payload) | {"platform": "mqtt"})
    state = states.get(config["state_topic"], "")
    template = config.get("value_template")
    if isinstance(template, Template):
        template.hass = home
        state = str(template.async_render_with_possible_json_value(state, "ERROR"))
    if "event_types" in config:
        event = json.loads(state)
        assert event["event_type"] in config["event_types"], event
        state = event["event_type"]
    return state


async def main(folder: str) -> None:
    """Judge what stands on stdin."""
    given = json.load(sys.stdin)
    home = HomeAssistant(folder)
    shown, wrong = {}, {}
    for topic, payload in given["messages"].items():
        try:
            shown[json.loads(payload)["unique_id"]] = judge(home, topic.split("/")[1], payload, given["states"])
        except Exception as error:
            wrong[topic] = f"{type(error).__name__}: {error}"
    await home.async_stop(force=True)
    print(json.dumps({"version": __version__, "shown": shown, "wrong": wrong}))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(folder))
