"""The daemon as it runs on a box: live sources, a subscriber, signals, and failures that stay where they are."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.daemon.pcm_server import RATE, sending
from tests.daemon.processes import Running, free_endpoint, glatd, running, started
from tests.daemon.sounds import noise, write_wav

PLAIN = Path(__file__).with_name("plain_subscriber.py")
LIMIT_S = 5.0  # in which a signal ends it, on a machine that is busy with other tests


@contextmanager
def subscriber(endpoint: str, topic: str = "") -> Iterator[Running]:
    """Another process that listens, without glatd."""
    with started([sys.executable, str(PLAIN), endpoint, topic]) as process:
        yield process


@contextmanager
def subscribed(publisher: Running, endpoint: str) -> Iterator[Running]:
    """As `subscriber`, once the daemon gives tags."""
    with subscriber(endpoint) as process:
        process.wait_for(lambda message: message["type"] == "tags")
        assert publisher.process.poll() is None
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_live_stream_is_tagged_until_a_signal(number: signal.Signals) -> None:
    endpoint = free_endpoint()
    with (
        sending(noise(60 * RATE)) as server,
        running("run", "--source", f"yard={server.uri}", "--publish", endpoint, "--node", "edge-1") as daemon,
        subscribed(daemon, endpoint) as listener,
    ):
        tags = listener.wait_for(lambda message: message["type"] == "tags")
        assert (tags["node"], tags["stream"], tags["rate"]) == ("edge-1", "yard", 32_000)
        began = time.monotonic()
        assert daemon.end(number) == 0
        assert time.monotonic() - began < LIMIT_S
        assert listener.end() == 0  # it ends by itself when it reads a last status
        last = listener.messages[-1]
        assert (last["type"], last["state"], last["stream"]) == ("status", "stopped", "yard")
        assert last["samples"] >= tags["end"] and last["lost"] == 0 and last["late_ms"] >= 0
        assert last["uri"] == server.uri
        assert not [line for line in daemon.errors if "ERROR" in line or "Traceback" in line]
        seqs = [message["seq"] for message in listener.messages if message["type"] == "tags"]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_a_signal_while_the_engine_loads_ends_it_as_well() -> None:
    endpoint = free_endpoint()
    with (
        sending(noise(RATE)) as server,
        running("run", "--source", server.uri, "--publish", endpoint, "--format", "jsonl") as daemon,
    ):
        address = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
        while daemon.process.poll() is None:
            try:
                socket.create_connection(address, 1).close()
                break
            except OSError:
                time.sleep(0.005)
        began = time.monotonic()
        assert daemon.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < LIMIT_S
        assert [message["state"] for message in daemon.messages][-1:] == ["stopped"]


def test_a_source_that_ends_gets_its_last_window_and_the_daemon_leaves(tmp_path: Path) -> None:
    """From a configuration file, with reports in between."""
    config = tmp_path / "glatd.toml"
    with sending(noise(72_000)) as server:
        config.write_text(
            f"status_seconds = 0.3\npublish = ''\n[[source]]\nname = 'yard'\nuri = '{server.uri}'\nreconnect = false\n"
        )
        before = datetime.now(UTC)
        with running("run", "--config", config, "--format", "jsonl") as daemon:
            assert daemon.end() == 0
    *_, tags, last = [message for message in daemon.messages if message["type"] != "node"]
    assert tags["type"] == "tags" and tags["end"] == 48_000 and tags["seq"] == 0
    assert (last["stream"], last["state"], last["samples"], last["windows"]) == ("yard", "ended", 48_000, 1)
    reports = [message["samples"] for message in daemon.messages if message.get("state") == "live"]
    assert len(reports) >= 3 and reports == sorted(reports)
    times = [datetime.fromisoformat(message["time"]) for message in daemon.messages]
    assert before <= min(times) and max(times) <= datetime.now(UTC)


def test_a_source_that_fails_leaves_the_others_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    with (
        sending(noise(60 * RATE)) as server,
        running(
            "run",
            "--source",
            f"bad=tcp://127.0.0.1:{closed}",
            "--source",
            f"yard={server.uri}",
            "--source",
            "gone=file:no/such/file.wav",
            "--publish",
            "",
            "--format",
            "jsonl",
        ) as daemon,
    ):
        daemon.wait_for(lambda message: message["stream"] == "bad" and message.get("state") == "reconnecting")
        daemon.wait_for(lambda message: message["stream"] == "gone" and message.get("state") == "failed")
        daemon.wait_for(
            lambda message: message["type"] == "tags" and message["stream"] == "yard" and message["seq"] == 2
        )
        assert daemon.end(signal.SIGTERM) == 0
        ends = {message["stream"]: message["state"] for message in daemon.messages if message["type"] == "status"}
        assert ends == {"bad": "stopped", "gone": "failed", "yard": "stopped"}
        (error,) = [line for line in daemon.errors if "ERROR" in line]
        (warning,) = [line for line in daemon.errors if "WARNING" in line]  # and not one for each try
        assert "gone failed" in error and "bad reconnecting: tcp://127.0.0.1" in warning
        assert "Traceback" not in "".join(daemon.errors)


def test_when_every_source_has_failed_so_has_the_daemon(tmp_path: Path) -> None:
    done = glatd("run", "--source", "a=file:no/such.wav", "--source", f"b=file:{tmp_path}", "--publish", "")
    assert done.returncode == 3
    errors = [line for line in done.stderr.splitlines() if "INFO" not in line]
    assert len(errors) == 2 and "no/such.wav: no such file" in done.stderr and "holds no recording" in done.stderr


def test_a_recording_among_the_sources_runs_in_real_time(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(40_000))
    began = time.monotonic()
    done = glatd("run", "--source", f"file:{path}", "--publish", "", "--format", "jsonl", "--log-format", "json")
    assert done.returncode == 2 and "No such option" in done.stderr  # it stands before the command
    done = glatd("--log-format", "json", "run", "--source", f"file:{path}", "--publish", "", "--format", "jsonl")
    assert done.returncode == 0
    assert time.monotonic() - began >= 1.25
    assert '"tags"' in done.stdout
    assert all(line.startswith('{"time": ') for line in done.stderr.splitlines())


def test_a_taken_port_is_refused_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        for command in (["run", "--source", "mic:"], ["replay", "a.wav"]):
            done = glatd(*command, "--publish", endpoint)
            assert done.returncode == 2 and done.stdout == ""
            (line,) = done.stderr.splitlines()
            assert line.startswith(f"glatd: cannot publish on {endpoint}: the address is taken; ")
