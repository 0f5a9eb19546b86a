"""Measure an engine on this machine: how long each graph takes by batch, and how near that comes to what it can do."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glatd.engines.bench_peak import Peak, measure_peak
from glatd.engines.bench_work import work_of
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.machine import cpu_name, resident_mb
from glatd.engines.manifest import DEFAULT_HOP_SECONDS, GRAPHS, Manifest, Runtime, read_manifest
from glatd.engines.targets.cuda_gpu import cuda_runtime, gpu_here
from glatd.errors import ConfigError, EngineError

WINDOW = "window"  # both looks at a window, all K crops of it, and the front end of the hop before
WARM_UP, LEAST = 3, 5  # runs that are not counted, and that are


@dataclass(frozen=True, slots=True)
class Row:
    """One graph at one batch."""

    graph: str
    batch: int
    runs: int
    p50_ms: float
    p99_ms: float
    a_second: float  # rows of the batch: blocks, windows or crops
    multiply_adds: int | None  # of a row; None where nobody counted them
    share: float | None  # of the measured peak of a matrix product


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured."""

    manifest: Manifest
    machine: str
    threads: int
    load: float  # of the machine, before: other programs that computed
    load_seconds: float  # until the engine was ready
    memory_mb: float  # that the process grew by
    gpu_memory_mb: float | None
    peak: Peak
    rows: tuple[Row, ...]

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        manifest = self.manifest
        return {
            "v": 1,
            "engine": {"model": manifest.model, "hash": manifest.hash, "runtime": asdict(manifest.runtime)},
            "machine": self.machine,
            "threads": self.threads,
            "load_average": self.load,
            "load_seconds": round(self.load_seconds, 3),
            "memory_mb": round(self.memory_mb, 1),
            "gpu_memory_mb": self.gpu_memory_mb,
            "peak": {
                "precision": self.peak.precision,
                "gmacs_a_second": round(self.peak.multiply_adds / 1e9, 1),
                "copy_gb_a_second": round(self.peak.copied / 1e9, 2),
            },
            "rows": [asdict(row) for row in self.rows],
        }


def bench(folder: Path, threads: int = 1, seconds: float = 1.0, batches: Sequence[int] = ()) -> Report:
    """Load an engine and measure it.

    Args:
        threads: of a CPU; 0 lets its runtime choose.
        seconds: of each row, about.
        batches: of windows; () for 1 and what the engine was built for, or 4.

    Raises:
        EngineError: it does not run here.
        ConfigError: seconds or batches that cannot be.
    """
    if not 0 < seconds < 3600:
        raise ConfigError(f"--seconds {seconds:g} must be above 0, up to an hour")
    if any(batch < 1 for batch in batches):
        raise ConfigError(f"a batch of {min(batches)} cannot be; from 1 on")
    load = os.getloadavg()[0]
    # Before the process is weighed: whoever asks CUDA first loads it.
    on_gpu = None if read_manifest(folder).runtime.target == "cpu" else gpu_used_mb()
    grown = resident_mb()
    began = time.perf_counter()
    engine = load_engine(folder, threads, incremental=False)
    load_seconds = time.perf_counter() - began
    manifest = engine.manifest
    work = work_of(folder, manifest, GRAPHS)
    sizes = manifest.geometry
    hop_blocks = max(1, round(DEFAULT_HOP_SECONDS * sizes.rate / (sizes.hop * sizes.block)))
    if set(GRAPHS) <= set(work):
        work[WINDOW] = hop_blocks * work["frontend"] + work["global"] + sizes.crops * work["local"]
    timed = [
        (name, batch, times(function, seconds))
        for batch in batches or default_batches(manifest)
        for name, function in runs(engine, batch, hop_blocks).items()
    ]
    grown = resident_mb() - grown
    used = None if on_gpu is None else gpu_used_mb()
    peak = measure_peak(manifest.runtime, threads)
    return Report(
        manifest=manifest,
        machine=machine_name(manifest.runtime),
        threads=threads,
        load=load,
        load_seconds=load_seconds,
        memory_mb=grown,
        gpu_memory_mb=None if used is None or on_gpu is None else round(used - on_gpu, 1),
        peak=peak,
        rows=tuple(row(name, batch, found, work.get(name) or None, peak) for name, batch, found in timed),
    )


def row(name: str, batch: int, seconds: Sequence[float], work: int | None, peak: Peak) -> Row:
    """What the times of one graph at one batch say."""
    p50, p99 = np.percentile(seconds, [50, 99])
    return Row(
        graph=name,
        batch=batch,
        runs=len(seconds),
        p50_ms=round(1000 * float(p50), 3),
        p99_ms=round(1000 * float(p99), 3),
        a_second=round(batch / float(p50), 1),
        multiply_adds=work,
        share=None if work is None else round(work * batch / float(p50) / peak.multiply_adds, 4),
    )


def default_batches(manifest: Manifest) -> tuple[int, ...]:
    """One window alone, and several."""
    if manifest.profile is None:
        return (1, 4)
    return tuple(sorted({1, manifest.profile.typical, manifest.profile.most}))


def runs(engine: Engine, batch: int, hop_blocks: int) -> dict[str, Callable[[], object]]:
    """What is timed, on noise: `batch` rows of each graph, and of whole windows with all that a hop brings."""
    sizes, random = engine.sizes, np.random.default_rng(0)
    samples = random.uniform(-0.1, 0.1, (batch, sizes.block_samples)).astype(np.float32)
    hop = random.uniform(-0.1, 0.1, (batch * hop_blocks, sizes.block_samples)).astype(np.float32)
    mels = engine.frontend(samples[:1])[0]
    frames = np.resize(mels, (batch, sizes.window, sizes.mels)) + random.normal(
        0, 0.5, (batch, sizes.window, sizes.mels)
    ).astype(np.float32)
    audible = np.ones((batch, sizes.frames), np.float32)
    crops = np.ascontiguousarray(frames[:, : sizes.crop])

    def window() -> object:
        engine.frontend(hop)
        glance = engine.look_globally(frames, audible)
        places = [(row, first) for row, starts in enumerate(glance.starts.tolist()) for first in starts]
        scores = engine.look_into(frames, places)
        return engine.fuse(glance, scores.reshape(batch, sizes.crops, -1))

    return {
        "frontend": lambda: engine.frontend(samples),
        "global": lambda: engine.look_globally(frames, audible),
        "local": lambda: engine.look_locally(crops),
        WINDOW: window,
    }


def times(function: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each run."""
    for _ in range(WARM_UP):
        function()
    found: list[float] = []
    until = time.perf_counter() + seconds
    while len(found) < LEAST or time.perf_counter() < until:
        began = time.perf_counter()
        function()
        found.append(time.perf_counter() - began)
    return found


def machine_name(runtime: Runtime) -> str:
    """What is measured: the GPU with its software, or the CPU."""
    gpu = None if runtime.target == "cpu" else gpu_here()
    if gpu is None:
        return f"{cpu_name()}, {os.cpu_count()} cores"
    return f"{gpu.name}, driver {gpu.driver or 'unknown'}, CUDA {gpu.cuda}"


def gpu_used_mb() -> float | None:
    """Of the GPU, by all programs; None without one."""
    try:
        error, unused, all_of_it = cuda_runtime().cudaMemGetInfo()
    except EngineError:
        return None
    return None if int(error) else (all_of_it - unused) / 1e6
