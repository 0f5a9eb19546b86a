"""A server in processes of its own, which can be killed, frozen and started again."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Self

import pytest

PATIENCE_S = 30.0  # a busy machine needs long to start something
TONE_HZ = 440


class Process:
    """A program with everything that it starts; one group, to be signalled as one."""

    def __init__(self, command: Sequence[str | Path], log: Path, stdin: int | None = subprocess.DEVNULL) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command], stdin=stdin, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Of the program itself; also the number of its group."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the program itself is still there."""
        return self._process.poll() is None

    @property
    def stdin(self) -> IO[bytes]:
        """Where it reads, if it was started with a pipe."""
        assert self._process.stdin is not None
        return self._process.stdin

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, if there is one left."""
        if self._process.returncode is None or number == signal.SIGKILL:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal and wait for the end; one that does not heed it is killed."""
        self.send_signal(number)
        try:
            self._process.wait(2.0 if number != signal.SIGKILL else PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGKILL)
            self._process.wait(PATIENCE_S)
        self.send_signal(signal.SIGKILL)  # whoever of the group is left
        if self._process.stdin is not None:
            self._process.stdin.close()


class Server(ABC):
    """A server of audio; starts with the `with` block, or by `start`.

    Attributes:
        port: on 127.0.0.1, the same over all starts.
        uri: what a listener opens.
    """

    needs: Sequence[str] = ()  # programs; a test is skipped where one is absent

    def __init__(self) -> None:
        lacking = self.lacking()
        if lacking:
            message = f"needs {', '.join(lacking)}; .ci/run names the packages"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="glatd-server-"))
        self.processes: list[Process] = []

    def lacking(self) -> list[str]:
        """Which of `needs` this machine does not have."""
        return [program for program in self.needs if shutil.which(program) is None]

    @property
    @abstractmethod
    def uri(self) -> str:
        """What a listener opens."""

    @abstractmethod
    def commands(self) -> None:
        """Start the processes with `run`, each when the one before is ready."""

    def start(self) -> None:
        """Start it and wait until a listener would be served."""
        assert not self.processes, "it runs already"
        try:
            self.commands()
        except BaseException:
            self.kill()
            raise

    def run(self, command: Sequence[str | Path], stdin: int | None = subprocess.DEVNULL) -> Process:
        """Start one process more; its output goes to a file of the server's folder."""
        process = Process(command, self.folder / f"{Path(command[0]).name}.log", stdin)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End it as an administrator would: listeners are told."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; nobody is told, but by the kernel closing its sockets."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port, after `stop` or `kill` or from running."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let all of it hang: its sockets stay open, nothing comes."""
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGCONT)
            process.end(number)
        self.processes.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_for(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until `ready`; the test fails with what the processes said if one ends before."""
        until = time.monotonic() + PATIENCE_S
        while not ready():
            if time.monotonic() > until or not all(process.runs for process in self.processes):
                said = "\n".join(process.log.read_text(errors="replace")[-1500:] for process in self.processes)
                pytest.fail(f"{type(self).__name__}: {what} did not come\n{said}")
            time.sleep(0.02)

    def wait_for_port(self) -> None:
        """Wait until someone listens at the TCP port."""
        self.wait_for(lambda: answers(self.port), f"port {self.port}")


def free_port() -> int:
    """An even port that nobody has, for TCP and UDP, and the next one too (RTP wants a pair).

    Not one that the kernel gives to clients: it has to stay free while the server is down.
    """
    for _ in range(100):
        port = random.randrange(20_000, 32_000, 2)
        if all(_is_free(kind, number) for kind in _KINDS for number in (port, port + 1)):
            return port
    raise AssertionError("no free port")


_KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Whether someone accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def listens(port: int, udp: bool = False) -> bool:
    """Whether a socket is bound there, seen without connecting: some servers serve but once."""
    table = Path("/proc/net/udp" if udp else "/proc/net/tcp").read_text().splitlines()[1:]
    rows = [row.split() for row in table]
    return any(int(row[1].rpartition(":")[2], 16) == port and row[3] in ("0A", "07") for row in rows)


def ffmpeg(sound: Path | None, *output: str | Path, video: bool = False) -> list[str | Path]:
    """A command that plays `sound` in a loop, or a tone of 440 Hz, in real time into `output`."""
    command: list[str | Path] = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning", "-re"]
    if sound is None:
        command += ["-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000"]
    else:
        command += ["-stream_loop", "-1", "-i", sound]
    if video:
        command += ["-f", "lavfi", "-re", "-i", "testsrc=size=160x120:rate=10"]
    return [*command, *output]
