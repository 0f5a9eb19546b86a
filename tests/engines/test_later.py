"""A graph that is compiled when it is asked for is the one that was read, and is compiled once."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np

from glatd.engines.engine import Graph
from glatd.engines.load import default_engine
from glatd.engines.manifest import read_manifest
from glatd.engines.targets.cpu import compile_graph, read_graph
from glatd.engines.targets.later import Later


def test_files_that_are_others_by_then_change_nothing(tmp_path: Path) -> None:
    shapes = read_manifest(default_engine()).inputs["local"]
    crop = np.random.default_rng(0).normal(-40, 20, (1, *shapes[0])).astype(np.float32)
    (expected,) = compile_graph(default_engine() / "local.xml", shapes, "float32", 1)(crop)
    for name in ("local.xml", "local.bin"):
        shutil.copy(default_engine() / name, tmp_path)
    graph = Later(read_graph(tmp_path / "local.xml", shapes, "float32", 1))
    weights = tmp_path / "local.bin"
    with weights.open("r+b") as file:  # in place, as cp does
        file.write(bytes(weights.stat().st_size))
    (tmp_path / "local.xml").unlink()
    np.testing.assert_array_equal(graph(crop)[0], expected)


def test_two_lanes_that_come_first_compile_it_once() -> None:
    made, both = [], Barrier(2)

    def make() -> Graph:
        made.append(1)
        return lambda *inputs: inputs

    def run(number: int) -> None:
        both.wait(60)
        assert graph(np.float32(number)) == (number,)

    graph: Callable[..., object] = Later(make)
    with ThreadPoolExecutor(2) as lanes:
        list(lanes.map(run, (1, 2)))
    assert made == [1]
