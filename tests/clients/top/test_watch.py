"""`glatd top` beside a daemon."""

import signal
import time
from pathlib import Path

from tests.daemon.processes import PATIENCE_S, free_endpoint, glatd, running
from tests.daemon.sounds import noise, write_wav
from tests.servers.pcm import PcmTcp


def test_a_page_of_a_daemon_that_runs(tmp_path: Path) -> None:
    publish = free_endpoint()
    config = tmp_path / "glatd.toml"
    config.write_text('node = "edge-1"\nstatus_seconds = 1.0\n')
    sound = write_wav(tmp_path / "noise.wav", noise(3 * 48_000, 1), 48_000)
    with (
        PcmTcp(sound) as server,
        running(
            "run", "--publish", publish, "--config", config, "--source", f"yard={server.uri}", "--format", "jsonl"
        ) as daemon,
    ):
        daemon.wait_for(lambda message: message["type"] == "tags")
        page = glatd("top", publish, "--once")
        assert page.returncode == 0 and page.stderr == ""
        lines = page.stdout.splitlines()
        assert lines[0].startswith("edge-1  1 of 1 live") and any(line.startswith("yard") for line in lines)
        assert "\033" not in page.stdout and all(len(line) <= 80 for line in lines)
        with running("top", publish) as pages:
            until = time.monotonic() + PATIENCE_S
            while not pages.lines and time.monotonic() < until:
                time.sleep(0.2)
            assert pages.lines[0].startswith("edge-1")
            assert pages.end(signal.SIGTERM) == 0


def test_an_endpoint_that_cannot_be_is_told_in_a_line() -> None:
    told = glatd("top", "nowhere", "--once")
    assert told.returncode == 2 and len(told.stderr.splitlines()) == 1 and "nowhere" in told.stderr
