"""Start-up and memory of a runtime, each in a fresh process; and what it adds to an installation.

    python -m benchmarks.startup OpenVINO|ONNX\\ Runtime FOLDER THREADS

is the child: it imports, loads the three graphs, runs each once, and prints what that took.
"""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cold import forget
from benchmarks.contenders import ONNXRUNTIME, OPENVINO, Contender

RUNTIME_PACKAGES = {OPENVINO: "openvino", ONNXRUNTIME: "onnxruntime"}
# Uninstalled by the set-up (see docs/engines.md): OpenVINO runs without it.
LEFT_OUT = frozenset({"openvino-telemetry"})


def child(runtime: str, folder: Path, threads: int) -> dict[str, float]:
    """Milliseconds of each step, and MB (1e6 bytes) resident before and after."""
    from benchmarks.contenders import load
    from benchmarks.latency import cases
    from glatd.config import build
    from glatd.engines.manifest import Geometry
    from glatd.engines.targets import cpu

    tree = json.loads((folder / "geometry.json").read_text(encoding="utf-8"))
    sizes = build(Geometry, tree, "geometry.json")
    before = resident()
    marks = [time.perf_counter()]
    if runtime == OPENVINO:
        cpu.runtime()
    else:
        importlib.import_module("onnxruntime")
    marks.append(time.perf_counter())
    loaded = load(Contender(runtime, "float32", folder), threads)
    marks.append(time.perf_counter())
    for graph, inputs in cases(sizes).values():
        loaded.graphs[graph](*inputs)
    marks.append(time.perf_counter())
    took = [1000 * (end - start) for start, end in pairwise(marks)]
    return {
        "import_ms": took[0], "load_ms": took[1], "first_ms": took[2], "total_ms": sum(took),
        "resident_mb": resident(), "added_mb": resident() - before, "peak_mb": resident("VmHWM"),
    }


def resident(key: str = "VmRSS") -> float:
    """MB of this process in memory (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def measure(listed: Sequence[Contender], threads: int, turns: int) -> list[dict[str, Any]]:
    """Rows of the start-up table: medians over `turns` interleaved pairs of processes each.

    The first of a pair reads everything from the disk, the second finds it in memory.
    """
    found: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in listed}
    for contender in list(listed) * turns:
        for from_disk in (True, False):
            if from_disk:
                forget([RUNTIME_PACKAGES[contender.runtime]], [contender.folder])
            chosen = [contender.runtime, str(contender.folder), str(threads)]
            command = [sys.executable, "-m", "benchmarks.startup", *chosen]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            run = json.loads(done.stdout.splitlines()[-1])
            if from_disk:
                cold = run["total_ms"]
            else:
                found[contender.name].append(run | {"from_disk_ms": cold})
    return [
        {"contender": name, "threads": threads}
        | {key: round(median(run[key] for run in runs), 1) for key in runs[0]}
        for name, runs in found.items()
    ]


def installed(base: Sequence[str]) -> list[dict[str, Any]]:
    """What each runtime adds to an installation that already has the packages `base`."""
    present = set(closure(base))
    rows = []
    for runtime, package in RUNTIME_PACKAGES.items():
        added = [name for name in closure([package]) if name not in present]
        if added:
            sizes = {name: round(size_of(name) / 1e6, 1) for name in added}
            rows.append({"runtime": runtime, "packages": sizes, "total_mb": round(sum(sizes.values()), 1)})
    return rows


def closure(names: Sequence[str]) -> list[str]:
    """Installed packages that `names` need, themselves included, in normal form, sorted."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    waiting = [str(canonicalize_name(name)) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found or name in LEFT_OUT:
            continue
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        wanted = [Requirement(text) for text in requires]
        waiting += [
            str(canonicalize_name(other.name))
            for other in wanted if other.marker is None or other.marker.evaluate({"extra": ""})
        ]
    return sorted(found)


def size_of(package: str) -> int:
    """Bytes of an installed package, byte code left out."""
    files = distribution(package).files or []
    paths = (Path(str(file.locate())) for file in files if "__pycache__" not in file.parts)
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
