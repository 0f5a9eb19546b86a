"""The daemon as a whole: start-up, CPU seconds a stream-second, resident memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cold import forget
from benchmarks.machine import described, load_average
from benchmarks.progress import say
from benchmarks.sounds import RATE, sound, write_wav
from benchmarks.startup import closure
from glatd.daemon.settings import Settings
from glatd.engines.load import default_engine, load_engine

GLATD = [sys.executable, "-m", "glatd.cli"]
TAGGED = 60.0  # s of audio for the cost of tagging
WARM = 12.0  # s of audio before it counts
# A process inherits the peak memory of the one that starts it: start from a small one.
LAUNCHER = """
import json, os, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
wall = time.perf_counter() - began
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_mb": usage.ru_maxrss * 1024 / 1e6}))
sys.exit(code)
"""
FROM_DISK = "read from disk"
THREADS = (1, 0)  # 0: as many as the runtime likes
STREAMS = (1, 4)  # at once in `glatd run`


def processes(commands: dict[str, Sequence[str]], turns: int, engine: Path) -> list[dict[str, Any]]:
    """Wall time, CPU time and peak memory of fresh processes, interleaved; medians.

    Before those whose name ends with `FROM_DISK`, what glatd is made of is put out of memory.
    """
    base = closure(["glatd"])
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for number in range(turns):
        say(f"processes, turn {number + 1} of {turns}")
        for name, command in commands.items():
            if name.endswith(FROM_DISK):
                forget(base, [engine])
            launched = [sys.executable, "-S", "-c", LAUNCHER, *command]
            done = subprocess.run(launched, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{name}: {done.stderr.strip()}")
            found[name].append(json.loads(done.stdout))
    return [
        {"process": name}
        | {key: round(median(run[key] for run in runs), 3) for key in runs[0]}
        | {"fastest_s": round(min(run["wall_s"] for run in runs), 3)}
        for name, runs in found.items()
    ]


def stage_times(file: Path, engine: Path | None, turns: int) -> list[dict[str, Any]]:
    """Where a cold replay spends its time; medians over processes."""
    command = [sys.executable, "-m", "benchmarks.stages", str(file), *([str(engine)] if engine else [])]
    runs = []
    say("stages of a replay")
    for _ in range(turns):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return [{"step": step, "median_ms": round(median(run[step] for run in runs), 1)} for step in runs[0]]


def tagging_cost(engine: Path | None, threads: int, turns: int) -> dict[str, Any]:
    """CPU and wall seconds of `Tagger` for each second of audio, at a hop of 0.96 s, in 0.1 s pushes."""
    from glatd.daemon.tagger import Tagger

    say(f"Tagger, threads = {threads}")
    loaded = load_engine(engine, threads)
    samples = sound(WARM + TAGGED)
    cpu, wall, hops = [], [], []
    for _ in range(turns):
        tagger = Tagger(loaded, rate=RATE)
        step = RATE // 10
        marks = (0.0, 0.0)
        for first in range(0, len(samples), step):
            if first == round(WARM * RATE):
                marks = (time.process_time(), time.perf_counter())
            began = time.perf_counter()
            if tagger.push(samples[first : first + step]) and first >= WARM * RATE:
                hops.append(time.perf_counter() - began)
        cpu.append((time.process_time() - marks[0]) / TAGGED)
        wall.append((time.perf_counter() - marks[1]) / TAGGED)
    return {
        "threads": threads or "all",
        "cpu_s_per_stream_s": round(median(cpu), 5),
        "wall_s_per_stream_s": round(median(wall), 5),
        "hop_ms": round(1000 * median(hops), 2),
    }


def running(engine: Path | None, file: Path, streams: int, threads: int, seconds: float) -> dict[str, Any]:
    """CPU seconds a stream-second and resident memory of `glatd run` in steady state (Linux)."""
    say(f"glatd run, {streams} streams, threads = {threads}")
    config = file.with_suffix(".toml")
    config.write_text(f"threads = {threads}\n", encoding="utf-8")
    chosen = ["--engine", str(engine)] if engine else []
    command = [*GLATD, "run", "--config", str(config), "--publish", "tcp://127.0.0.1:*", *chosen]
    for number in range(streams):
        command += ["--source", f"s{number}=file:{file}"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(WARM)
        before, began = cpu_seconds(child.pid), time.perf_counter()
        time.sleep(seconds)
        spent = (cpu_seconds(child.pid) - before) / (time.perf_counter() - began)
        memory = status_mb(child.pid)
        if child.poll() is not None:
            raise RuntimeError(f"glatd run ended with {child.returncode}")
    finally:
        child.terminate()
        child.wait(10)
    return {
        "streams": streams,
        "threads": threads or "all",
        "cpu_s_per_stream_s": round(spent / streams, 5),
        "resident_mb": round(memory["VmRSS"], 1),
        "peak_mb": round(memory["VmHWM"], 1),
    }


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far: fields 14 and 15 of /proc/PID/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_mb(pid: int) -> dict[str, float]:
    """VmRSS and VmHWM of a process in MB (1e6 bytes)."""
    rows = (line.split() for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines())
    return {row[0][:-1]: int(row[1]) * 1024 / 1e6 for row in rows if row[0] in ("VmRSS:", "VmHWM:")}


def measure(engine: Path | None, turns: int) -> dict[str, Any]:
    """Everything.

    Args:
        engine: folder; the default one when None.
        turns: processes of each kind.
    """
    before = load_average()
    manifest = load_engine(engine).manifest
    with tempfile.TemporaryDirectory() as folder:
        ten = write_wav(Path(folder, "ten.wav"), 10)
        long = write_wav(Path(folder, "long.wav"), 120)
        chosen = ["--engine", str(engine)] if engine else []
        result = {
            "processes": processes(
                {
                    "python -c pass": [sys.executable, "-c", "pass"],
                    "glatd --help": [*GLATD, "--help"],
                    "glatd replay, 10 s file": [*GLATD, "replay", str(ten), *chosen],
                    f"glatd replay, 10 s file, {FROM_DISK}": [*GLATD, "replay", str(ten), *chosen],
                },
                turns,
                engine or default_engine(),
            ),
            "stages": stage_times(ten, engine, turns),
            "tagger": [tagging_cost(engine, threads, max(1, turns // 4)) for threads in THREADS],
            "run": [
                running(engine, long, streams, threads, 5 + turns) for streams in STREAMS for threads in THREADS
            ],
        }
    head = described("python -m benchmarks daemon" + (" --engine DIR" if engine else ""), before)
    about = {"model": manifest.model, "engine": manifest.hash, "local": Settings().local, "turns": turns}
    return head | about | result
