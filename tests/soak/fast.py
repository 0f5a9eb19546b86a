"""Sixteen streams for a day and a night, faster than time: what months do to memory, clocks and books.

    python -m tests.soak.fast --hours 24 --out soak.json

The sources are of this process: each gives the sound of a night (noise, now and then something loud) as fast as the
daemon takes it, but says that it came in real time by a clock that is off by some ppm; each connection ends after
some minutes, and the next begins after an outage. Everything behind the sources is the daemon's own: supervision,
resampling, rings, engine, level gate, messages.
"""

import argparse
import bisect
import datetime
import json
import os
import platform
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block
from glatd.daemon.assembly import Assembly
from glatd.daemon.memory import few_arenas
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import Source
from glatd.daemon.track import Track
from glatd.engines.load import load_engine
from glatd.errors import SourceError
from glatd.messages import Gap, Message, Status, Tags
from tests.soak.watch import Sample, flatness, sample

RATE = 32_000
BLOCK = RATE // 2
AHEAD_S = 6.0  # how far a source may be ahead of the loop; the inbox holds 10 s
NIGHT_DBFS, LOUD_DBFS = -70.0, -20.0
LOUD_EVERY_S, LOUD_S = 600, 3
GATE_DBFS = -55.0
SAMPLE_EVERY_S = 10.0


def night() -> NDArray[np.float32]:
    """Ten minutes of noise with one loud sound in it; every stream plays it in a loop, from another place on."""
    rng = np.random.default_rng(0)
    quiet = rng.standard_normal(LOUD_EVERY_S * RATE, np.float32) * np.float32(10 ** (NIGHT_DBFS / 20))
    begin = int(rng.integers(0, (LOUD_EVERY_S - LOUD_S) * RATE))
    loud = rng.standard_normal(LOUD_S * RATE, np.float32) * np.float32(10 ** (LOUD_DBFS / 20))
    quiet[begin : begin + len(loud)] += loud
    return quiet


class Night(Source):
    """A live source in its own time."""

    live: ClassVar[bool] = True

    def __init__(self, number: int, sound: NDArray[np.float32], seconds: float, connection_s: float) -> None:
        super().__init__(f"night:{number}", f"night-{number}", True)
        self.rng = random.Random(number)
        self.sound, self.seconds, self.connection_s = sound, seconds, connection_s
        self._from = self.rng.randrange(len(sound))
        self.ppm = self.rng.uniform(-100, 100)  # by which its clock is slow
        self.zero = time.monotonic()
        self.now = 0.0  # s of its own clock
        self.first: float | None = None  # s at which its first connection began
        self.given = 0  # samples
        self.begun: list[tuple[int, float]] = []  # (samples given before, s of its clock) of each connection
        self.outages = 0.0  # s
        self.connections = 0
        self.track: Track | None = None
        self.finished = threading.Event()

    def arrival(self, second: float) -> float:
        """Monotonic time at which what was made at a second of the source's clock arrives."""
        return self.zero + second * (1 + 1e-6 * self.ppm)

    def arrived(self, samples: int) -> float:
        """Monotonic time at which the last of the first so many samples that it gave arrived."""
        before, second = self.begun[bisect.bisect_left(self.begun, samples, key=lambda one: one[0]) - 1]
        return self.arrival(second + (samples - before) / RATE)

    def blocks(self) -> Iterator[Block]:
        if self.now >= self.seconds:
            self.finished.set()
            self._stopped.wait()
            return
        if self.first is None:
            self.first = self.now
        else:
            outage = self.rng.uniform(0.5, 60.0)
            self.outages += outage
            self.now += outage
        self.connections += 1
        self.begun.append((self.given, self.now))
        length = self.rng.uniform(0.5, 1.5) * self.connection_s
        for number in range(int(length * RATE / BLOCK)):
            if self._stopped.is_set():
                return
            begin = (self._from + round(self.now * RATE)) % (len(self.sound) - BLOCK)
            self.now += BLOCK / RATE
            self.given += BLOCK
            self._wait()
            samples = self.sound[begin : begin + BLOCK].reshape(-1, 1)
            yield Block(number * BLOCK, samples, RATE, self.arrival(self.now))
        raise SourceError("the connection ended; it comes back")

    def _wait(self) -> None:
        assert self.track is not None and self.first is not None
        while (
            self.now - self.first - self.track.channel.stream.position / RATE > AHEAD_S + 61.0 * self._jumping()
            and not self._stopped.is_set()
        ):
            time.sleep(0.01)

    def _jumping(self) -> bool:
        """Whether the loop has not yet seen this connection: it is behind by the outage, too."""
        assert self.track is not None
        supervisor = self.track.worker.supervisor
        return supervisor is not None and supervisor.connections < self.connections


class Books:
    """A sink that adds up."""

    def __init__(self, nights: dict[str, Night], offset: float) -> None:
        self.nights, self._offset = nights, offset
        self.in_gaps = dict.fromkeys(nights, 0)
        self.last: dict[str, Status] = {}
        self.windows = 0
        self.quiet = 0
        self.causes: set[str] = set()
        self.errors_ms: dict[str, list[float]] = {name: [] for name in nights}
        self.trouble: list[str] = []
        self._ends = dict.fromkeys(nights, 0)
        self._gap_ends = dict.fromkeys(nights, 0)

    def __call__(self, message: Message) -> None:
        if isinstance(message, Tags):
            self.windows += 1
            self.quiet += message.quiet
            if message.end <= self._ends[message.stream]:
                self.trouble.append(f"{message.stream}: a window ends at {message.end} again")
            self._ends[message.stream] = message.end
            night = self.nights[message.stream]
            in_gaps = self.in_gaps[message.stream]
            if message.seq % 100 == 99 and message.end >= self._gap_ends[message.stream]:
                said = datetime.datetime.fromisoformat(message.time).timestamp() - self._offset
                self.errors_ms[message.stream].append(1000 * (said - night.arrived(message.end - in_gaps)))
        elif isinstance(message, Gap):
            self.in_gaps[message.stream] += message.end - message.start
            self._gap_ends[message.stream] = message.end
            self.causes.add(message.cause)
        elif isinstance(message, Status):
            if message.lost != self.in_gaps[message.stream]:
                self.trouble.append(f"{message.stream}: {message.lost} lost, {self.in_gaps[message.stream]} in gaps")
            self.last[message.stream] = message


def soak(hours: float, streams: int, connection_s: float, progress: Path | None = None) -> dict[str, Any]:
    """Run it; the report."""
    few_arenas()
    sound = night()
    nights = [Night(number, sound, 3600 * hours, connection_s) for number in range(1, streams + 1)]
    settings = Settings(node="soak", publish="", gate=GATE_DBFS, overload=False, status_seconds=2.0)
    assembly = Assembly(settings, load_engine())
    tracks = []
    for one in nights:
        one.track = assembly.track(one, 1.0, SourceSettings(one.uri, one.name))
        tracks.append(one.track)
    books = Books({one.name: one for one in nights}, assembly.clock.offset)
    loop = assembly.loop(tracks, [books], live=True)
    samples: list[Sample] = []
    began = time.monotonic()

    def watch() -> None:
        told = 0.0
        while not all(one.finished.is_set() for one in nights) and not loop.stopping:
            if time.monotonic() - told >= SAMPLE_EVERY_S:
                told = time.monotonic()
                samples.append(sample(os.getpid(), began))
                if progress is not None:
                    least = min(one.now for one in nights) / 3600
                    progress.write_text(f"{least:.2f} of {hours:g} h after {told - began:.0f} s, {samples[-1]}\n")
            time.sleep(0.2)
        time.sleep(1.0)
        loop.stop()

    watcher = threading.Thread(target=watch)
    watcher.start()
    loop.run()
    watcher.join()
    samples.append(sample(os.getpid(), began))
    return report(nights, books, samples, hours)


def report(nights: list[Night], books: Books, samples: list[Sample], hours: float) -> dict[str, Any]:
    """What came of it."""
    lost_s = sum(books.in_gaps.values()) / RATE
    outages_s = sum(one.outages for one in nights)
    growth = {}
    for one in nights:
        errors = books.errors_ms[one.name]
        tenth = max(1, len(errors) // 10)
        if len(errors) >= 20:
            early, late = np.median(errors[tenth : 2 * tenth]), np.median(errors[-tenth:])
            growth[one.name] = round(float(late - early) / (0.85 * hours), 3)
    drifts = [(one.ppm, books.last[one.name].drift_ppm) for one in nights]
    return {
        "stream_hours": round(sum(one.now for one in nights) / 3600, 4),
        "seconds": samples[-1].second,
        "times_real_time": round(sum(one.now for one in nights) / samples[-1].second, 1),
        "windows": books.windows,
        "quiet": books.quiet,
        "connections": sum(one.connections for one in nights),
        "outages_s": round(outages_s, 1),
        "lost_s": round(lost_s, 1),
        "causes": sorted(books.causes),
        "books": {
            "samples": sum(last.samples for last in books.last.values()),
            "in_gaps": sum(books.in_gaps.values()),
            "trouble": books.trouble[:10],
        },
        "clock_moves_ms_per_h": {"worst": max(growth.values(), key=abs, default=None)},
        "drift_error_ppm": round(max((abs(a - b) for a, b in drifts if b is not None), default=0.0), 2),
        "flatness": flatness(samples),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--connection", type=float, default=120, help="seconds, about")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = soak(options.hours, options.streams, options.connection, options.out.with_suffix(".progress"))
    head = {
        "date": datetime.date.today().isoformat(),
        "command": f"python -m tests.soak.fast --hours {options.hours:g} --streams {options.streams} --out FILE",
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
    }
    options.out.write_text(json.dumps(head | found, indent=1) + "\n")
    print(json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()
