"""Latency, interleaved: every contender in turn, again and again, in one process.

The machine that measures may have other work. Turns spread that over all contenders alike; medians
and ratios within a turn are what is reported.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import REFERENCE, Contender, Loaded, load
from glatd.engines.engine import Graph
from glatd.engines.manifest import Geometry

Arrays = tuple[NDArray[np.float32], ...]

TIMED = 3  # calls a turn, after one that is not timed
REST = 0.01  # s between turns: threads of the last contender may spin a while


def cases(sizes: Geometry) -> dict[str, tuple[str, Arrays]]:
    """What one hop of 0.96 s costs: name -> (graph, inputs)."""
    rng = np.random.default_rng(1)

    def noise(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape, np.float32)

    crops = sizes.crops
    seconds = sizes.hop / sizes.rate
    audible = np.ones((1, sizes.frames), np.float32)
    window, crop = sizes.window * seconds, sizes.crop * seconds
    return {
        f"global, {window:g} s, batch 1": ("global", (noise(1, sizes.window, sizes.mels), audible)),
        f"local, {crop:g} s, batch {crops}": ("local", (noise(crops, sizes.crop, sizes.mels),)),
        f"frontend, 3 x {sizes.block} frames": ("frontend", (0.1 * noise(3, sizes.block_samples),)),
    }


def measure(
    listed: Sequence[Contender], sizes: Geometry, threads: int, turns: int
) -> tuple[list[dict[str, Any]], list[Loaded]]:
    """Rows of the latency table for so many threads, and the loaded contenders."""
    loaded = [load(contender, threads) for contender in listed]
    rows = []
    for case, (graph, inputs) in cases(sizes).items():
        runs = [of.graphs[graph] for of in loaded]
        names = [of.contender.name for of in loaded]
        rows += compare(case, names, runs, inputs, threads, turns)
    return rows, loaded


def compare(
    case: str, names: Sequence[str], runs: Sequence[Graph], inputs: Arrays, threads: int, turns: int
) -> list[dict[str, Any]]:
    """A row for each contender; one of them is `REFERENCE`."""
    found = interleave([partial(run, *inputs) for run in runs], turns)
    reference = found[names.index(REFERENCE)]
    return [
        {
            "contender": name,
            "case": case,
            "threads": threads,
            "median_ms": round(1000 * median(turn.wall for turn in taken), 3),
            "cpu_ms": round(1000 * median(turn.cpu for turn in taken), 3),
            "ratio": round(median(a.wall / b.wall for a, b in zip(taken, reference, strict=True)), 3),
        }
        for name, taken in zip(names, found, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender's turn."""

    wall: float  # s a call, the median
    cpu: float  # s a call, of all threads, with what they spin afterwards


def interleave(calls: Sequence[Callable[[], object]], turns: int) -> list[list[Turn]]:
    """The turns of each contender."""
    found: list[list[Turn]] = [[] for _ in calls]
    order = list(zip(calls, found, strict=True))
    shuffle = random.Random(3).shuffle
    for _ in range(turns):
        shuffle(order)  # nobody comes after the same one always
        for call, taken in order:
            cpu = time.process_time()
            wall = [seconds(call) for _ in range(TIMED + 1)][1:]
            time.sleep(REST)
            taken.append(Turn(median(wall), (time.process_time() - cpu) / (TIMED + 1)))
    return found


def seconds(call: Callable[[], object]) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
