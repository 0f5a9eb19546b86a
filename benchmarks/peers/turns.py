"""The contenders' processes, and turns for all of them: each in turn, again and again, in another order every time."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from benchmarks.load import percentile
from benchmarks.peers.contender import OURS, THREADS, Contender, Parts
from benchmarks.progress import say

ROOT = Path(__file__).resolve().parent.parent.parent
HOPS = 10  # a turn
MORE = 16  # streams, for what one costs in memory
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # of whatever a library starts by itself


class Process:
    """One contender's."""

    def __init__(self, contender: Contender, parts: Parts, sound: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.peers.worker", contender.key]
        command += [json.dumps(parts.as_plain()), str(sound)]
        environment = {**os.environ, **dict.fromkeys(LIMITS, str(THREADS))}
        began = time.perf_counter()
        self.contender = contender
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            self.about = self._answer()
        except BaseException:
            self.close()
            raise
        self.start_s = time.perf_counter() - began  # until it has answered

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, *words: object) -> dict[str, Any]:
        """Have it do something, and wait for that."""
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(str(word) for word in words) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None and self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read().strip().splitlines() or ["without a word"]
            raise RuntimeError(f"{self.contender.key} ended: {said[-1]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def starts(listed: Sequence[Contender], parts: Parts, sound: Path, times: int) -> dict[str, list[float]]:
    """Seconds from nothing to the first answer, each time of all of them one after the other."""
    found: dict[str, list[float]] = {contender.key: [] for contender in listed}
    for number in range(times):
        say(f"start {number + 1} of {times}")
        for contender in listed:
            with Process(contender, parts, sound) as process:
                found[contender.key].append(process.start_s)
    return found


def take(processes: Sequence[Process], turns: int) -> list[dict[str, Any]]:
    """A row for each contender: what a second of a stream costs, absolutely and as a multiple of ours in each turn."""
    found: dict[str, list[dict[str, Any]]] = {process.contender.key: [] for process in processes}
    order = list(processes)
    shuffle = random.Random(3).shuffle
    for number in range(turns + 1):
        shuffle(order)
        say(f"turn {number} of {turns}")
        for process in order:
            turn = process.ask("turn", HOPS)
            if number:  # the first one warms up
                found[process.contender.key].append(turn)
    ours = [turn["cpu_s_per_stream_s"] for turn in found[OURS]]
    rows = []
    for process in processes:
        of = found[process.contender.key]
        cpu = [turn["cpu_s_per_stream_s"] for turn in of]
        wall = [seconds for turn in of for seconds in turn["wall_s"]]
        hop = process.about["hop_s"]
        ratios = [theirs / mine for theirs, mine in zip(cpu, ours, strict=True)]
        rows.append({
            "contender": process.contender.key,
            "title": process.contender.title,
            "what": process.contender.what,
            "hop_s": round(hop, 4),
            "cpu_s_per_stream_s": round(median(cpu), 6),
            "streams_per_core": round(1 / median(cpu), 1),
            "cpu_of_ours": round(median(ratios), 3),
            "cpu_of_ours_quartiles": [round(percentile(ratios, share), 3) for share in (0.25, 0.75)],
            "compute_p50_ms": round(1000 * percentile(wall, 0.5), 2),
            "compute_p99_ms": round(1000 * percentile(wall, 0.99), 2),
            # A sound waits until its hop is over, and then for the answer.
            "late_p50_s": round(hop / 2 + percentile(wall, 0.5), 3),
            "late_p99_s": round(hop + percentile(wall, 0.99), 3),
        })  # fmt: skip
    return rows


def memory(process: Process) -> dict[str, float]:
    """MB of a contender without streams, and of each stream; after turns, when its one stream is full."""
    grown = process.ask("streams", MORE)
    each = max(0.0, grown["added_mb"] / MORE)
    return {"fixed_mb": round(grown["before_mb"] - each, 1), "stream_mb": round(each, 2)}
