"""A Home Assistant that lives on a broker; run by a Python that has it installed.

python living.py PORT FOLDER: each line on stdin is {"call": [DOMAIN, SERVICE, DATA]} or {"wait": {ENTITY: STATE}},
where null is an entity that is not there, and waits no longer than a second; each is answered by a line
{ENTITY: {"state": ..., "attributes": ...}}.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from homeassistant import auth, bootstrap, config_entries, core, loader

LONGEST_S = 1.0


def shown(home: core.HomeAssistant) -> dict[str, dict[str, object]]:
    """All entities."""
    return {
        state.entity_id: {"state": state.state, "attributes": dict(state.attributes)}
        for state in home.states.async_all()
    }


async def start(port: int, folder: str) -> core.HomeAssistant:
    """The core and the MQTT integration, with what that needs; nothing is fetched."""
    Path(folder, "configuration.yaml").touch()
    home = core.HomeAssistant(folder)
    home.config.skip_pip = True
    home.config_entries = config_entries.ConfigEntries(home, {})
    loader.async_setup(home)
    await bootstrap.async_load_base_functionality(home)
    home.auth = await auth.auth_manager_from_config(home, [], [])
    await home.config_entries.async_initialize()
    where = {"broker": "127.0.0.1", "port": port, "discovery": True}
    entry = config_entries.ConfigEntry(
        version=1, minor_version=1, domain="mqtt", title="broker", data=where, source="user"
    )
    await home.config_entries.async_add(entry)
    assert entry.state is config_entries.ConfigEntryState.LOADED, entry.reason
    return home


async def main(port: int, folder: str) -> None:
    """Until the end of stdin."""
    home = await start(port, folder)
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        if "call" in asked:
            domain, service, data = asked["call"]
            await home.services.async_call(domain, service, data, blocking=True)
        until = time.monotonic() + LONGEST_S
        wanted = asked.get("wait", {}).items()
        while time.monotonic() < until:
            states = {name: home.states.get(name) for name, _ in wanted}
            if all((states[name].state if states[name] else None) == state for name, state in wanted):
                break
            await asyncio.sleep(0.2)
        print(json.dumps(shown(home), default=str), flush=True)


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
