"""A node with keys from end to end, as its user and its clients run it."""

import signal
import time
from pathlib import Path

import pytest

from glatd.clients.feeder import AudioFeeder
from tests.daemon.processes import Running, free_endpoint, glatd, running


def told(process: Running, text: str) -> list[str]:
    """The lines of the log with a text, waited for."""
    until = time.monotonic() + 30
    while not (found := [line for line in process.errors if text in line]) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def test_keys_listen_control_feed_and_revoke(tmp_path: Path) -> None:
    keys, publish, control, feed = tmp_path / "keys", free_endpoint(), free_endpoint(), free_endpoint()
    assert glatd("keys", "init", "--dir", keys).returncode == 0
    for name, rights in (("ear", "subscribe"), ("mouth", "feed"), ("boss", "control")):
        assert glatd("keys", "add", name, "--rights", rights, "--dir", keys).returncode == 0
    config = tmp_path / "glatd.toml"
    # Every address of the machine: with keys it need not be said twice.
    config.write_text(f'keys = "{keys}"\ncontrol = "{control.replace("127.0.0.1", "0.0.0.0")}"\nstatus_seconds = 0.3\n')
    anywhere = publish.replace("127.0.0.1", "0.0.0.0")
    source = f"yard=zmq+{feed.replace('127.0.0.1', '0.0.0.0')}"
    with running("run", "--config", config, "--publish", anywhere, "--source", source) as node:
        with running("listen", publish, "--keys", keys / "ear.key", "--format", "jsonl") as ear:
            ear.wait_for(lambda message: message["type"] == "status")
            done = glatd("control", control, "list", "--keys", keys / "boss.key")
            assert done.stdout.startswith("yard"), done
            with AudioFeeder(feed, 16_000, keys=keys / "mouth.key") as feeder:
                for _ in range(30):
                    feeder.push(bytes(2 * 1600))
                    time.sleep(0.1)
            ear.wait_for(lambda message: message["type"] == "tags")
            for name, said in (("ear", "refuses 'ear'"), ("mouth", "refuses 'mouth'")):
                for _ in range(2):
                    done = glatd("control", control, "list", "--keys", keys / f"{name}.key")
                    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and said in done.stderr
                assert len(told(node, f"{name} has no right to control")) == 1
            done = glatd("listen", publish)
            assert done.returncode == 2 and "asks for keys" in done.stderr
            assert glatd("keys", "revoke", "ear", "--dir", keys).returncode == 0
            assert ear.end() == 2 and "refuses 'ear'" in ear.errors[-1]
            assert len(told(node, "closed a connection")) == 1
        assert node.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('publish = "tcp://0.0.0.0:5555"', "cannot publish on tcp://0.0.0.0:5555: other machines reach it"),
        ('publish = ""\ncontrol = "tcp://*:5556"\ninsecure = true', "there is no authentication"),
        ('publish = ""\n[[source]]\nuri = "zmq+tcp://0.0.0.0:5600"', "cannot listen there: other machines reach it"),
        ('catchup = "tcp://0.0.0.0:5557"\njournal = "{0}/journal"', "other machines reach it"),
        ('keys = "{0}/none"', "make it with `glatd keys init"),
    ],
)
def test_what_would_let_everybody_in_is_refused_before_anything_starts(tmp_path: Path, lines: str, said: str) -> None:
    config = tmp_path / "glatd.toml"
    source = "" if "source" in lines else '\n[[source]]\nuri = "mic:"\n'
    config.write_text(lines.format(tmp_path) + source)
    for command in (("run", "--config", config), ("check", config)):
        done = glatd(*command)
        assert (done.returncode, done.stdout) == (2, "") and said in done.stderr, done
