"""Faults of the machine that glatd runs on: a clock that is set, a disk that is full, a kill."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from glatd.audio import Block, Missing
from glatd.daemon.recording.layout import DISK_FULL
from glatd.daemon.recording.reader import RecordingSource, open_recording
from glatd.daemon.recording.writer import FLUSH_SECONDS
from tests.daemon.processes import GLATD, free_endpoint, running, started
from tests.faults.results import MACHINE, keep
from tests.faults.servers import faketime
from tests.faults.watch import ALLOWED_S, Figures, Watch, adds_up
from tests.servers.pcm import PcmTcp

NAME = "yard"
DISK_MB = 2
FULL_S = 3.0
HOUR = 3600.0  # s by which the clock is set
TAGS = 2
STOPS, GOES_ON = " stops: ", " goes on; "  # what the log says of a recording

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def server() -> Iterator[PcmTcp]:
    with PcmTcp() as sender:
        yield sender


def test_a_clock_that_jumps_is_told_and_no_audio_is_lost(server: PcmTcp, tmp_path: Path) -> None:
    """An hour ahead, and back."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    command = ("run", "--source", f"{NAME}={server.uri}", "--publish", "", "--format", "jsonl")
    with running(*command, environment=os.environ | faketime(clock)) as daemon:
        watch = Watch(daemon)
        watch.wait_for_tags(NAME, 0.0, TAGS)
        faults = []
        for offset in (f"+{HOUR:.0f}", "+0"):
            began = time.monotonic()
            clock.write_text(offset)
            told = watch.wait(NAME, began, lambda one: "clock" in one.message.get("reason", ""), "the clock")
            after = watch.wait_for_tags(NAME, told.at, TAGS)
            faults.append((began, told, after))
        assert daemon.end(signal.SIGTERM) == 0
    for (began, told, after), ahead in zip(faults, (HOUR, 0.0), strict=True):
        dated = datetime.fromisoformat(after.message["time"]).replace(tzinfo=UTC).timestamp()
        # `time` is that of the window's end; a busy machine may be late with it.
        assert abs(dated - ahead - (time.time() - (time.monotonic() - after.at))) < 60, after
        heard = watch.of(NAME)
        way = "ahead" if ahead else "back"
        figures = Figures(
            f"the clock is set by an hour, {way}", 0.0, told.at - began, f"{told.state}: {told.message['reason']}",
            None, 0.0, 0.0, adds_up(heard),
        )  # fmt: skip
        keep(figures, "short", MACHINE)
        assert figures.adds_up and told.state == "live"
    assert not [one for one in watch.of(NAME) if one.message["type"] == "gap"]
    seqs = [one.message["seq"] for one in watch.of(NAME) if one.message["type"] == "tags"]
    assert seqs == list(range(len(seqs)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_costs_the_recording_and_nothing_else(server: PcmTcp, small_disk: Path) -> None:
    command = ("run", "--source", f"{NAME}={server.uri}", "--publish", "", "--record", small_disk / "rec")
    with running(*command, "--format", "jsonl") as daemon:
        watch = Watch(daemon)
        watch.wait_for_tags(NAME, 0.0, TAGS)
        ballast = small_disk / "ballast"
        began = time.monotonic()
        with pytest.raises(OSError, match="No space"):
            _fill(ballast)
        noticed = _wait_for_line(daemon.errors, STOPS)
        time.sleep(FULL_S)
        ballast.unlink()
        over = time.monotonic()
        recovered = _wait_for_line(daemon.errors, GOES_ON)
        watch.wait_for_tags(NAME, time.monotonic(), TAGS)
        told = next(line for line in daemon.errors if STOPS in line).partition(STOPS)[2].partition(";")[0]
        assert daemon.end(signal.SIGTERM) == 0
    heard = watch.of(NAME)
    assert not [one for one in heard if one.is_trouble and one.state != "stopped"]
    (recording,) = small_disk.glob("rec*/**/recording.json")
    (source,) = open_recording(recording.parent).streams
    seconds, lost, causes = recorded(source)
    last = next(one.message for one in reversed(heard) if one.state)
    figures = Figures(
        "disk full while recording", over - began, noticed - began, f"log: recording stops: {told}",
        recovered - over, lost, seconds - last["samples"] / last["rate"], adds_up(heard),
    )  # fmt: skip
    keep(figures, "short", MACHINE)
    assert causes == {DISK_FULL} and abs(figures.off) < 1.0
    assert 0 < lost <= figures.lasted + ALLOWED_S + FLUSH_SECONDS and figures.adds_up, figures
    assert source.complete


def test_after_a_kill_the_recording_is_readable_and_a_subscriber_hears_a_new_session(
    server: PcmTcp, tmp_path: Path
) -> None:
    endpoint = free_endpoint()
    command = ("run", "--source", f"{NAME}={server.uri}", "--publish", endpoint, "--format", "jsonl")
    listener = [*GLATD, "listen", endpoint, "--format", "jsonl"]
    with started(listener) as subscriber:
        heard = Watch(subscriber)
        with running(*command, "--record", tmp_path / "a") as daemon:
            first = heard.wait_for_tags(NAME, 0.0, 4)
            watch = Watch(daemon)
            daemon.end(signal.SIGKILL)
            began = time.monotonic()
        last = watch.of(NAME)[-1].message
        position = max(one.message["end"] for one in watch.of(NAME) if one.message["type"] == "tags")
        with running(*command, "--record", tmp_path / "b") as daemon:
            again = heard.wait(NAME, began, lambda one: one.message["session"] != last["session"], "another session")
            tags = heard.wait(NAME, again.at, lambda one: one.message["type"] == "tags", "tags of the new session")
            assert tags.message["session"] == again.message["session"] != first.message["session"]
            assert tags.message["seq"] == 0
            assert daemon.end(signal.SIGTERM) == 0
    (recording,) = (tmp_path / "a").glob("**/recording.json")
    (source,) = open_recording(recording.parent).streams
    seconds, lost, _ = recorded(source)
    missing = position / last["rate"] - seconds
    figures = Figures(
        "daemon killed (SIGKILL), started again at once", 0.0, again.at - began,
        f"{again.message['type']} with another session", tags.at - began, max(0.0, missing), 0.0, lost == 0,
    )  # fmt: skip
    keep(figures, "short", MACHINE)
    assert not source.complete and lost == 0
    assert seconds > 0 and missing < 1.5, figures


def recorded(source: RecordingSource) -> tuple[float, float, set[str]]:
    """Seconds of a recording with what is missing, seconds that are missing, and why."""
    end, lost, rate, causes = 0, 0, 1, set()
    for piece in source.blocks():
        rate = piece.rate
        if isinstance(piece, Missing):
            lost += piece.end - end
            end = piece.end
            causes.add(piece.cause)
        else:
            assert isinstance(piece, Block) and piece.start == end
            end = piece.start + len(piece.samples)
    return end / rate, lost / rate, causes


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _wait_for_line(lines: list[str], word: str, seconds: float = 60.0) -> float:
    """When a line with this word was seen."""
    until = time.monotonic() + seconds
    while not any(word in line for line in lines):
        assert time.monotonic() < until, lines
        time.sleep(0.02)
    return time.monotonic()
