"""What a soak looks at: the process from outside, and what its messages say."""

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """A process and its children at one moment."""

    second: float  # of the soak
    memory_mb: float  # resident, of the daemon's own process
    children_mb: float  # resident, of its children
    threads: int
    files: int  # open file descriptors
    cpu_s: float  # of all of them so far
    children: int


def sample(pid: int, began: float) -> Sample:
    """Look at a process."""
    children = [int(text) for text in _children(pid)]
    own = Path(f"/proc/{pid}")
    return Sample(
        round(time.monotonic() - began, 1),
        _resident(pid),
        round(sum(_resident(child) for child in children), 1),
        len(os.listdir(own / "task")),
        len(os.listdir(own / "fd")),
        round(sum(_cpu(one) for one in (pid, *children)), 1),
        len(children),
    )


def _children(pid: int) -> list[str]:
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            found += Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except OSError:
            continue
    return found


def _resident(pid: int) -> float:
    try:
        return round(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    except OSError:
        return 0.0


def _cpu(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Ledger:
    """The books of one stream, from its messages alone."""

    windows: int = 0
    position: int = 0  # end of the last window, in samples
    in_gaps: int = 0  # samples
    gaps: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    state: str = ""
    status: dict[str, Any] = field(default_factory=dict)  # the last one
    trouble: list[str] = field(default_factory=list)  # what must not be
    gap_end: int = 0
    # (second of the stream, UNIX time of its sample 0 by the message): drift and every misplacement show in it
    offsets: list[tuple[float, float]] = field(default_factory=list)
    worst_late_ms: float = 0.0

    def take(self, message: dict[str, Any], now: float) -> None:
        """A message of this stream."""
        kind = message["type"]
        if kind == "tags":
            if message["seq"] != self.windows:
                self.trouble.append(f"window {message['seq']} follows {self.windows - 1}")
            if message["end"] <= self.position:
                self.trouble.append(f"window ends at {message['end']}, the one before at {self.position}")
            self.windows, self.position = message["seq"] + 1, message["end"]
            second = message["end"] / message["rate"]
            self.offsets.append((second, datetime.fromisoformat(message["time"]).timestamp() - second))
        elif kind == "gap":
            if message["start"] < self.gap_end or message["end"] <= message["start"]:
                self.trouble.append(f"gap {message['start']} to {message['end']} after one to {self.gap_end}")
            self.gap_end = message["end"]
            self.in_gaps += message["end"] - message["start"]
            self.gaps += 1
            self.causes[message["cause"].split(":")[0][:40]] += 1
        elif kind == "status":
            if message["lost"] != self.in_gaps:
                self.trouble.append(f"status says {message['lost']} samples lost, gaps hold {self.in_gaps}")
            self.worst_late_ms = max(self.worst_late_ms, message["late_ms"])
            if message["state"] != self.state:
                self.states[message["state"]] += 1
            self.state, self.status = message["state"], message

    def summary(self) -> dict[str, Any]:
        """For the report."""
        samples, lost = self.status["samples"], self.status["lost"]
        if not 0 <= samples + lost - self.position < 20 * 32_000:
            self.trouble.append(f"{samples} samples and {lost} lost, but the last window ends at {self.position}")
        return {
            "windows": self.windows,
            "hours": round((samples + lost) / 32_000 / 3600, 3),
            "lost_s": round(lost / 32_000, 2),
            "gaps": self.gaps,
            "causes": dict(self.causes),
            "states": dict(self.states),
            "connections": self.status["connections"],
            "repeated": self.status["repeated"],
            "skipped": self.status["skipped"],
            "dropped": self.status["dropped"],
            "drift_ppm": self.status["drift_ppm"],
            "moved_ms_per_h": moved_ms_per_h(self.offsets),
            "worst_late_ms": self.worst_late_ms,
            "trouble": self.trouble[:10],
        }


def moved_ms_per_h(offsets: Sequence[tuple[float, float]]) -> float | None:
    """By how many ms an hour the stream's dates moved against its samples: medians of early and of late windows.

    The sources keep this machine's time, so a sample that was lost without a word, or dated wrongly, shows here.
    """
    part = max(1, min(200, len(offsets) // 4))
    if len(offsets) < 40:
        return None
    early, late = (median(offset for _, offset in some) for some in (offsets[part : 2 * part], offsets[-part:]))
    hours = (offsets[-1][0] - offsets[part][0]) / 3600
    return round(1000 * (late - early) / hours, 2)


class Daemon:
    """glatd as a process whose messages are read, added up and forgotten."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.ledgers: dict[str, Ledger] = {}
        self.nodes: list[dict[str, Any]] = []
        self.began = time.monotonic()
        self._log = log.open("w")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, env=environment)
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            now = time.monotonic() - self.began
            message = json.loads(line)
            with self._lock:
                if message["type"] == "node":
                    self.nodes.append({"second": round(now), **message})
                else:
                    self.ledgers.setdefault(message["stream"], Ledger()).take(message, now)

    def states(self) -> dict[str, str]:
        """The state of every stream now."""
        with self._lock:
            return {name: ledger.state for name, ledger in self.ledgers.items()}

    def stop(self) -> int:
        """End it as systemd would, and read what is left."""
        self.process.terminate()
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()
        return code


def flatness(samples: Sequence[Sample]) -> dict[str, Any]:
    """How memory, threads and files grew after the first tenth: medians of the second tenth and of the last."""
    tenth = max(1, len(samples) // 10)

    def middle(name: str, part: Sequence[Sample]) -> float:
        values = sorted(getattr(one, name) for one in part)
        return float(values[len(values) // 2])

    grown = {}
    for name in ("memory_mb", "children_mb", "threads", "files", "children"):
        before, after = middle(name, samples[tenth : 2 * tenth]), middle(name, samples[-tenth:])
        grown[name] = {"from": before, "to": after, "percent": round(100 * (after / before - 1), 2) if before else 0.0}
    return grown
