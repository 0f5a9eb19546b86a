"""`glatd archive`: seconds of audio a second against workers, what a batch is worth, how large the tables are.

python -m benchmarks archive. Two kinds of recordings, both made from demo/street.ogg: long ones, and clips of 5 s, as
sound libraries have them. Each run is the command itself in a process of its own; its speed is that of the work, from
the first worker's start to the last part, without listing and loading the first engine.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.machine import described, load_average
from glatd.audio import decode, downmix
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine

DEMO = Path(__file__).resolve().parent.parent / "demo" / "street.ogg"
LONG_S, LONG = 300, 8  # seconds, recordings
SHORT_S, SHORT = 5, 240
BATCHES = (1, 2, 4, 8)
TURNS = 20
LOCAL_CROPS = 5


def make(folder: Path, seconds: int, count: int) -> float:
    """So many WAV files, each another stretch of the demo at another level; seconds of audio in all."""
    blocks = list(decode(DEMO))
    rate = blocks[0].rate
    street = np.concatenate([downmix(block.samples) for block in blocks])
    folder.mkdir()
    for number in range(count):
        at = number * 7919 * rate // 1000 % len(street)
        samples = np.resize(np.roll(street, -at), seconds * rate) * (0.5 + 0.5 * (number % 5) / 4)
        with wave.open(str(folder / f"{number:04d}.wav"), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(np.round(samples * 32_767).astype("<i2").tobytes())
    return float(seconds * count)


def run(folder: Path, out: Path, jobs: int, scores: str = "top") -> dict[str, Any]:
    """One run of the command."""
    command = [sys.executable, "-m", "glatd.cli", "archive", str(folder), "--out", str(out), "--jobs", str(jobs)]
    load, began = load_average(), time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*command, "--scores", scores], capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    audio = sum(pq.read_table(out / "inputs").column("seconds").to_pylist())
    said = re.search(r"\(([\d.]+) times real time\)", done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "jobs": jobs,
        "audio_s": audio,
        "command_s": round(took, 1),
        "speed": float(said[1]) if said else None,
        "cpu_s_an_hour": round(3600 * cpu / audio, 1),
        "largest_process_mb": round(after.ru_maxrss / 1000),
        "load_before": load,
    }


def sizes(out: Path, audio: float) -> dict[str, float]:
    """MB an hour of audio of each table."""
    return {
        table: round(sum(path.stat().st_size for path in (out / table).iterdir()) / 1e6 * 3600 / audio, 3)
        for table in ("windows", "events", "inputs")
    }


def batches(engine: Engine) -> list[dict[str, Any]]:
    """What a window costs in batches, by turns; the median ms of each look."""
    sizes_ = engine.sizes
    frames = np.random.default_rng(0).standard_normal((max(BATCHES), sizes_.window, sizes_.mels)).astype(np.float32)
    audible = np.ones((max(BATCHES), sizes_.frames), np.float32)
    crops = np.ascontiguousarray(np.repeat(frames[:, : sizes_.crop], LOCAL_CROPS, 0))
    spent: dict[int, list[tuple[float, float]]] = {size: [] for size in BATCHES}
    for turn in range(TURNS + 2):
        for size in BATCHES:
            began = time.perf_counter()
            engine.look_globally(frames[:size], audible[:size])
            between = time.perf_counter()
            engine.look_locally(crops[: LOCAL_CROPS * size])
            if turn >= 2:  # before that sizes are built
                spent[size].append((between - began, time.perf_counter() - between))
    return [
        {
            "windows": size,
            "global_ms": round(1000 * float(np.median([each[0] for each in spent[size]])) / size, 2),
            "local_ms": round(1000 * float(np.median([each[1] for each in spent[size]])) / size, 2),
        }
        for size in BATCHES
    ]


def measure() -> dict[str, Any]:
    """All runs: workers 1, 2, 4 and so on up to the cores."""
    before = load_average()
    cores = len(os.sched_getaffinity(0))
    jobs = sorted({1 << power for power in range(cores.bit_length()) if 1 << power <= cores} | {cores})
    runs: list[dict[str, Any]] = []
    table_mb: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="glatd-") as name:
        work = Path(name)
        for kind, seconds, count in (("long", LONG_S, LONG), ("short", SHORT_S, SHORT)):
            audio = make(work / kind, seconds, count)
            for count_ in jobs:
                out = work / f"{kind}-{count_}"
                runs.append({"recordings": f"{count} of {seconds} s", "kind": kind} | run(work / kind, out, count_))
                print(json.dumps(runs[-1]), file=sys.stderr)
            if kind == "long":
                table_mb["top"] = sizes(work / f"long-{jobs[0]}", audio)
        for scores in ("all", "half"):
            out = work / scores
            made = run(work / "short", out, cores, scores)
            table_mb[scores] = sizes(out, made["audio_s"])
    engine = load_engine(threads=1)
    return described("python -m benchmarks archive", before) | {
        "model": engine.manifest.model,
        "runs": runs,
        "batches": batches(engine),
        "table_mb_an_hour": table_mb,
    }
