"""A live run against real servers, recorded, killed or stopped, and replayed against what it said."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from glatd.cli import replay as replay_command
from glatd.daemon.recording.layout import HEADER, SAID
from glatd.daemon.recording.lines import read_lines
from glatd.errors import GlatdError
from glatd.terminal import tell
from tests.daemon.processes import Running, glatd, messages, running, without_clock
from tests.daemon.sounds import noise, write_wav
from tests.servers.pcm import PcmTcp

RATE = 48_000  # Hz
OUTAGE_S = 3.2  # longer than the daemon waits before it completes the last window
TOLERANCE = 1e-3  # of scores, live against replayed


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PcmTcp, PcmTcp]]:
    """One of them mono, the other with two channels."""
    folder = tmp_path_factory.mktemp("sounds")
    mono = write_wav(folder / "mono.wav", noise(7 * RATE, 1), RATE)
    stereo = write_wav(folder / "stereo.wav", np.stack([noise(5 * RATE, 2), noise(5 * RATE, 3)], axis=1), RATE)
    with PcmTcp(mono) as one, PcmTcp(stereo) as other:
        yield one, other


def count(process: Running, stream: str, number: int) -> Callable[[dict[str, Any]], bool]:
    """Whether so many windows of a stream have come."""
    seen = 0

    def found(message: dict[str, Any]) -> bool:
        nonlocal seen
        seen += message["type"] == "tags" and message["stream"] == stream
        return seen == number

    return found


def going_on(process: Running, stream: str) -> set[str]:
    """The events of a stream that have begun and not ended."""
    phases = {m["id"]: m["phase"] for m in process.messages if m["type"] == "event" and m["stream"] == stream}
    return {event for event, phase in phases.items() if phase in ("start", "update")}


@pytest.fixture(scope="module")
def recorded(servers: tuple[PcmTcp, PcmTcp], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of two streams, one of which was lost for a while."""
    folder = tmp_path_factory.mktemp("night") / "rec"
    yard, hall = servers
    # On a machine that is busy with other tests less would be looked at, which is excused, not compared.
    config = folder.with_name("glatd.toml")
    # Low thresholds, so that there are events whatever the phase of the noise.
    config.write_text('node = "edge-1"\noverload = false\n[events]\non = 0.1\noff = 0.05\nhold = 1.0\n')
    arguments = ["--config", config, "--source", f"yard={yard.uri}", "--source", f"hall={hall.uri}"]
    with running("run", "--publish", "", *arguments, "--record", folder, "--format", "jsonl") as daemon:
        daemon.wait_for(count(daemon, "yard", 3))
        patience = time.monotonic() + 30.0
        while not going_on(daemon, "yard") and time.monotonic() < patience:
            time.sleep(0.1)
        yard.kill()
        time.sleep(OUTAGE_S)
        yard.start()
        daemon.wait_for(lambda message: message["type"] == "gap" and message["stream"] == "yard")
        before = sum(message["type"] == "tags" and message["stream"] == "yard" for message in daemon.messages)
        daemon.wait_for(count(daemon, "yard", before + 4))
        assert daemon.end(signal.SIGTERM) == 0
        said = daemon.messages
    assert list(read_lines(folder / SAID)) == said
    return folder


def replay(*arguments: str | Path) -> CompletedProcess[str]:
    """`glatd replay` in this process, which saves its start; the log is not in what it gives."""
    out, err = StringIO(), StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = replay_command.main([str(part) for part in arguments], standalone_mode=False)
            except GlatdError as error:
                tell(error)
                code = error.exit_code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return CompletedProcess([], code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def replayed(recorded: Path) -> list[dict[str, Any]]:
    """Its messages, as fast as it goes."""
    done = replay(recorded, "--format", "jsonl")
    assert done.returncode == 0 and done.stderr == ""
    return messages(done.stdout)


def edited(recorded: Path, folder: Path, edit: Callable[[list[dict[str, Any]]], object]) -> Path:
    """Another expectation."""
    said = list(read_lines(recorded / SAID))
    edit(said)
    path = folder / "expected.jsonl"
    path.write_text("".join(json.dumps(message) + "\n" for message in said))
    return path


def test_a_live_run_and_its_replay_agree(recorded: Path, replayed: list[dict[str, Any]]) -> None:
    done = glatd("replay", recorded, "--expect", recorded / SAID)
    assert done.returncode == 0 and done.stderr == "", done
    last = done.stdout.splitlines()[-1]
    assert last.startswith("equal: ") and "2 gaps" in last
    assert replay(recorded, "--expect", recorded).stdout == done.stdout

    said = list(read_lines(recorded / SAID))
    gaps = [{key: gap[key] for key in ("stream", "start", "end", "cause")} for gap in said if gap["type"] == "gap"]
    assert [{key: gap[key] for key in gaps[0]} for gap in replayed if gap["type"] == "gap"] == gaps
    assert len(gaps) == 2 and all(gap["stream"] == "yard" for gap in gaps)
    assert sum(gap["end"] - gap["start"] for gap in gaps) / 32_000 == pytest.approx(OUTAGE_S, abs=3.0)
    live = {(m["stream"], m["end"]): m for m in said if m["type"] == "tags"}
    again = {(m["stream"], m["end"]): m for m in replayed if m["type"] == "tags"}
    keys = ("stream", "label", "phase", "onset", "offset_time", "cause")
    decided = [
        {tuple(m[key] for key in keys) for m in run if m["type"] == "event" and m["cause"] != "stopped"}
        for run in (said, replayed)
    ]
    # The replay also looks at what the live run was stopped in.
    assert {stream for stream, *_ in decided[0]} == {"hall", "yard"} and decided[0] <= decided[1]
    # What went on when the stream was lost has ended before the gap was known.
    ended = {cause for stream, _, phase, *_, cause in decided[0] if (stream, phase) == ("yard", "end")}
    assert "reconnecting" in ended, [m for m in said if m["type"] in ("event", "status")]
    assert live.keys() <= again.keys() and len(live) > 10
    for key, window in live.items():
        assert again[key]["filled"] == window["filled"]
        assert again[key]["node"] == "edge-1"
        scores = {tag["label"]: tag["score"] for tag in again[key]["tags"]}
        assert max(abs(scores[tag["label"]] - tag["score"]) for tag in window["tags"][:5]) <= TOLERANCE
        # The recorded time, and not that of the replay.
        times = [np.datetime64(message["time"][:-1]) for message in (window, again[key])]
        assert abs(times[1] - times[0]) < np.timedelta64(100, "ms")


def plain(said: list[dict[str, Any]], *of_one_run: str) -> list[dict[str, Any]]:
    """Without the reports that the clock of the replay brings, and without what is of one run only."""
    kept = [message for message in said if message["type"] != "status"]
    return [{key: value for key, value in message.items() if key not in ("session", *of_one_run)} for message in kept]


def test_every_replay_is_equal_to_the_last_digit(recorded: Path, replayed: list[dict[str, Any]]) -> None:
    assert plain(messages(replay(recorded, "--format", "jsonl").stdout)) == plain(replayed)
    paced = replay(recorded, "--format", "jsonl", "--speed", "8", "--stream", "yard")
    of_yard = [message for message in replayed if message["stream"] == "yard"]
    assert plain(messages(paced.stdout), "offset") == plain(of_yard, "offset")  # it counts over all streams
    ends = [[without_clock(m) for m in said if m.get("state") == "ended"] for said in (messages(paced.stdout), of_yard)]
    assert len(ends[0]) == 1 and ends[0] == ends[1]


@pytest.mark.slow
def test_in_real_time_it_says_the_same_to_the_last_digit(recorded: Path, replayed: list[dict[str, Any]]) -> None:
    paced = replay(recorded, "--format", "jsonl", "--speed", "1.0")
    assert plain(messages(paced.stdout)) == plain(replayed)


def test_what_jsonl_printed_is_an_expectation_too(recorded: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected.jsonl"
    expected.write_text(replay(recorded, "--format", "jsonl", "--stream", "hall").stdout)
    done = replay(recorded, "--expect", expected, "--stream", "hall", "--format", "jsonl")
    assert done.returncode == 0 and messages(done.stdout)
    assert done.stderr.startswith("equal: ")  # beside the messages on stdout
    assert replay(recorded, "--expect", expected).returncode == 1  # of yard nothing is expected


def louder(said: list[dict[str, Any]]) -> None:
    """One score of one window."""
    window = [message for message in said if message["type"] == "tags" and message["stream"] == "hall"][2]
    window["tags"][0]["score"] += 0.002


def shorter(said: list[dict[str, Any]]) -> None:
    """One window less."""
    said.remove([message for message in said if message["type"] == "tags" and message["stream"] == "yard"][1])


def blamed(said: list[dict[str, Any]]) -> None:
    """Another cause."""
    next(message for message in said if message["type"] == "gap")["cause"] = "the cat"


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (louder, "hall         {label} {expected:.3f} expected, {came:.3f} came"),
        (shorter, "a window came, none was expected"),
        (blamed, "(the cat) was expected, none came"),
    ],
)
def test_a_difference_is_told(
    recorded: Path, tmp_path: Path, edit: Callable[[list[dict[str, Any]]], object], line: str
) -> None:
    expected = edited(recorded, tmp_path, edit)
    done = replay(recorded, "--expect", expected)
    assert done.returncode == 1 and done.stderr == ""
    if edit is louder:
        tag = [m for m in read_lines(expected) if m["type"] == "tags" and m["stream"] == "hall"][2]["tags"][0]
        line = line.format(label=tag["label"], expected=tag["score"], came=tag["score"] - 0.002)
    assert any(line in told for told in done.stdout.splitlines())
    differences = 2 if edit is blamed else 1
    assert f"different: {differences} difference" in done.stdout.splitlines()[-1]


def test_another_hop_or_another_way_of_looking_differs(recorded: Path, tmp_path: Path) -> None:
    done = replay(recorded, "--expect", recorded, "--hop", "1.92", "--stream", "hall")
    assert done.returncode == 1
    assert "the hop: 0.96 s expected, 1.92 s came" in done.stdout.splitlines()
    again = shutil.copytree(recorded, tmp_path / "rec")
    header = json.loads((again / HEADER).read_text())
    header["settings"] |= {"local": "top-k", "crops": 1}
    (again / HEADER).write_text(json.dumps(header))
    done = replay(again, "--expect", recorded / SAID, "--stream", "hall")
    assert done.returncode == 1 and " expected, " in done.stdout


def test_only_the_types_of_an_expectation_are_compared(recorded: Path, tmp_path: Path) -> None:
    only = edited(
        recorded, tmp_path, lambda said: said.__setitem__(slice(None), [m for m in said if m["type"] == "gap"])
    )
    done = replay(recorded, "--expect", only, "--hop", "1.92")
    assert (done.returncode, done.stdout) == (0, "equal: 2 gaps as expected\n")


def test_a_daemon_that_was_killed_leaves_a_recording_to_replay(
    servers: tuple[PcmTcp, PcmTcp], recorded: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(recorded, tmp_path / "rec")
    _, hall = servers
    arguments = ["--source", f"hall={hall.uri}", "--hop", "0.96", "--record", folder]
    with running("run", "--publish", "", *arguments, "--format", "jsonl") as daemon:
        daemon.wait_for(count(daemon, "hall", 3))
        daemon.end(signal.SIGKILL)
    again = folder / "run-2"  # the folder held a recording already
    done = replay(again, "--expect", again / SAID)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("equal: ")
    assert replay(folder, "--expect", recorded / SAID).returncode == 0  # and is as it was


def test_what_cannot_be_is_refused_in_one_line(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}\n")
    newer = shutil.copytree(recorded, tmp_path / "newer")
    (newer / HEADER).write_text((newer / HEADER).read_text().replace('"version": 1', '"version": 9'))
    for arguments, code, line in [
        ([recorded, "--stream", "garden"], 2, "there is no stream 'garden' to replay; there are: hall, yard"),
        ([recorded, "--expect", tmp_path / "none.jsonl"], 2, "No such file or directory; check the path of --expect"),
        ([recorded, "--expect", tmp_path / "file"], 6, "has no tags, gap or event to compare with"),
        ([newer], 6, "is of version 9, and this glatd reads up to 1; upgrade glatd"),
        ([recorded, "--hop", "0.5"], 2, "hop 0.5 s is no multiple of"),
    ]:
        done = replay(*arguments)
        assert (done.returncode, done.stdout) == (code, "")
        (told,) = done.stderr.splitlines()
        assert told.startswith("glatd: ") and line in told
    done = glatd("run", "--publish", "", "--source", "mic:", "--record", tmp_path / "file" / "rec")
    assert done.returncode == 2 and "cannot record into" in done.stderr
