"""A daemon that runs: streams come and go by the control socket and by its file, and systemd hears of it."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from glatd.clients.control import Refused, ask
from glatd.clients.remote import lines, values
from glatd.daemon.manage import free_name
from glatd.errors import ConfigError
from tests.daemon.pcm_server import RATE, PcmServer, sending
from tests.daemon.processes import GLATD, PATIENCE_S, Running, free_endpoint, glatd, running, started
from tests.daemon.sounds import noise


class Box:
    """A daemon with a configuration file and a control socket."""

    def __init__(self, config: Path, endpoint: str, process: Running) -> None:
        self.config, self.endpoint, self.process = config, endpoint, process

    def write(self, *sources: str, **settings: str) -> None:
        """Lines of [[source]] tables, and settings above them."""
        write(self.config, self.endpoint, *sources, **settings)

    def states(self) -> dict[str, str]:
        return {row["stream"]: row["state"] for row in ask(self.endpoint, "list")["streams"]}

    def said(self, text: str) -> bool:
        return any(text in line for line in self.process.errors)

    def reload(self) -> None:
        self.process.process.send_signal(signal.SIGHUP)


def write(config: Path, endpoint: str, *sources: str, **settings: str) -> None:
    lines = [f'control = "{endpoint}"', 'publish = ""', *(f"{name} = {value}" for name, value in settings.items())]
    config.write_text("\n".join([*lines, *(f"[[source]]\n{source}" for source in sources)]), encoding="utf-8")


def source(name: str, server: PcmServer) -> str:
    return f'name = "{name}"\nuri = "{server.uri}"'


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@contextmanager
def box(folder: Path, *sources: str) -> Iterator[Box]:
    endpoint, config = free_endpoint(), folder / "glatd.toml"
    write(config, endpoint, *sources)
    with running("run", "--config", config, "--format", "jsonl") as process:
        yield Box(config, endpoint, process)


def sent(daemon: Box, kind: str, stream: str) -> list[dict[str, Any]]:
    return [message for message in daemon.process.messages if (message["type"], message["stream"]) == (kind, stream)]


def test_streams_come_and_go_by_the_socket_and_the_others_do_not_notice(tmp_path: Path) -> None:
    with (
        sending(noise(90 * RATE)) as first,
        sending(noise(90 * RATE, seed=1)) as second,
        box(tmp_path, source("yard", first)) as daemon,
    ):
        daemon.process.wait_for(lambda message: message["type"] == "tags" and message["stream"] == "yard")
        assert ask(daemon.endpoint, "version")["node"]
        assert ask(daemon.endpoint, "add", source=f"gate={second.uri}") == {"stream": "gate"}
        assert set(daemon.states()) == {"yard", "gate"}  # it was there when the reply came
        with pytest.raises(Refused, match="there is a stream 'gate' already"):
            ask(daemon.endpoint, "add", source=f"gate={second.uri}")
        with pytest.raises(Refused, match="unknown scheme"):
            ask(daemon.endpoint, "add", source="gopher://x")
        daemon.process.wait_for(lambda message: message["type"] == "tags" and message["stream"] == "gate")

        ask(daemon.endpoint, "mute", stream="gate")
        daemon.process.wait_for(lambda message: message.get("state") == "muted")
        assert daemon.states() == {"yard": "live", "gate": "muted"}
        ask(daemon.endpoint, "unmute", stream="gate")
        until(lambda: daemon.states()["gate"] == "live", "unmuted")

        assert ask(daemon.endpoint, "remove", stream="gate") == {"stream": "gate"}
        assert set(daemon.states()) == {"yard"}
        with pytest.raises(Refused, match="there is no stream 'gate'; there are: yard"):
            ask(daemon.endpoint, "remove", stream="gate")
        ask(daemon.endpoint, "remove", stream="yard")
        assert daemon.states() == {}
        time.sleep(0.5)
        assert daemon.process.process.poll() is None  # it waits for more
        listed = glatd("control", daemon.endpoint, "list")
        assert (listed.returncode, listed.stdout.strip()) == (0, "")
        assert daemon.process.end(signal.SIGTERM) == 0
        tags = sent(daemon, "tags", "yard")
        assert [message["seq"] for message in tags] == list(range(len(tags)))
        assert not sent(daemon, "gap", "yard")


def test_a_file_that_is_read_again_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    with (
        sending(noise(90 * RATE)) as first,
        sending(noise(90 * RATE, seed=1)) as second,
        sending(noise(90 * RATE, seed=2)) as third,
        box(tmp_path, source("yard", first), source("gate", second)) as daemon,
    ):
        for name in ("yard", "gate"):
            daemon.process.wait_for(lambda message, name=name: message["stream"] == name and message["type"] == "tags")
        daemon.write(source("yard", first), source("gate", third), 'uri = "file:no/such.wav"', hop="1.92")
        daemon.reload()
        until(lambda: daemon.said("configuration read again: added such; changed gate"), "reloaded")
        until(lambda: daemon.said("these settings need a restart to change: hop"), "told of the hop")
        until(lambda: daemon.states().get("gate") == "live", "the changed source")

        daemon.config.write_text("[[source]\nuri = 'mic:'", encoding="utf-8")
        daemon.reload()
        until(
            lambda: daemon.said("the configuration stays as it was: ") and daemon.said("is not a TOML file"), "refused"
        )
        with pytest.raises(Refused, match="is not a TOML file"):
            ask(daemon.endpoint, "reload")
        assert set(daemon.states()) == {"yard", "gate", "such"}

        daemon.write(source("yard", first))
        ask(daemon.endpoint, "remove", stream="yard")
        told = glatd("control", daemon.endpoint, "reload")
        assert (told.returncode, told.stdout) == (0, "reloaded removed gate, such\n")
        assert set(daemon.states()) == {"yard"}  # the file has it, so it is back
        assert daemon.process.end(signal.SIGTERM) == 0
        assert not [line for line in daemon.process.errors if "Traceback" in line]


def test_the_command_prints_plain_text(tmp_path: Path) -> None:
    with sending(noise(90 * RATE)) as server, box(tmp_path, source("yard", server)) as daemon:
        daemon.process.wait_for(lambda message: message["type"] == "tags")
        assert glatd("control", daemon.endpoint, "version").stdout.startswith("glatd ")
        assert glatd("control", daemon.endpoint, "mute", "yard").stdout == "muted yard\n"
        until(lambda: daemon.states()["yard"] == "muted", "muted")
        (row,) = glatd("control", daemon.endpoint, "list").stdout.splitlines()
        assert row.split()[:3] == ["yard", "muted", server.uri]
        refused = glatd("control", daemon.endpoint, "remove", "gate")
        assert (refused.returncode, refused.stderr) == (1, "glatd: there is no stream 'gate'; there are: yard\n")
    done = glatd("control", free_endpoint(), "list", "--timeout", "0.2")
    assert done.returncode == 1 and "is glatd running" in done.stderr


@pytest.mark.parametrize(
    ("do", "what", "said"),
    [
        ("destroy", None, "unknown request 'destroy'; known: version, list, add"),
        ("add", None, r"add needs \[NAME=\]URI, for example yard=mic:USB"),
        ("mute", None, "mute needs the NAME of a stream; see list"),
        ("list", "yard", "list takes nothing, not 'yard'"),
    ],
)
def test_a_request_that_is_none_is_refused_before_it_is_sent(do: str, what: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        values(do, what)


def test_replies_are_lines() -> None:
    streams = [{"stream": "yard", "state": "live", "seconds": 1.5}, {"stream": "x", "state": "muted", "uri": "mic:"}]
    assert list(lines("list", {"streams": streams}, "text")) == ["yard  live   1.5", "x     muted       mic:"]
    assert list(lines("list", {"streams": []}, "text")) == []
    assert list(lines("version", {"glatd": "1.0", "node": "box"}, "text")) == ["glatd 1.0; box"]
    told = {"sources": "added a", "needs_restart": ["needs a restart: hop"]}
    assert list(lines("reload", told, "text")) == ["reloaded added a; needs a restart: hop"]
    assert list(lines("mute", {"stream": "a"}, "json")) == ['{"stream": "a"}']


def test_a_socket_that_others_could_reach_is_refused_at_once(tmp_path: Path) -> None:
    config = tmp_path / "glatd.toml"
    config.write_text('control = "tcp://0.0.0.0:5556"\n[[source]]\nuri = "mic:"\n', encoding="utf-8")
    done = glatd("run", "--config", config)
    assert done.returncode == 2 and "could be reached by others" in done.stderr


def test_no_password_of_a_source_is_in_any_line() -> None:
    """Of the log, of the messages, of what is listed."""
    endpoint = free_endpoint()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    sources = [
        argument
        for name, scheme in (("cam", "rtsp"), ("radio", "http"))
        for argument in ("--source", f"{name}={scheme}://admin:s3cret@127.0.0.1:{closed}/live?token=t0ken")
    ]
    command = [*GLATD, "--log-format", "json", "run", *sources, "--publish", endpoint, "--format", "jsonl"]
    with started(command) as daemon:
        for name in ("cam", "radio"):
            daemon.wait_for(
                lambda message, name=name: message["stream"] == name and message.get("state") == "reconnecting"
            )
        assert daemon.end(signal.SIGTERM) == 0
        text = "\n".join(daemon.lines + daemon.errors)
        assert "127.0.0.1" in text
        assert [secret for secret in ("admin", "s3cret", "t0ken") if secret in text] == []
        told = [json.loads(line) for line in daemon.errors]
        assert {entry["stream"] for entry in told if "stream" in entry} == {"cam", "radio"}


@contextmanager
def manager() -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """systemd's end of the socket."""
    with (
        tempfile.TemporaryDirectory(prefix="glatd-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
    ):
        listening.bind(f"{folder}/notify")
        listening.settimeout(PATIENCE_S)
        environment = os.environ | {"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "1000000"}
        yield listening, environment


def test_systemd_hears_when_it_is_ready_alive_reloading_and_ends(tmp_path: Path) -> None:
    config = tmp_path / "glatd.toml"
    with sending(noise(90 * RATE)) as server, manager() as (systemd, environment):
        config.write_text(
            f"publish = ''\nstatus_seconds = 0.5\n[[source]]\n{source('yard', server)}\n", encoding="utf-8"
        )
        with running("run", "--config", config, environment=environment) as daemon:
            heard = [systemd.recv(4096).decode()]
            assert heard == ["READY=1"]
            while heard.count("WATCHDOG=1") < 4 or not any(text.startswith("STATUS=") for text in heard):
                heard.append(systemd.recv(4096).decode())
            (status, *_) = [text for text in heard if text.startswith("STATUS=")]
            assert "of 1 streams live" in status
            daemon.process.send_signal(signal.SIGHUP)
            while heard[-1] != "READY=1":
                heard.append(systemd.recv(4096).decode())
            assert any(text.startswith("RELOADING=1\nMONOTONIC_USEC=") for text in heard)
            assert daemon.end(signal.SIGTERM) == 0
            while heard[-1] != "STOPPING=1":
                heard.append(systemd.recv(4096).decode())


def test_a_loop_that_hangs_gives_no_beat(tmp_path: Path) -> None:
    """Nobody reads its stdout, so that it hangs in a write; its other threads go on."""
    config = tmp_path / "glatd.toml"
    with sending(noise(90 * RATE)) as server, manager() as (systemd, environment):
        config.write_text(f"publish = ''\ntop = 0\n[[source]]\n{source('yard', server)}\n", encoding="utf-8")
        command = [*GLATD, "run", "--config", str(config), "--format", "jsonl"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                assert systemd.recv(4096) == b"READY=1"
                systemd.settimeout(5.0)  # ten times a beat
                heard = []
                with suppress(TimeoutError):
                    while len(heard) < 200:
                        heard.append(systemd.recv(4096))
                assert len(heard) < 200
                assert process.poll() is None
            finally:
                process.kill()


def test_names_are_free() -> None:
    assert free_name("mic", {}) == "mic"
    assert free_name("mic", {"mic": 1, "mic-2": 1}) == "mic-3"
    assert len(free_name("x" * 64, {"x" * 64: 1})) == 64
