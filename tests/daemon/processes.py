"""glatd as others start it: a process with its own streams, signals and exit code."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GLATD = [sys.executable, "-m", "glatd.cli"]
PATIENCE_S = 60.0  # for what has no limit of its own: machines that test are busy


def free_endpoint() -> str:
    """A TCP endpoint that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def glatd(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*GLATD, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def messages(lines: str) -> list[dict[str, Any]]:
    """JSON lines."""
    return [json.loads(line) for line in lines.splitlines()]


def without_clock(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs from run to run: the wall clock, and the ids that are made of it."""
    other = ("time", "session", "late_ms", "id", "onset_at", "offset_at")
    return {key: value for key, value in message.items() if key not in other}


class Running:
    """A command that runs; its lines are read as they come."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str] | None = None, stdin: int | None = None
    ) -> None:
        self.process = subprocess.Popen(
            command,
            env=environment or os.environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.arrivals: list[float] = []  # monotonic seconds of each line
        self._came = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=pair)
            for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._came:
                lines.append(line.rstrip("\n"))
                if lines is self.lines:
                    self.arrivals.append(time.monotonic())
                self._came.notify_all()

    def wait_for(self, found: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE_S) -> dict[str, Any]:
        """The first message on stdout that fits."""
        until, seen = time.monotonic() + seconds, 0
        with self._came:
            while True:
                for line in self.lines[seen:]:
                    message: dict[str, Any] = json.loads(line)
                    if found(message):
                        return message
                seen = len(self.lines)
                left = until - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._came.wait(0.2)):
                    raise AssertionError(f"not seen in {seconds} s; {self.lines[-3:]}, {self.errors}")
                self._came.wait(min(left, 0.5))

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, wait for the end, and give the exit code."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Everything on stdout."""
        return messages("\n".join(self.lines))


@contextmanager
def running(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A glatd command that is killed in the end if it still runs."""
    with started([*GLATD, *map(str, arguments)], environment) as process:
        yield process


@contextmanager
def started(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Any command, killed in the end if it still runs."""
    running_ = Running(command, environment)
    try:
        yield running_
    finally:
        running_.process.kill()
        running_.end()
        for stream in (running_.process.stdout, running_.process.stderr):
            assert stream is not None
            stream.close()
