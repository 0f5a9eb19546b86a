"""Two Ray nodes on this machine: the rows are those of one machine, also when workers and a whole node are killed."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.daemon.archive.tables import archive, everything, started, until
from tests.daemon.archive.two_nodes import LOOPBACK
from tests.daemon.sounds import RATE, noise, write_wav

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray; make test-ray installs it"),
]
PATIENCE_S = 600.0
TINY = ("--part-hours", "0.0005")


class Nodes:
    """A cluster that runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.address = self.line()

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill_one(self) -> None:
        """Kill the second node with all that runs on it."""
        assert self.process.stdin is not None
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        assert self.line() == "killed"

    def workers(self) -> set[int]:
        """Actors of glatd's on both nodes."""
        return {pid for pid in below(self.process.pid) if title(pid).startswith(b"ray::RayWorker")}


def title(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def below(top: int) -> list[int]:
    """All processes that a process has started, and those that they have."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(folder.name))
    found, stack = [], [top]
    while stack:
        inner = parents.get(stack.pop(), [])
        found += inner
        stack += inner
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    """Two nodes of one core each. The last test kills one."""
    # Ray's sockets lie there, and their paths may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "tests.daemon.archive.two_nodes", folder]
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            yield Nodes(process)
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.wait(60)
            process.stdout.close()
        finally:
            for pid in below(process.pid) if process.poll() is None else []:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the command too, which would look for the nodes at this machine's own address."""
    for name, value in LOOPBACK.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight short recordings, a long one, and a bad one."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(8):
        write_wav(folder / f"{number:02d}.wav", noise(RATE + 4000 * number, number))
    write_wav(folder / "long.wav", noise(90 * RATE, 9))
    (folder / "bad.flac").write_text("no audio")
    return folder


@pytest.fixture(scope="module")
def single(folder: Path, low_rules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one machine makes of them."""
    out = tmp_path_factory.mktemp("single") / "out"
    assert archive(folder, "--out", out, "--rules", low_rules, seconds=PATIENCE_S).returncode == 3
    return out


def test_ctrl_c_on_a_cluster_and_on_with_one_machine(
    cluster: Nodes, folder: Path, single: Path, low_rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with started(folder, "--out", out, "--rules", low_rules, "--ray", cluster.address, *TINY) as process:
        until(lambda: list(out.glob("inputs/*.parquet")), "rows", PATIENCE_S)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130 and "the same command goes on" in printed and "Traceback" not in errors
    until(lambda: not cluster.workers(), "end of the workers", PATIENCE_S)
    assert archive(folder, "--out", out, "--rules", low_rules, *TINY, seconds=PATIENCE_S).returncode == 3
    assert everything(out) == everything(single)


def test_an_address_without_a_cluster(folder: Path, tmp_path: Path) -> None:
    done = archive(folder, "--out", tmp_path / "out", "--ray", "127.0.0.1:1", seconds=PATIENCE_S)
    assert done.returncode == 2 and "--ray 127.0.0.1:1: no Ray cluster can be joined there" in done.stderr
    done = archive(folder, "--out", tmp_path / "out", "--ray", "ray://127.0.0.1:1", seconds=PATIENCE_S)
    assert done.returncode == 2 and "is Ray's client" in done.stderr


def test_killed_workers_and_a_killed_node_change_no_row(
    cluster: Nodes, folder: Path, single: Path, low_rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with started(folder, "--out", out, "--rules", low_rules, "--ray", cluster.address, *TINY) as process:
        until(lambda: len(list(out.glob("inputs/*.parquet"))) >= 2, "rows", PATIENCE_S)
        first = cluster.workers()
        assert len(first) == 2  # one a node
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        until(lambda: cluster.workers() - first, "worker in the place of the killed ones", PATIENCE_S)
        cluster.kill_one()
        printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3 and "Traceback" not in errors, errors
    assert "1 bad" in printed
    assert everything(out) == everything(single)
    assert (out / "bad.jsonl").read_text() == (single / "bad.jsonl").read_text()
