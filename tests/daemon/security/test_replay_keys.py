"""A recording that is published with keys: as a node's messages are, to the same clients and nobody else."""

import os
from pathlib import Path

from tests.daemon.processes import free_endpoint, glatd, running
from tests.daemon.sounds import RATE, noise, write_wav


def test_only_clients_hear_a_replay_that_has_keys(tmp_path: Path) -> None:
    keys, endpoint = tmp_path / "keys", free_endpoint()
    assert glatd("keys", "init", "--dir", keys).returncode == 0
    assert glatd("keys", "add", "ear", "--dir", keys).returncode == 0
    recording = write_wav(tmp_path / "yard.wav", noise(2 * RATE))
    published = ("replay", recording, "--publish", endpoint, "--keys", keys, "--wait", "60", "--format", "jsonl")
    # As a health check gives its keys, too.
    environment = os.environ | {"GLATD_CLIENT_KEYS": str(keys / "ear.key")}
    with running(*published) as replay:
        assert glatd("listen", endpoint).returncode == 2
        assert replay.messages == []
        with running("listen", endpoint, "--format", "jsonl", environment=environment) as ear:
            assert replay.end() == 0
            ear.wait_for(lambda message: message.get("state") == "ended")
            assert ear.messages == replay.messages
