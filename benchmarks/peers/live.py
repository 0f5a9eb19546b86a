"""The daemon as a whole beside the contenders: PCM over TCP at 48 kHz, resampled, tagged, published to a subscriber."""

import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import HOP, LOOKAHEAD, POSITIONS, attempt, loaded
from benchmarks.progress import say

FEW = 8  # streams
FULL = 0.9  # of the cores; beyond that nothing else would have a turn


def cold_start(engine: Path | None, pcm: Path) -> dict[str, float]:
    """From nothing to the first tags of a stream that is sending: s until it is heard, and from its first second on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sound.pcm").symlink_to(pcm)
        with loaded(engine, 1, True, 1, folder) as (run, pid, _):
            heard, told = run.sent[0], run.late[0][0]
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            began = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # of the time since boot
            began += time.monotonic() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return {"connected_s": heard - began, "after_first_second_s": told - (heard + 1.0)}


def measure(engine: Path | None, pcm: Path, seconds: float, starts: int) -> dict[str, Any]:
    """Cost, latency and memory at a few streams and at half of what the machine bears; and the cold start.

    Args:
        pcm: what is sent, s16le at the feeder's rate.
        seconds: of each number of streams, after warm-up.
        starts: processes for the cold start.
    """
    cores = os.cpu_count() or 1
    few = attempt(engine, FEW, seconds, pcm=pcm)
    bears = FULL * cores / (few["cpu_cores"] / FEW)
    say(f"{FEW} streams take {few['cpu_cores']} cores; half of {bears:.0f} is next")
    half = attempt(engine, max(FEW + 1, round(bears / 2)), seconds, pcm=pcm)
    each = (half["resident_mb"][-1] - few["resident_mb"][-1]) / (half["streams"] - few["streams"])
    cost = half["cpu_cores"] / half["streams"]
    say("cold starts")
    cold = [cold_start(engine, pcm) for _ in range(starts)]
    wait = LOOKAHEAD / POSITIONS
    return {
        "seconds": seconds,
        "attempts": [few, half],
        "cpu_s_per_stream_s": round(cost, 6),
        "streams_per_core": round(1 / cost, 1),
        "bears": round(FULL * cores / cost),  # streams, at `FULL` of the cores
        "half_load": half["streams"],
        "late_p50_s": round(HOP / 2 + wait + half["late_p50_ms"] / 1000, 3),
        "late_p99_s": round(HOP + wait + half["late_p99_ms"] / 1000, 3),
        "stream_mb": round(each, 2),
        "fixed_mb": round(few["resident_mb"][-1] - FEW * each, 1),
        "start_s": round(median(row["connected_s"] for row in cold), 3),
        "after_first_second_s": round(median(row["after_first_second_s"] for row in cold), 3),
        "after_first_second_worst_s": round(max(row["after_first_second_s"] for row in cold), 3),
    }
