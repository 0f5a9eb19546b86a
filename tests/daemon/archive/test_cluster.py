"""Two Ray nodes on this machine: the rows are those of one machine, also when workers and a whole node are killed."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.daemon.archive.tables import archive, everything, rows, started, until
from tests.daemon.sounds import RATE, noise, write_wav

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray; make test-ray installs it"),
]
PATIENCE_S = 300.0
TINY = ("--part-hours", "0.0005")
# Loopback only, no dashboard, no telemetry, and as little memory as Ray can do with.
NODE = ["--node-ip-address", "127.0.0.1", "--num-cpus", "1", "--object-store-memory", "100000000", "--block"]


@dataclass
class Cluster:
    """A head and one more node, as `ray start` makes them."""

    address: str
    head: "subprocess.Popen[bytes]"
    other: "subprocess.Popen[bytes]"

    def workers(self) -> list[int]:
        """Actors of glatd's on both nodes."""
        return [
            pid for node in (self.head, self.other) for pid in below(node.pid) if title(pid).startswith(b"ray::RayWo")
        ]


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


def end(node: "subprocess.Popen[bytes]") -> None:
    """All of a node, at once."""
    for pid in [*below(node.pid), node.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.wait()


def start(*arguments: str) -> "subprocess.Popen[bytes]":
    command = [str(Path(sys.executable).with_name("ray")), "start", *arguments, *NODE]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Nodes of one core each."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    # Ray's sockets lie there, and their paths may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        head = start("--head", "--port", port, "--include-dashboard", "false", "--temp-dir", folder)
        nodes = [head]
        try:
            until(lambda: any(b"raylet" in title(pid) for pid in below(head.pid)), "head", PATIENCE_S)
            other = start("--address", f"127.0.0.1:{port}")
            nodes.append(other)
            until(lambda: any(b"raylet" in title(pid) for pid in below(other.pid)), "node", PATIENCE_S)
            yield Cluster(f"127.0.0.1:{port}", head, other)
        finally:
            for node in nodes:
                end(node)


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


def test_killed_workers_and_a_killed_node_change_no_row(
    cluster: Cluster, folder: Path, single: Path, low_rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(folder, "--out", out, "--rules", low_rules, "--ray", cluster.address, *TINY)
    until(lambda: len(rows(out, "inputs")) >= 2 if list(out.glob("inputs/*.parquet")) else False, "rows", PATIENCE_S)
    first = set(cluster.workers())
    assert len(first) == 2  # one a node
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    until(lambda: set(cluster.workers()) - first, "worker in the place of the killed ones", PATIENCE_S)
    end(cluster.other)
    printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3 and "Traceback" not in errors, errors
    assert "1 bad" in printed
    assert everything(out) == everything(single)
    assert (out / "bad.jsonl").read_text() == (single / "bad.jsonl").read_text()


def test_ctrl_c_on_a_cluster_and_on_with_one_machine(
    cluster: Cluster, folder: Path, single: Path, low_rules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(folder, "--out", out, "--rules", low_rules, "--ray", cluster.address, *TINY)
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
