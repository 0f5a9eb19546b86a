"""The benchmark of an engine: what it counts is right, and what it measures adds up."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from glatd.cli import cli
from glatd.engines import bench_peak
from glatd.engines.bench import WINDOW, bench, default_batches, row
from glatd.engines.bench_peak import Peak, product_chain
from glatd.engines.bench_work import FILE, multiply_adds, work_of
from glatd.engines.build import build_engine
from glatd.engines.manifest import GRAPHS, Profile, Runtime, read_manifest
from glatd.engines.targets.rows import Batches
from glatd.engines.targets.tensorrt_build import Settings, build
from glatd.engines.targets.tensorrt_library import find_library
from glatd.errors import ConfigError, EngineError
from tests.engines.small import CLASSES, SIZES, small_bundle

FRONTEND = SIZES.block * SIZES.mels * (SIZES.left + SIZES.right)  # one convolution, one channel
TRUNK = 16 * SIZES.mels * 3  # of a mel frame: the first convolution
STEP = 16 * 16 * SIZES.stride  # of an output frame: the second
HEAD = 16 * CLASSES  # of a clip, and of an output frame
COUNTED = {
    "frontend": FRONTEND,
    "global": SIZES.window * TRUNK + SIZES.frames * (STEP + HEAD) + HEAD,
    "local": SIZES.crop * TRUNK + SIZES.crop // SIZES.stride * STEP + HEAD,
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("bench") / "bundle")


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Path:
    build_engine(bundle, bundle.with_name("engine"))
    return bundle.with_name("engine")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small probes."""
    monkeypatch.setattr(bench_peak, "SECONDS", 0.01)
    monkeypatch.setattr(bench_peak, "CPU_SIDE", 128)
    monkeypatch.setattr(bench_peak, "COPIED", 1 << 20)


def test_multiply_adds_are_those_of_the_arithmetic(bundle: Path, engine: Path) -> None:
    assert {name: multiply_adds(bundle / f"{name}.onnx") for name in GRAPHS} == COUNTED
    assert work_of(engine, read_manifest(engine), GRAPHS) == COUNTED


def test_an_engine_in_pieces_is_counted_whole(bundle: Path, tmp_path: Path) -> None:
    build_engine(bundle, tmp_path / "low", precision="bfloat16")
    assert work_of(tmp_path / "low", read_manifest(tmp_path / "low"), GRAPHS) == COUNTED


def test_engine_bytes_carry_their_count(bundle: Path, tmp_path: Path) -> None:
    manifest = build_engine(bundle, tmp_path / "gpu", "tensorrt", "float16", streams=2)
    assert FILE in {entry.name for entry in manifest.files}
    assert work_of(tmp_path / "gpu", manifest, GRAPHS) == COUNTED


def test_grouped_convolutions_and_recurrent_layers_are_counted(tmp_path: Path) -> None:
    def saved(node: object, given: list[object], out: list[object], **constants: tuple[int, ...]) -> Path:
        tensors = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in constants.items()]
        shapes = {"x": given, "y": out}
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
        graph = helper.make_graph([node], "graph", values[:1], values[1:], tensors)
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "x.onnx"
        )
        return tmp_path / "x.onnx"

    conv = helper.make_node("Conv", ["x", "w"], ["y"], group=4)
    assert multiply_adds(saved(conv, ["B", 8, 10], ["B", 8, 8], w=(8, 2, 3))) == 8 * 8 * 2 * 3
    gru = helper.make_node("GRU", ["x", "w", "r"], ["y"], hidden_size=5, direction="bidirectional")
    found = multiply_adds(saved(gru, [7, 1, 3], [7, 2, 1, 5], w=(2, 15, 3), r=(2, 15, 5)))
    assert found == 7 * 2 * 3 * 5 * (3 + 5)


def test_what_is_measured_adds_up(engine: Path, quick: None) -> None:
    report = bench(engine, 1, 0.02, (1, 3))
    assert [(one.graph, one.batch) for one in report.rows] == [
        (name, batch) for batch in (1, 3) for name in ("frontend", "global", "local", WINDOW)
    ]
    for one in report.rows:
        assert 0 < one.p50_ms <= one.p99_ms and one.runs >= 5
        assert one.a_second == pytest.approx(1000 * one.batch / one.p50_ms, rel=0.2, abs=0.2)
        assert one.multiply_adds and one.share is not None
        share = one.multiply_adds * one.a_second / report.peak.multiply_adds
        assert one.share == pytest.approx(share, rel=0.05, abs=1e-4)
    work = {one.graph: one.multiply_adds for one in report.rows}
    hop_blocks = round(0.96 * SIZES.rate / (SIZES.hop * SIZES.block))
    expected = hop_blocks * COUNTED["frontend"] + COUNTED["global"] + SIZES.crops * COUNTED["local"]
    assert work[WINDOW] == expected
    assert report.peak.multiply_adds > 1e6 and report.peak.copied > 1e6 and report.peak.precision == "float32"
    assert report.gpu_memory_mb is None or report.gpu_memory_mb >= 0


def test_the_command_prints_a_table_or_json(engine: Path, quick: None) -> None:
    arguments = ["engine", "bench", str(engine), "--seconds", "0.01", "--batch", "1"]
    told = CliRunner().invoke(cli, [*arguments, "--format", "json"], standalone_mode=False)
    tree = json.loads(told.output)
    assert tree["engine"]["hash"] == read_manifest(engine).hash and len(tree["rows"]) == 4
    shown = CliRunner().invoke(cli, arguments, standalone_mode=False).output
    assert "G multiply-adds a second in float32" in shown
    assert all(word in shown for word in ("p50 ms", "window", "of the peak", "%"))


@pytest.mark.parametrize(("seconds", "batches"), [(0.0, (1,)), (float("nan"), (1,)), (1.0, (0,))])
def test_what_cannot_be_is_refused(engine: Path, seconds: float, batches: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        bench(engine, 1, seconds, batches)


def test_a_gpu_is_measured_at_what_it_was_built_for(engine: Path) -> None:
    manifest = read_manifest(engine)
    assert default_batches(manifest) == (1, 4)
    assert default_batches(dataclasses.replace(manifest, profile=Profile(8, 16))) == (1, 8, 16)
    with pytest.raises(EngineError, match="no probe for the target 'abacus'"):
        bench_peak.measure_peak(Runtime("abacus", "", "", "float32"), 1)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_the_probe_of_a_gpu_builds(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    monkeypatch.setattr(bench_peak, "GPU_SIDE", 64)
    data = build(find_library(), product_chain(precision), ((64,),), Batches(64, 64), Settings())
    assert len(data) > 1000


def test_a_share_is_of_the_peak() -> None:
    found = row("local", 4, [0.002] * 10, 10**9, Peak("float16", 8e12, 1e12))
    assert (found.p50_ms, found.a_second, found.share) == (2.0, 2000.0, 0.25)
