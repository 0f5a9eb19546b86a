"""What runs an engine on a GPU, run on the host: the same answers, batch by batch, and errors that say what to do."""

import dataclasses
import gc
from pathlib import Path

import numpy as np
import pytest

from glatd.engines.engine import Engine
from glatd.engines.manifest import VERSION, LabelEntry, Manifest, Profile, Runtime
from glatd.engines.targets.cuda_device import Device
from glatd.engines.targets.rows import Batches
from glatd.engines.targets.tensorrt_run import GpuGraph, load_graphs
from glatd.errors import EngineError
from tests.engines.host_cuda import Faked, HostCuda, host_library, run_onnx
from tests.engines.small import CLASSES, SIZES, small_bundle

MOST = 3  # streams


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    labels = tuple(LabelEntry(f"Sound {number}", "") for number in range(CLASSES))
    runtime = Runtime("tensorrt", "tensorrt-rtx", "1", "float32")
    return Manifest(VERSION, "small", SIZES, runtime, labels, (), {}, "MIT", "", profile=Profile(2, MOST))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the engine's files would be: graphs in place of engine bytes."""
    folder = small_bundle(tmp_path_factory.mktemp("gpu"))
    for name in ("frontend", "global", "local"):
        (folder / f"{name}.onnx").rename(folder / f"{name}.engine")
    return folder


@pytest.fixture(scope="module")
def cpu(folder: Path, manifest: Manifest) -> Engine:
    """The same graphs without all that is tested."""
    graphs = {}
    for name in manifest.inputs:
        run, outputs = run_onnx(folder / f"{name}.engine"), 5 if name == "global" else 1  # not the feature
        graphs[name] = lambda *arrays, run=run, outputs=outputs: tuple(run(list(arrays))[:outputs])
    return Engine(manifest, graphs)


def load(folder: Path, manifest: Manifest, cuda: HostCuda, work: Path) -> Engine:
    plans = {name: folder / f"{name}.engine" for name in manifest.inputs}
    return Engine(manifest, load_graphs(host_library(cuda, work), Device(cuda), plans, manifest), MOST)


@pytest.fixture(scope="module")
def cuda() -> HostCuda:
    return HostCuda()


@pytest.fixture(scope="module")
def gpu(folder: Path, manifest: Manifest, cuda: HostCuda, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load(folder, manifest, cuda, tmp_path_factory.mktemp("work"))


def windows(engine: Engine, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    sizes = engine.sizes
    random = np.random.default_rng(seed)
    frames = random.uniform(-8, 2, (count, sizes.window, sizes.mels)).astype(np.float32)
    return frames, np.ones((count, sizes.frames), np.float32)


def test_sizes_of_batches_are_never_filled_up_to_twice() -> None:
    assert Batches(1, 1).sizes == (1,)
    assert Batches(8, 16).sizes == (1, 2, 4, 8, 16)
    assert Batches(10, 20).sizes == (1, 2, 4, 8, 10, 16, 20)
    for most in range(1, 70):
        sizes = Batches(-(-most // 2), most).sizes
        assert max(sizes) == most
        assert all(min(size for size in sizes if size >= count) < 2 * count for count in range(1, most + 1))


@pytest.mark.parametrize("count", [1, 2, 3, 7])  # the last is more than it was built for
def test_it_says_what_the_cpu_says(gpu: Engine, cpu: Engine, count: int) -> None:
    frames, audible = windows(cpu, count, seed=count)
    one, other = gpu.look(frames, audible), cpu.look(frames, audible)
    for name in ("scores", "global_", "local", "starts", "classes", "activations", "framewise", "of_crops"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5, err_msg=name)
    samples = np.random.default_rng(count).uniform(-1, 1, (count, cpu.sizes.block_samples)).astype(np.float32)
    np.testing.assert_allclose(gpu.frontend(samples), cpu.frontend(samples), atol=1e-4)


def test_an_answer_is_not_changed_by_the_next_question(gpu: Engine) -> None:
    first = gpu.look_globally(*windows(gpu, 2, seed=1))
    kept = first.scores.copy()
    gpu.look_globally(*windows(gpu, 2, seed=2))
    np.testing.assert_array_equal(first.scores, kept)


def test_a_batch_is_one_launch(gpu: Engine, cuda: HostCuda) -> None:
    cuda.calls.clear()
    gpu.look_globally(*windows(gpu, 3))
    assert cuda.calls == ["cudaMemcpyAsync", "cudaMemcpyAsync", "cudaGraphLaunch", "cudaStreamSynchronize"]


def test_crops_are_cut_on_the_gpu(gpu: Engine, cuda: HostCuda) -> None:
    frames, audible = windows(gpu, 3)
    gpu.look_globally(frames, audible)
    places = [(0, 28), (2, 0), (2, 13), (1, 7)]
    length = gpu.sizes.crop
    expected = gpu.look_locally(np.stack([frames[row, first : first + length] for row, first in places]))
    local, whole = gpu.graphs["local"], gpu.graphs["global"]
    assert isinstance(local, GpuGraph) and isinstance(whole, GpuGraph)
    cuda.calls.clear()
    np.testing.assert_array_equal(gpu.look_into(frames, places), expected)
    assert cuda.calls.count("cudaMemcpyAsync") == len(places)  # none of them from the host
    # Frames that the GPU was not given last come from the host.
    np.testing.assert_array_equal(local.cut(whole, frames.copy(), places)[0], expected)
    more, heard = windows(gpu, MOST + 1)
    gpu.look_globally(more, heard)
    found = local.cut(whole, more, [(MOST, 5)])[0]
    np.testing.assert_array_equal(found, gpu.look_locally(more[MOST:, 5 : 5 + length]))
    assert local.cut(whole, more, [])[0].shape == (0, CLASSES)


def test_what_does_not_fit_is_refused(gpu: Engine) -> None:
    frames, audible = windows(gpu, 1)
    with pytest.raises(EngineError, match=r"global\.engine was given float32 \(1, 39, 8\), it takes float32"):
        gpu.look_globally(frames[:, 1:], audible)
    with pytest.raises(EngineError, match=r"was given float64"):
        gpu.look_globally(frames.astype(np.float64), audible)  # type: ignore[arg-type]


def test_an_engine_of_other_sizes_is_refused(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    shorter = dataclasses.replace(manifest, geometry=dataclasses.replace(manifest.geometry, window=39))
    with pytest.raises(EngineError, match=r"global\.engine takes .* build the engine again"):
        load(folder, shorter, HostCuda(), tmp_path)


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        ("cudaMalloc", 2, r"the GPU is out of memory \(NVIDIA Test 1, cudaMalloc: out of memory\); .*fewer --streams"),
        ("cudaHostAlloc", 2, r"out of memory \(NVIDIA Test 1, cudaHostAlloc"),
        ("cudaStreamSynchronize", 700, r"the GPU failed .*illegal memory access .*error 700.*run with a cpu engine"),
        ("cudaGetDeviceCount", 35, r"there is no NVIDIA GPU that CUDA can use"),
        ("cudaGetDeviceProperties", 46, r"the GPU does not answer"),
    ],
)
def test_a_gpu_that_fails_at_the_start_is_an_engine_error(
    folder: Path, manifest: Manifest, tmp_path: Path, call: str, code: int, said: str
) -> None:
    cuda = HostCuda()
    cuda.fails[call] = code
    with pytest.raises(EngineError, match=said):
        load(folder, manifest, cuda, tmp_path)


def test_a_gpu_that_is_lost_while_it_runs_is_an_engine_error(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    cuda = HostCuda()
    engine = load(folder, manifest, cuda, tmp_path)
    engine.look(*windows(engine, 1))
    cuda.fails["cudaGraphLaunch"] = 700
    with pytest.raises(EngineError, match="the GPU failed"):
        engine.look(*windows(engine, 1))


def test_what_cannot_be_recorded_is_run_as_it_is(folder: Path, manifest: Manifest, cpu: Engine, tmp_path: Path) -> None:
    """Loops, as of a GRU; and what CUDA refuses to record."""
    cuda = HostCuda()
    cuda.fails["cudaGraphInstantiate"] = 900
    engine = load(folder, manifest, cuda, tmp_path)
    assert "cudaGraphLaunch" not in cuda.calls
    frames, audible = windows(cpu, 2)
    np.testing.assert_allclose(engine.look(frames, audible).scores, cpu.look(frames, audible).scores, atol=1e-5)


def test_kernels_that_fail_are_told_with_what_tensorrt_said(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    cuda = HostCuda()
    library = host_library(cuda, tmp_path)
    plans = {name: folder / f"{name}.engine" for name in manifest.inputs}
    cuda.fails["cudaGraphInstantiate"] = 900  # so that each run asks TensorRT
    engine = Engine(manifest, load_graphs(library, Device(cuda), plans, manifest), MOST)
    assert isinstance(library.module, Faked)
    for plan in library.module.runtime.plans:
        plan.broken = True
    library.logger.log(library.module.ILogger.Severity.ERROR, "myelin: no kernel image")
    with pytest.raises(EngineError, match=r"global\.engine failed on the GPU: myelin: no kernel image; run with a cpu"):
        engine.look(*windows(engine, 1))


def test_memory_is_given_back_with_the_engine(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    """A daemon that has switched engines shall not keep both."""
    cuda = HostCuda()
    engine = load(folder, manifest, cuda, tmp_path)
    engine.look(*windows(engine, 1))
    assert cuda.held
    del engine
    gc.collect()
    assert not cuda.held


def test_memory_is_given_back_by_an_engine_that_does_not_load(folder: Path, manifest: Manifest, tmp_path: Path) -> None:
    cuda = HostCuda()
    cuda.fails["cudaStreamSynchronize"] = 700
    with pytest.raises(EngineError):
        load(folder, manifest, cuda, tmp_path)
    gc.collect()
    assert not cuda.held
