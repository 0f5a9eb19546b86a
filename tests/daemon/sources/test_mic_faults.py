"""What happens to microphones, on a real sound server, followed again and again as the daemon does."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.daemon.processes import Running
from tests.daemon.sounds import write_wav
from tests.virtual_mic import RATE, VirtualMic

pytestmark = pytest.mark.device

FOLLOW = Path(__file__).with_name("follow.py")
PLACES = "front-left,front-right,rear-left,rear-right"
A, B, M = "mic:vmic_a", "mic:vmic_b", "mic:vmic_m"


class Follower(Running):
    """A process that follows sources; see follow.py."""

    def __init__(self, mic: VirtualMic, *uris: str) -> None:
        super().__init__([sys.executable, str(FOLLOW), *uris], mic.environment, subprocess.PIPE)
        self._seen: dict[tuple[str, str], int] = {}

    def next(self, uri: str, what: str) -> dict[str, Any]:
        """The next time that this happens to a source."""
        turn = self._seen[uri, what] = self._seen.get((uri, what), 0) + 1
        left = [turn]

        def is_it(message: dict[str, Any]) -> bool:
            left[0] -= (message.get("uri", ""), message["what"]) == (uri, what)
            return left[0] == 0

        return self.wait_for(is_it, 40.0)

    def command(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def count(self) -> dict[str, int]:
        """Threads, descriptors, resident kB and child processes now."""
        self.command("count")
        return self.next("", "count")

    def finish(self) -> None:
        """Stop everything; the process ends well and has nothing to complain of."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.end() == 0
        assert self.errors == []


@contextmanager
def following(mic: VirtualMic, *uris: str) -> Iterator[Follower]:
    follower = Follower(mic, *uris)
    try:
        yield follower
    finally:
        follower.process.kill()
        follower.end()
        for stream in (follower.process.stdin, follower.process.stdout, follower.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def mic() -> Iterator[VirtualMic]:
    with VirtualMic("vmic_a", "vmic_b") as virtual:
        yield virtual


@pytest.fixture
def many() -> Iterator[VirtualMic]:
    """A microphone of four channels."""
    with VirtualMic("vmic_m") as virtual:
        virtual.remove("vmic_m")
        virtual.add("vmic_m", PLACES)
        yield virtual


def wait_until(true: Any, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_channels_of_one_microphone_are_streams_that_share_it(many: VirtualMic, tmp_path: Path) -> None:
    uris = f"{M}?channel=2", f"{M}?channel=4", M, "mic:VMIC_M"  # the last is the same by another name
    levels = [0.125, 0.25, 0.375, 0.5]
    sound = write_wav(tmp_path / "four.wav", np.tile(np.array(levels, np.float32), (RATE, 1)), RATE)
    with following(many, *uris) as follower:
        formed = [follower.next(uri, "live") for uri in uris]
        assert [(live["rate"], live["channels"]) for live in formed] == [(RATE, n) for n in (1, 1, 4, 4)]
        wait_until(lambda: len(many.listeners()) == 1)
        many.play(sound, "vmic_m", PLACES)
        follower.command(f"stop {uris[0]}")  # nobody else is disturbed
        assert follower.next(uris[0], "stopped")["late"] < 1.0
        many.play(sound, "vmic_m", PLACES)
        assert len(many.listeners()) == 1
        follower.finish()
        ended = [follower.next(uri, "ended") for uri in uris]
        assert [one["peaks"] for one in ended] == [[0.25], [0.5], levels, levels]
        assert all(one["error"] == "" and one["jumps"] == [] for one in ended)
        assert ended[0]["given"] + RATE // 2 < ended[1]["given"]
        assert many.listeners() == []


def test_a_channel_that_is_not_there_is_told(many: VirtualMic) -> None:
    with following(many, f"{M}?channel=5", M) as follower:
        assert (
            "there is no channel 5; channel= must be from 1 to 4" in follower.next(f"{M}?channel=5", "ended")["error"]
        )
        follower.next(M, "live")
        follower.finish()
        assert follower.next(M, "ended")["error"] == ""


def test_a_channel_that_the_sound_server_mixes_is_refused(many: VirtualMic) -> None:
    many.remove("vmic_m")
    many.add("vmic_m", "aux0,aux1,aux2")
    with following(many, f"{M}?channel=2", M) as follower:
        error = follower.next(f"{M}?channel=2", "ended")["error"]
        assert "the sound server mixes its channels (aux0,aux1,aux2) into others" in error
        assert follower.next(M, "live")["channels"] == 3
        follower.finish()


def test_an_unplugged_microphone_is_not_replaced_by_another(mic: VirtualMic) -> None:
    with following(mic, A, B) as follower:
        follower.next(A, "live")
        follower.next(B, "live")
        began = time.monotonic()
        mic.remove("vmic_a")
        error = follower.next(A, "ended")["error"]
        assert time.monotonic() - began < 10.0  # 0.1 s where nothing else runs
        assert "'vmic_a' went away and the sound server moved its stream to 'vmic_b.monitor'" in error
        for _ in range(3):
            ended = follower.next(A, "ended")
            assert "'vmic_a' does not open" in ended["error"] and ended["given"] == 0
        mic.add("vmic_a")
        follower.next(A, "live")
        follower.finish()
        ended = follower.next(B, "ended")
        assert ended["error"] == "" and ended["jumps"] == []


def test_a_microphone_that_only_the_server_lists_goes_and_comes_by_its_name(mic: VirtualMic) -> None:
    uri = "mic:usb_yard"
    with following(mic, uri, B) as follower:
        assert "no microphone 'usb_yard'; there are: " in follower.next(uri, "ended")["error"]
        follower.next(B, "live")
        mic.add_source("usb_yard", "vmic_a")
        follower.next(uri, "live")
        mic.remove("usb_yard")
        wait_until(lambda: "went away" in follower.next(uri, "ended")["error"])
        wait_until(lambda: "no microphone 'usb_yard'" in follower.next(uri, "ended")["error"])
        follower.finish()
        ended = follower.next(B, "ended")
        assert ended["error"] == "" and ended["jumps"] == []


def test_a_sound_server_that_was_killed_and_comes_back(mic: VirtualMic) -> None:
    with following(mic, A, B) as follower:
        follower.next(A, "live")
        follower.next(B, "live")
        mic.kill()
        for uri in A, B:
            assert "went away" in follower.next(uri, "ended")["error"]
            assert "no microphone" in follower.next(uri, "ended")["error"]
        mic.start()
        follower.next(A, "live")
        follower.next(B, "live")
        follower.finish()


def test_a_sound_server_that_is_not_there_yet(mic: VirtualMic) -> None:
    mic.kill()
    with following(mic, A) as follower:
        assert "no microphone 'vmic_a'" in follower.next(A, "ended")["error"]
        mic.start()
        follower.next(A, "live")
        follower.finish()


def test_a_sound_server_that_hangs_and_goes_on(mic: VirtualMic) -> None:
    with following(mic, A, B) as follower:
        follower.next(A, "live")
        follower.next(B, "live")
        before = follower.count()
        mic.freeze()
        try:
            assert "stalled" in follower.next(A, "ended")["error"]
            assert "stalled" in follower.next(B, "ended")["error"]
            wait_until(lambda: follower.count()["children"] == 2)  # they try again
            time.sleep(1.0)
            during = follower.count()
            assert during["children"] <= 2 and during["threads"] <= before["threads"]
        finally:
            mic.thaw()
        follower.next(A, "live")
        follower.next(B, "live")
        wait_until(lambda: len(mic.listeners()) == 2)
        mic.freeze()  # and its hanging does not hold up the end of the process
        follower.finish()
        mic.thaw()


def test_a_suspended_microphone_disturbs_no_other(mic: VirtualMic) -> None:
    with following(mic, A, B) as follower:
        follower.next(A, "live")
        follower.next(B, "live")
        mic.suspend("vmic_a", True)
        assert "'vmic_a' stalled: no audio for 2 s" in follower.next(A, "ended")["error"]
        mic.suspend("vmic_a", False)
        follower.next(A, "live")
        follower.finish()
        ended = follower.next(B, "ended")
        assert ended["error"] == "" and ended["jumps"] == [] and ended["given"] > 2 * RATE


def test_a_recording_process_that_crashes_is_told_and_replaced(mic: VirtualMic) -> None:
    with following(mic, A, B) as follower:
        follower.next(A, "live")
        follower.next(B, "live")
        os.kill(mic.listeners()[0], signal.SIGSEGV)
        wait_until(lambda: any("its recording ended (exit code -11)" in line for line in follower.lines))
        wait_until(lambda: sum('"live"' in line for line in follower.lines) == 3)
        follower.finish()


def test_a_daemon_that_is_killed_leaves_nobody_recording(mic: VirtualMic) -> None:
    with following(mic, A) as follower:
        follower.next(A, "live")
        wait_until(lambda: len(mic.listeners()) == 1)
        follower.process.kill()
        wait_until(lambda: mic.listeners() == [])


CYCLES = """
import json, os, sys, threading
from pathlib import Path
from glatd.daemon.sources.uri import parse_source
from glatd.errors import SourceError

def count():
    resident = int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])
    return threading.active_count(), len(os.listdir("/proc/self/fd")), resident

told = []
for cycle in range(int(sys.argv[1])):
    source = parse_source(sys.argv[2 + cycle % 2])
    try:
        blocks = source.blocks()
        next(blocks)
        blocks.close()
    except SourceError:
        pass
    if cycle >= 4:
        told.append(count())
print(json.dumps(told))
"""


@pytest.mark.parametrize("cycles", [16, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(400)])])
def test_opening_again_and_again_leaves_nothing_behind(mic: VirtualMic, cycles: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CYCLES, str(cycles), A, "mic:nowhere"],
        env=mic.environment,
        capture_output=True,
        text=True,
        timeout=380,
        check=True,
    )
    assert done.stderr == ""
    counts = np.array(json.loads(done.stdout))
    ending = 1, 2  # a thread and the two pipes of a process that is just ending
    assert (counts[:, :2].max(axis=0) <= counts[:4, :2].min(axis=0) + ending).all()
    assert counts[-4:, 2].max() < counts[:4, 2].max() * 1.02 + 256  # kB
