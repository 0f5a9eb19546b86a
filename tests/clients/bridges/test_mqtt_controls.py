"""Switches and numbers over MQTT act on a daemon that runs."""

import signal
from pathlib import Path

import numpy as np
import pytest

from glatd.audio import read_mono
from glatd.clients.control import ask
from tests.conftest import ROOT
from tests.daemon.pcm_server import RATE, sending
from tests.daemon.processes import free_endpoint, running
from tests.servers.mosquitto import Mosquitto, Watcher

LABEL = "Rain"  # what the demo's recording begins with
NODE = "box"


@pytest.mark.timeout(600)
def test_switches_and_numbers_act_on_the_daemon(tmp_path: Path) -> None:
    sound = np.resize(read_mono(ROOT / "demo" / "street.ogg", RATE)[: 10 * RATE], 180 * RATE).astype(np.float32)
    publish, control, catchup = free_endpoint(), free_endpoint(), free_endpoint()
    config, base = tmp_path / "glatd.toml", f"glatd/{NODE}/yard"
    with sending(sound) as source, Mosquitto() as broker, Watcher(broker) as watcher:
        config.write_text(
            f'node = "{NODE}"\npublish = "{publish}"\ncontrol = "{control}"\njournal = "{tmp_path}/journal"\n'
            f'catchup = "{catchup}"\nstatus_seconds = 1.0\n[[source]]\nname = "yard"\nuri = "{source.uri}"\n',
            encoding="utf-8",
        )
        bridge = ["--broker", broker.uri, "--publish", publish, "--catchup", catchup, "--control", control]
        bridge += ["--cursor", str(tmp_path / "cursor"), "--class", LABEL, "--level-seconds", "1"]
        with running("run", "--config", config) as daemon, running("bridge", "mqtt", *bridge) as process:
            mute, threshold = f"{base}/rain/mute", f"{base}/rain/threshold"
            watcher.wait_for(lambda: watcher.stands(threshold) == "0.5", "the threshold", 120)  # the engine loads first
            assert watcher.stands(mute) == "OFF"

            watcher.say(f"{threshold}/set", "0.05")  # so low that it is heard for sure
            watcher.wait_for(lambda: watcher.stands(threshold) == "0.05", "the new threshold")
            rules = ask(control, "rules", stream="yard", label=LABEL)
            assert (rules["on"], rules["publish"]) == (0.05, True) and 0 < rules["off"] < 0.05
            watcher.wait_for(lambda: watcher.stands(f"{base}/rain/state") == "ON", "rain")

            watcher.say(f"{mute}/set", "ON")
            watcher.wait_for(lambda: watcher.stands(f"{base}/rain/state") == "OFF", "the end of the rain")
            watcher.wait_for(lambda: watcher.stands(mute) == "ON", "the mute")
            assert not ask(control, "rules", stream="yard", label=LABEL)["publish"]

            before = len(watcher.said(threshold))
            for wrong in ("loud", "0", "1.5", "nan"):
                watcher.say(f"{threshold}/set", wrong)
            watcher.say(f"{base}/cat/threshold/set", "0.5")  # a class that is none of the bridge's
            watcher.say(f"{threshold}/set", "0.9")
            watcher.wait_for(lambda: watcher.stands(threshold) == "0.9", "the last threshold")
            assert set(watcher.said(threshold)[before:]) <= {"0.05", "0.9"}
            assert sum("cannot be set to" in line for line in process.errors) == 5

            watcher.say(f"{base}/mute/set", "ON")
            watcher.wait_for(lambda: watcher.stands(f"{base}/availability") == "offline", "the mute")
            assert watcher.stands(f"{base}/mute") == "ON"
            assert ask(control, "list")["streams"][0]["state"] == "muted"

            # A daemon that starts again is told what was commanded: it must not begin to listen by itself.
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
            with running("run", "--config", config) as again:
                watcher.wait_for(
                    lambda: any("as it was commanded before" in line for line in process.errors), "the commands again"
                )
                watcher.wait_for(lambda: ask(control, "list")["streams"][0]["state"] == "muted", "the mute again")
                watcher.wait_for(
                    lambda: ask(control, "rules", stream="yard", label=LABEL)["on"] == 0.9, "the threshold again"
                )
                assert not ask(control, "rules", stream="yard", label=LABEL)["publish"]
                watcher.say(f"{base}/mute/set", "OFF")
                watcher.wait_for(lambda: watcher.stands(f"{base}/mute") == "OFF", "the end of the mute", 120)
                assert again.end(signal.SIGTERM) == 0
            assert process.end(signal.SIGTERM) == 0
            assert not [line for line in process.errors if "Traceback" in line]
