"""On a GPU: engines of the default model are built, answer as the network does, and are as fast as they should be."""

import gc
from pathlib import Path

import numpy as np
import pytest

from glatd.engines.bench import WINDOW, bench
from glatd.engines.build import build_engine
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.targets.cuda_device import Device, Memory
from glatd.engines.verify import verify_engine
from glatd.errors import EngineError
from tests.conftest import ROOT

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]

STREAMS = 8
BUILT = [(target, precision) for target in ("tensorrt", "cuda") for precision in ("float32", "float16", "bfloat16")]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model, exported."""
    import shutil

    from glatd.trainer.export import export

    folder = tmp_path_factory.mktemp("gpu") / "bundle"
    folder.mkdir()
    for name in ("model.json", "weights.safetensors"):
        shutil.copy(ROOT / "models" / "glat-mn04" / name, folder)
    export(folder)
    return folder


@pytest.fixture(scope="module", params=BUILT, ids="-".join)
def folder(request: pytest.FixtureRequest, bundle: Path) -> Path:
    """An engine of each target and precision."""
    target, precision = request.param
    if target == "cuda":
        import torch

        if not torch.cuda.is_available():
            pytest.skip("this torch was not built for CUDA")
    folder = bundle.with_name(f"{target}-{precision}")
    build_engine(bundle, folder, target, precision, STREAMS)
    return folder


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return load_engine(folder)


def windows(engine: Engine, count: int) -> tuple[np.ndarray, np.ndarray]:
    sizes, random = engine.sizes, np.random.default_rng(count)
    frames = random.uniform(-1.5, 1.0, (count, sizes.window, sizes.mels)).astype(np.float32)
    return frames, np.ones((count, sizes.frames), np.float32)


def test_it_answers_as_its_network_does(folder: Path) -> None:
    verdict = verify_engine(folder)
    assert verdict.good, verdict


@pytest.mark.parametrize("count", [2, 3, STREAMS, STREAMS + 3])
def test_a_window_in_a_batch_gets_the_scores_that_it_gets_alone(engine: Engine, count: int) -> None:
    frames, audible = windows(engine, count)
    together = engine.look_globally(frames, audible)
    least = 1e-5 if engine.manifest.runtime.precision == "float32" else 0.03  # kernels are chosen by size
    for row in range(count):
        alone = engine.look_globally(frames[row : row + 1], audible[:1])
        np.testing.assert_allclose(together.scores[row], alone.scores[0], atol=least)


def test_crops_that_are_cut_on_the_gpu_are_those_of_the_host(engine: Engine) -> None:
    frames, audible = windows(engine, 3)
    engine.look_globally(frames, audible)
    places = [(0, 0), (2, 700), (1, 333), (2, 31), (0, 64)]
    cut = engine.look_into(frames, places)
    length = engine.sizes.crop
    stacked = np.stack([frames[row, first : first + length] for row, first in places])
    np.testing.assert_array_equal(cut, engine.look_locally(stacked))


def test_its_memory_is_given_back(folder: Path) -> None:
    device = Device()
    load_engine(folder)  # what libraries keep for themselves
    gc.collect()
    before = device.free()[0]
    for _ in range(3):
        loaded = load_engine(folder)
        del loaded
        gc.collect()
    assert device.free()[0] > before - (64 << 20)


def test_a_gpu_without_room_is_an_engine_error() -> None:
    device = Device()
    with pytest.raises(EngineError, match="the GPU is out of memory"):
        Memory(device, 1 << 45)
    Memory(device, 1 << 20)  # and it goes on


def test_a_window_is_looked_at_within_3_ms(folder: Path) -> None:
    """The aim for one stream on one H200-class GPU, with TensorRT: both networks, 5 crops, and the hop's front end."""
    report = bench(folder, batches=(1,))
    (whole,) = [row for row in report.rows if row.graph == WINDOW]
    print(report.tree())
    if report.manifest.runtime.target == "tensorrt" and any(
        name in report.machine for name in ("H100", "H200", "B200")
    ):
        assert whole.p99_ms <= 3.0


@pytest.mark.slow
def test_cnn10_reaches_two_fifths_of_the_peak(tmp_path: Path) -> None:
    from benchmarks.untrained import untrained_engine

    untrained_engine("cnn10", tmp_path)
    build_engine(tmp_path / "bundle", tmp_path / "gpu", "tensorrt", "float16", 64)
    report = bench(tmp_path / "gpu", batches=(64,))
    (row,) = [row for row in report.rows if row.graph == "global"]
    print(report.tree())
    assert row.share is not None and row.share >= 0.4
