"""What the dashboard costs a box at full load: no viewer, one, and four, in turns.

The load is that of load.py, with as many streams as the machine holds. A viewer is a WebSocket that watches one
stream as the page does; drawing is the browser's, on another machine as a rule, and not counted.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.daemon import cpu_seconds
from benchmarks.load import HOP, WARM_S, loaded, most_streams, percentile
from benchmarks.machine import described, load_average
from benchmarks.progress import say
from glatd.engines.load import load_engine

VIEWERS = (0, 1, 4)
TURNS = 3
SETTLE_S = 3.0  # from the opening of the viewers, with 10 s of spectrogram for each, until it counts
FIRST = 16  # streams, where nothing is known of the machine
EXACT = 0.07


def attempt(streams: int, viewers: int | None, seconds: float, threads: int) -> dict[str, Any]:
    """One number of viewers, after warm-up; None for a daemon without a dashboard."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    tables = [] if viewers is None else ["[web]", f"address = '{address}'"]
    with (
        tempfile.TemporaryDirectory() as name,
        loaded(None, streams, False, threads, Path(name), tables) as (run, pid, _),
    ):
        time.sleep(WARM_S)
        lookers = _open(address, viewers) if viewers else None
        time.sleep(SETTLE_S)
        began, cpu = time.monotonic(), cpu_seconds(pid)
        time.sleep(seconds)
        ended = time.monotonic()
        cpu = (cpu_seconds(pid) - cpu) / (ended - began)
        seen = _close(lookers) if lookers else {}
        late = [value for at, _, value in run.late if began <= at <= ended]
        lost = sum(value for at, value in run.gaps if began <= at <= ended)
    if seen.get("failed"):
        raise RuntimeError(f"a viewer ended: {seen['failed'][0]}")
    return {
        "viewers": viewers,
        "cpu_cores": cpu,
        "late_p50_ms": 1000 * percentile(late, 0.5),
        "late_p99_ms": 1000 * percentile(late, 0.99),
        "windows_share": len(late) / (streams * (ended - began) / HOP),
        "lost_s": lost,
        "kbit_s": 8e-3 * seen["bytes"] / seen["seconds"] / viewers if viewers else 0.0,
        "missed": seen.get("missed", 0),
    }


def _open(address: str, viewers: int) -> "subprocess.Popen[str]":
    url = f"{address.replace('http', 'ws')}/live"
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.viewer", url, str(viewers)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip


def _close(lookers: "subprocess.Popen[str]") -> dict[str, Any]:
    said, _ = lookers.communicate("", timeout=30)
    found: dict[str, Any] = json.loads(said)
    return found


def measure(streams: int, seconds: float, threads: int, turns: int = TURNS) -> dict[str, Any]:
    """Everything.

    Args:
        streams: at full load; 0 to find out how many that are.
        seconds: of each attempt.
        threads: of inference; 0 lets the runtime choose.
    """
    before = load_average()
    if not streams:
        streams, _ = most_streams(None, FIRST, seconds, EXACT, threads)
    kinds = (None, *VIEWERS)
    runs: list[dict[str, Any]] = []
    for turn in range(turns):
        for viewers in kinds if turn % 2 == 0 else reversed(kinds):  # what else runs comes and goes
            runs.append(attempt(streams, viewers, seconds, threads))
            say({key: runs[-1][key] for key in ("viewers", "cpu_cores", "late_p99_ms")})
    rows = [
        {"viewers": "no dashboard" if viewers is None else viewers}
        | {
            key: round(mean(run[key] for run in runs if run["viewers"] == viewers), 4)
            for key in runs[0]
            if key != "viewers"
        }
        for viewers in kinds
    ]
    idle, manifest = rows[1]["cpu_cores"], load_engine(None).manifest
    for row in rows[2:]:
        row["percent_a_viewer"] = round(100 * (row["cpu_cores"] - idle) / row["viewers"], 2)
    head = described(f"python -m benchmarks viewers --streams {streams} --threads {threads}", before)
    about = {"model": manifest.model, "engine": manifest.hash, "streams": streams, "seconds": seconds, "turns": turns}
    return head | about | {"rows": rows}
