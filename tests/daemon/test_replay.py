"""A recording from end to end: real processes, a real socket, and the same messages at every speed."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glatd.daemon.tagger import Tagger
from glatd.engines.engine import Engine
from glatd.messages import to_map
from tests.conftest import needs_shared
from tests.daemon.processes import GLATD, free_endpoint, glatd, messages, running, started, without_clock
from tests.daemon.sounds import RATE, noise, write_float_wav, write_wav

PLAIN = [sys.executable, str(Path(__file__).with_name("plain_subscriber.py"))]
LIMIT_S = 2.0  # in which a signal ends it


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5.3 s at 32 kHz."""
    return write_wav(tmp_path_factory.mktemp("recording") / "yard 1.wav", noise(5 * RATE + 9_777))


@pytest.fixture(scope="module")
def replayed(recording: Path) -> list[dict[str, Any]]:
    """Its messages, as fast as it goes."""
    done = glatd("replay", recording, "--format", "jsonl", "--node", "edge-1")
    assert done.returncode == 0 and done.stderr == ""
    return messages(done.stdout)


def test_the_messages_of_a_recording(replayed: list[dict[str, Any]]) -> None:
    first, live, *tags, last = replayed
    assert (first["state"], live["state"], last["state"]) == ("starting", "live", "ended")
    assert all(message["type"] == "tags" for message in tags)
    assert [message["seq"] for message in tags] == list(range(5))
    assert tags[-1]["end"] == last["samples"] == 5 * RATE + 9_777 and last["windows"] == 5
    for message in replayed:
        assert (message["v"], message["node"], message["stream"]) == (1, "edge-1", "yard_1")
    assert len({message["session"] for message in replayed}) == 1


@pytest.mark.parametrize("subscriber", ["glatd listen", "pyzmq and msgpack alone"])
def test_a_subscriber_in_another_process_receives_every_message(
    recording: Path, replayed: list[dict[str, Any]], subscriber: str
) -> None:
    endpoint = free_endpoint()
    if subscriber == "glatd listen":
        command = [*GLATD, "listen", endpoint, "--format", "jsonl"]
    else:
        command = [*PLAIN, endpoint, ""]
    with started(command) as listener:
        done = glatd(
            "replay", recording, "--publish", endpoint, "--node", "edge-1", "--format", "jsonl", "--wait", "60"
        )
        assert done.returncode == 0 and done.stderr == ""
        listener.wait_for(lambda message: message.get("state") == "ended")
        assert listener.end(signal.SIGINT if subscriber == "glatd listen" else None) == 0
        assert listener.errors == []
        received = listener.messages
    assert received == messages(done.stdout)  # to the last digit, with its wall-clock times
    # Another run says the same, under an id of its own.
    assert [without_clock(message) for message in received] == [without_clock(message) for message in replayed]
    assert {message["session"] for message in received} != {message["session"] for message in replayed}


def test_tagger_says_the_same(engine: Engine, recording: Path, replayed: list[dict[str, Any]]) -> None:
    samples = np.round(noise(5 * RATE + 9_777) * 32_768) / np.float32(32_768)
    tagger = Tagger(engine, name="yard_1")
    said = [to_map(message) | {"node": "edge-1"} for message in tagger.push(samples) + tagger.finish()]
    tags = [message for message in replayed if message["type"] == "tags"]
    assert [without_clock(message) for message in said] == [without_clock(message) for message in tags]


@pytest.fixture(scope="module")
def with_gap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.6 s at 48 kHz with a gap, which must come between the same windows at every speed."""
    samples = noise(124_800)
    samples[72_000:80_000] = np.nan
    return write_float_wav(tmp_path_factory.mktemp("gap") / "gap.wav", samples, 48_000)


def at_speed(path: Path, speed: str) -> tuple[list[dict[str, Any]], float]:
    """Messages, but for the reports in between that the wall clock brings; and how long it took."""
    began = time.monotonic()
    done = glatd("replay", path, "--format", "jsonl", "--speed", speed)
    took = time.monotonic() - began
    return [message for message in messages(done.stdout) if message.get("state") != "live"], took


@pytest.fixture(scope="module")
def fast(with_gap: Path) -> list[dict[str, Any]]:
    """Its messages as fast as it goes."""
    found = at_speed(with_gap, "max")[0]
    assert [message["type"] for message in found] == ["status", "gap", "tags", "tags", "status"]
    return found


@pytest.mark.parametrize("speed", ["4.0", "1.0"])
def test_speed_changes_nothing_but_the_clock(with_gap: Path, fast: list[dict[str, Any]], speed: str) -> None:
    paced, took = at_speed(with_gap, speed)
    assert took >= 2.6 / float(speed)
    assert [without_clock(message) for message in paced] == [without_clock(message) for message in fast]


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("clip", ["dog", "train"])
def test_speed_changes_nothing_for_a_whole_recording(shared: Path, clip: str) -> None:
    path = shared / "audio" / "clips" / "ibm" / f"{clip}.ogg"

    def said(speed: str) -> list[dict[str, Any]]:
        """Without the reports that come every 10 s."""
        found = [without_clock(message) for message in at_speed(path, speed)[0]]
        return [message for message in found if message.get("state") != "live"]

    assert said("1.0") == said("max")


def test_text_names_the_strongest_sums_up_and_warns_where_nobody_listens(recording: Path) -> None:
    endpoint = free_endpoint()
    done = glatd("replay", recording, "--publish", endpoint, "--wait", "0.1")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert f"nobody has subscribed to {endpoint} within 0.1 s" in done.stderr
    lines = done.stdout.splitlines()
    assert len([line for line in lines if " dB " in line]) == 5
    assert "heard" in lines or "nothing above the threshold of the summary" in lines
    assert "\033" not in done.stdout  # no colours into a pipe


def test_files_are_tagged_one_after_the_other_and_a_bad_one_ends_nothing(tmp_path: Path, engine: Engine) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_wav(tmp_path / folder / "x.wav", noise(RATE))
    short = write_wav(tmp_path / "short.wav", noise(RATE // 2))
    paths = [tmp_path / "a" / "x.wav", tmp_path / "none.wav", short, tmp_path / "b" / "x.wav"]
    done = glatd("replay", *paths, "--format", "jsonl", "--scores", "all")
    assert done.returncode == 3
    missing, too_short = done.stderr.splitlines()
    assert "none.wav: no such file" in missing
    assert "short.wav has 0.50 s of audio; below 1 s nothing is tagged" in too_short
    tags = [message for message in messages(done.stdout) if message["type"] == "tags"]
    assert [message["stream"] for message in tags] == ["x", "x-2"]
    assert {key: tags[0][key] for key in ("tags", "crops")} == {key: tags[1][key] for key in ("tags", "crops")}
    assert {tag["label"] for tag in tags[0]["tags"]} == set(engine.manifest.names)
    states = [(message["stream"], message["state"]) for message in messages(done.stdout) if message["type"] == "status"]
    assert [last for last in states if last[1] in ("ended", "failed")] == [
        ("x", "ended"),
        ("none", "failed"),
        ("short", "ended"),
        ("x-2", "ended"),
    ]


def test_a_reader_that_has_enough_is_no_error(recording: Path) -> None:
    command = [*GLATD, "replay", str(recording), "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == ""


def test_a_signal_ends_a_replay_with_a_last_status(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", noise(60 * RATE))
    with running("replay", path, "--speed", "1.0", "--format", "jsonl") as replay:
        replay.wait_for(lambda message: message["type"] == "tags")
        began = time.monotonic()
        assert replay.end(signal.SIGINT) == 0
        assert time.monotonic() - began < LIMIT_S
        assert replay.messages[-1]["state"] == "stopped" and replay.errors == []


def test_a_signal_ends_the_wait_for_a_subscriber(recording: Path) -> None:
    endpoint = free_endpoint()
    with running("replay", recording, "--publish", endpoint, "--wait", "1000", "--format", "jsonl") as replay:
        _until_bound(endpoint)
        time.sleep(1.0)  # the engine loads
        began = time.monotonic()
        assert replay.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < LIMIT_S
        assert replay.messages == [] and replay.errors == []


def _until_bound(endpoint: str) -> None:
    """Until a process has taken the address."""
    address = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
    for _ in range(1000):
        try:
            socket.create_connection(address, 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nobody binds {endpoint}")
