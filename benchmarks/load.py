"""How many real-time streams a machine holds, and what happens at twice that number.

The streams are raw PCM over TCP, sent in pieces of 20 ms by a process of its own (feeder.py). A window is late by
the time from when its newest sample was sent until a subscriber, another process, has its tags. So many streams
are held when that is less than a hop for 99 of 100 windows with everything looked at (the overload policy off).
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import zmq

from benchmarks.daemon import GLATD, cpu_seconds, status_mb
from benchmarks.feeder import RATE
from benchmarks.machine import described, load_average
from benchmarks.progress import say
from benchmarks.sounds import RATE as SOUND_RATE
from benchmarks.sounds import sound
from benchmarks.untrained import untrained_engine
from glatd.daemon.settings import Settings
from glatd.engines.load import load_engine

HOP = 0.96  # s
POSITIONS = 32_000  # Hz, of `end`
LOOKAHEAD = 192  # samples that a window's last frame waits for
SOUND_S = 20.0  # in a loop
WARM_S = 12.0  # before it counts: a window is filled after 10 s
DOUBLE_S = 60.0  # at twice the number
START_S = 120.0  # for the first window of every stream
MOST = 512


@dataclass(slots=True)
class Run:
    """What a subscriber saw."""

    sent: dict[int, float] = field(default_factory=dict)  # by stream: monotonic s at which position 0 was sent
    late: list[tuple[float, int, float]] = field(default_factory=list)  # (arrival, stream, s)
    nodes: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)  # (arrival, s)


class Feeder:
    """The process that sends."""

    def __init__(self, count: int, pcm: Path, run: Run) -> None:
        command = [sys.executable, "-S", "-m", "benchmarks.feeder", str(count), str(pcm)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent
        )
        assert self._process.stdout is not None
        self.ports = [int(port) for port in self._process.stdout.readline().split()]
        self._run = run
        self.cpu, self.latest = 0.0, 0.0  # s, once it has ended
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            first, *rest = line.split()
            if len(rest) == 2:
                self._run.sent[int(first)] = float(rest[0]) - float(rest[1])
            else:
                self.cpu, self.latest = float(first), float(rest[0])

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._reader.join(10)


def subscribe(endpoint: str, run: Run, stopped: threading.Event) -> None:
    """Note what is published until `stopped`."""
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.LINGER, 0)
        subscriber.setsockopt(zmq.RCVHWM, 0)
        for kind in ("tags/", "node/", "gap/"):
            subscriber.subscribe(kind)
        subscriber.connect(endpoint)
        while not stopped.is_set():
            if not subscriber.poll(100):
                continue
            topic, payload = subscriber.recv_multipart()
            now = time.monotonic()
            message = msgpack.unpackb(payload)
            if topic.startswith(b"tags/"):
                stream = int(message["stream"][1:])
                newest = run.sent[stream] + (message["end"] + LOOKAHEAD) / POSITIONS
                run.late.append((now, stream, now - newest))
            elif topic.startswith(b"gap/"):
                run.gaps.append((now, (message["end"] - message["start"]) / message["rate"]))
            else:
                run.nodes.append((now, message))


@contextmanager
def loaded(
    engine: Path | None, streams: int, policy: bool, threads: int, folder: Path, tables: Sequence[str] = ()
) -> Iterator[tuple[Run, int, Feeder]]:
    """A daemon under load, from when every stream has given a window; its process id.

    Args:
        tables: further lines of its configuration.
    """
    pcm = folder / "sound.pcm"
    if not pcm.exists():
        pcm.write_bytes((sound(SOUND_S * RATE / SOUND_RATE) * 32_767).astype("<i2").tobytes())
    run, stopped = Run(), threading.Event()
    feeder = Feeder(streams, pcm, run)
    endpoint = f"ipc://{folder}/published"
    lines = [f"publish = '{endpoint}'", "status_seconds = 2.0", f"overload = {str(policy).lower()}"]
    lines += [f"threads = {threads}", *tables]
    for number, port in enumerate(feeder.ports):
        uri = f"tcp://127.0.0.1:{port}?rate={RATE}&format=s16le&channels=1"
        lines += ["[[source]]", f"name = 's{number}'", f"uri = '{uri}'"]
    config = folder / "glatd.toml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    chosen = ["--engine", str(engine)] if engine else []
    daemon = subprocess.Popen([*GLATD, "run", "--config", str(config), *chosen], stderr=subprocess.DEVNULL)
    subscriber = threading.Thread(target=subscribe, args=(endpoint, run, stopped))
    subscriber.start()
    try:
        until = time.monotonic() + START_S
        while len({stream for _, stream, _ in run.late}) < streams and time.monotonic() < until:
            if daemon.poll() is not None:
                raise RuntimeError(f"glatd run ended with {daemon.returncode}")
            time.sleep(0.1)
        yield run, daemon.pid, feeder
    finally:
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(20)
        stopped.set()
        subscriber.join(20)
        feeder.close()


def percentile(values: list[float], share: float) -> float:
    """The least value that so large a share is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


def attempt(
    engine: Path | None,
    streams: int,
    seconds: float,
    threads: int = 0,
    policy: bool = False,
    pcm: Path | None = None,
) -> dict[str, Any]:
    """One number of streams, after warm-up.

    Args:
        pcm: what is sent, over and over; bursts of noise and a tone when None.
    """
    before = load_average()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if pcm is not None:
            (folder / "sound.pcm").symlink_to(pcm)
        run, pid, feeder = stack.enter_context(loaded(engine, streams, policy, threads, folder))
        time.sleep(WARM_S)
        began, cpu, fed = time.monotonic(), cpu_seconds(pid), cpu_seconds(feeder.pid)
        memory = [status_mb(pid)["VmRSS"]]
        time.sleep(seconds)
        ended = time.monotonic()
        cpu, fed = ((now - then) / (ended - began) for now, then in
                    ((cpu_seconds(pid), cpu), (cpu_seconds(feeder.pid), fed)))  # fmt: skip
        memory.append(status_mb(pid)["VmRSS"])
        levels = [message["level"] for at, message in run.nodes if began <= at <= ended]
        late = [value for at, _, value in run.late if began <= at <= ended]
        lost = sum(value for at, value in run.gaps if began <= at <= ended)
    expected = streams * (ended - began) / HOP
    p99 = percentile(late, 0.99)
    return {
        "streams": streams,
        "late_p50_ms": round(1000 * percentile(late, 0.5), 1),
        "late_p99_ms": round(1000 * p99, 1) if late else None,
        "windows_share": round(len(late) / expected, 4),
        "lost_s": round(lost, 3),
        "cpu_cores": round(cpu, 3),
        "feeder_cores": round(fed, 3),
        "resident_mb": [round(value, 1) for value in memory],
        "level": max(levels, default=0),
        "load_before": before,
        # Half a hop's worth of windows may be on either side of the marks.
        "held": p99 < HOP and lost == 0 and len(late) > expected - streams - 1,
    }


def most_streams(
    engine: Path | None, first: int, seconds: float, exact: float, threads: int
) -> tuple[int, list[dict[str, Any]]]:
    """The greatest number that is held, to a share of `exact`, and every attempt."""
    attempts: list[dict[str, Any]] = []
    low, high = 0, MOST + 1  # held, not held
    streams = first
    while high - low > max(1, exact * high):
        found = attempt(engine, streams, seconds, threads)
        attempts.append(found)
        say({key: found[key] for key in ("streams", "late_p99_ms", "cpu_cores", "held")})
        if found["held"]:
            low = streams
        else:
            high = streams
        if high > MOST:  # as many as the cores would bear, by what these cost
            cost = max(found["cpu_cores"], 0.05) / streams
            streams = min(MOST, max(low + 1, min(2 * low, int(0.95 * (os.cpu_count() or 1) / cost))))
        else:
            streams = (low + high) // 2
    return low, attempts


def overloaded(engine: Path | None, streams: int, seconds: float, threads: int) -> dict[str, Any]:
    """Twice too many, with the policy: its steps from the first window on, and what became of memory and queues."""
    before = load_average()
    say(f"{streams} streams, twice as many, for {seconds:g} s")
    with (
        tempfile.TemporaryDirectory() as name,
        loaded(engine, streams, True, threads, Path(name)) as (run, pid, feeder),
    ):
        began = time.monotonic()
        fed = cpu_seconds(feeder.pid)
        memory = []
        while time.monotonic() < began + seconds:
            time.sleep(min(5.0, seconds))
            memory.append(round(status_mb(pid)["VmRSS"], 1))
        ended = time.monotonic()
        fed = (cpu_seconds(feeder.pid) - fed) / (ended - began)
        nodes, late, gaps = list(run.nodes), list(run.late), list(run.gaps)
    steps: list[dict[str, Any]] = []
    for at, message in nodes:
        if not steps or steps[-1]["policy"] != message["policy"]:
            steps.append({"at_s": round(at - began, 1), "policy": message["policy"], "level": message["level"]})
    last = max((message for _, message in nodes), key=lambda message: message["uptime"])
    half = [value for at, _, value in late if at >= (began + ended) / 2]
    return {
        "streams": streams,
        "seconds": seconds,
        "steps": steps,
        "resident_mb": memory,
        "late_p50_ms": round(1000 * percentile(half, 0.5), 1),
        "late_p99_ms": round(1000 * percentile(half, 0.99), 1),
        "looked_at": last["windows"],
        "skipped": last["skipped"],
        "dropped": last["dropped"],
        "gaps": len(gaps),
        "lost_s": round(sum(value for _, value in gaps), 2),
        "lost_share": round(sum(value for _, value in gaps) / (streams * (ended - began)), 4),
        "feeder_cores": round(fed, 3),
        "load_before": before,
    }


def measure(seconds: float, double: float, threads: int) -> dict[str, Any]:
    """MN04 (the default engine) and CNN10 (untrained: what it says does not matter here)."""
    before = load_average()
    result, settings = [], Settings(threads=threads)
    with tempfile.TemporaryDirectory() as folder:
        engines: list[tuple[str, Path | None, int, float]] = [
            ("MN04", None, 16, 0.07),
            ("CNN10", untrained_engine("cnn10", Path(folder)), 1, 0.0),
        ]
        for name, engine, first, exact in engines:
            say(f"{name}: how many streams are held")
            held, attempts = most_streams(engine, first, seconds, exact, threads)
            manifest = load_engine(engine).manifest
            result.append(
                {
                    "network": name,
                    "model": manifest.model,
                    "precision": manifest.runtime.precision,
                    "engine": manifest.hash,
                    "local": settings.local,
                    "lanes": settings.lanes,
                    "held": held,
                    "attempts": attempts,
                    "double": overloaded(engine, 2 * max(1, held), double, threads),
                }
            )
    head = described(f"python -m benchmarks load --threads {threads} --seconds {seconds:g}", before)
    return head | {"model": "see below", "hop_s": HOP, "seconds": seconds, "threads": threads, "networks": result}
