"""The TensorRT target up to the first call that needs a device: real engine bytes, and refusals that say what to do."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from glatd.engines.build import build_engine, write_geometry
from glatd.engines.load import load_engine
from glatd.engines.manifest import Manifest, Profile, check_files, read_manifest
from glatd.engines.material import About, write_material
from glatd.engines.targets import cuda_gpu, find_target, tensorrt_library
from glatd.engines.targets import tensorrt as target
from glatd.engines.targets.cuda_gpu import driver_version, find_gpu
from glatd.engines.targets.rows import Batches
from glatd.engines.targets.tensorrt import TensorRT, built_for
from glatd.engines.targets.tensorrt_build import Settings
from glatd.engines.targets.tensorrt_library import Library, find_library
from glatd.engines.trunks import Trunk
from glatd.errors import EngineError
from tests.engines.answered import write_sounds
from tests.engines.host_cuda import HostCuda
from tests.engines.small import CLASSES, SIZES, small_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("tensorrt") / "bundle")


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Path:
    """Built by what is installed. Not to be changed."""
    build_engine(bundle, bundle.with_name("engine"), "tensorrt", streams=4)
    return bundle.with_name("engine")


@pytest.fixture
def fresh() -> Iterator[None]:
    """TensorRT is looked for anew, also afterwards."""
    tensorrt_library._import.cache_clear()
    yield
    tensorrt_library._import.cache_clear()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> HostCuda:
    """A machine with a GPU, as far as anybody has asked for yet."""
    cuda = HostCuda("NVIDIA Test 1", (9, 0))
    monkeypatch.setattr(cuda_gpu, "cuda_runtime", lambda: cuda)
    return cuda


def test_tensorrt_is_installed() -> None:
    """Not skipped where it is absent: then the tests of building would prove nothing."""
    library = find_library()
    assert library.name in ("tensorrt", "tensorrt-rtx")
    assert library.version == library.module.__version__


def test_every_precision_builds(bundle: Path, engine: Path, tmp_path: Path) -> None:
    hashes = {read_manifest(engine).hash}
    for precision in find_target("tensorrt").precisions[1:]:
        out = tmp_path / precision
        hashes.add(build_engine(bundle, out, "tensorrt", precision, streams=4).hash)
    assert len(hashes) == 3
    for folder in (engine, tmp_path / "float16", tmp_path / "bfloat16"):
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        names = {"frontend.engine", "global.engine", "local.engine", "probe.npz"}
        assert {entry.name for entry in manifest.files} >= names
        assert all((folder / name).stat().st_size > 1000 for name in names if name.endswith(".engine"))


def test_the_manifest_says_what_it_was_built_for(engine: Path) -> None:
    manifest, library = read_manifest(engine), find_library()
    runtime = manifest.runtime
    assert (runtime.target, runtime.name, runtime.version) == ("tensorrt", library.name, library.version)
    assert manifest.profile == Profile(typical=2, most=4)
    assert runtime.built_for["tf32"] == "off" and runtime.built_for["typing"] == "strong"
    assert {"gpu", "compute_capability"} <= set(runtime.built_for)
    assert find_target("tensorrt").most_windows(manifest) == 4


def test_a_bundle_with_trunks_and_clips_builds_without_its_trunks(bundle: Path, tmp_path: Path) -> None:
    """The clips are of the bundle's own sizes, the engine has fewer graphs."""
    copy = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    sizes = replace(SIZES, trunks=(Trunk("local", SIZES.crop, SIZES.stride, 4, 2, 1, 16),))
    path = write_sounds(copy, SIZES, CLASSES, windows=4)
    with np.load(path) as stored:
        arrays = dict(stored)
    about = json.loads(arrays.pop("about").tobytes()) | {"geometry": sizes}
    write_material(copy, About(**about), arrays)
    write_geometry(copy, sizes)
    for graph in ("local_trunk", "local_head"):
        shutil.copyfile(copy / "local.onnx", copy / f"{graph}.onnx")
    manifest = build_engine(copy, tmp_path / "engine", "tensorrt", streams=2)
    assert manifest.geometry == SIZES and set(manifest.inputs) == {"frontend", "global", "local"}


def test_without_a_gpu_it_is_refused_politely(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = HostCuda()
    cuda.fails["cudaGetDeviceCount"] = 35
    monkeypatch.setattr(cuda_gpu, "cuda_runtime", lambda: cuda)
    with pytest.raises(EngineError, match=r"engine cannot run here: there is no NVIDIA GPU that CUDA can use .*nvidia"):
        load_engine(engine)


@pytest.mark.skipif(target.gpu_here() is not None, reason="there is one")
def test_the_real_cuda_says_that_there_is_no_gpu() -> None:
    with pytest.raises(EngineError, match=r"there is no NVIDIA GPU that CUDA can use \(.+\); see nvidia-smi"):
        find_gpu()


def test_a_gpu_is_described(gpu: HostCuda, tmp_path: Path) -> None:
    found = find_gpu()
    assert (found.name, found.capability, found.cuda) == ("NVIDIA Test 1", "9.0", "13.2")
    (tmp_path / "version").write_text("580.95.05\n")
    assert driver_version(tmp_path / "version") == "580.95.05"
    assert driver_version(tmp_path / "none") == ""


def described(engine: Path, **changed: Any) -> Manifest:
    manifest = read_manifest(engine)
    return replace(manifest, runtime=replace(manifest.runtime, **changed))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"version": "1.0"}, r"is version .* here and 1.0 where it was built; build it again here"),
        ({"name": "tensorrt-lite"}, r"the runtime 'tensorrt-lite' is not known"),
        (
            {"built_for": {"gpu": "NVIDIA Test 2", "compute_capability": "9.0"}},
            "it was built for NVIDIA Test 2, and this machine has NVIDIA Test 1; build it again here",
        ),
        (
            {"built_for": {"gpu": "NVIDIA Test 1", "compute_capability": "8.0"}},
            "it was built for NVIDIA Test 1, and this machine has NVIDIA Test 1; build it again here",
        ),
    ],
)
def test_an_engine_of_elsewhere_is_refused(engine: Path, gpu: HostCuda, changed: dict[str, Any], said: str) -> None:
    obstacle = TensorRT().obstacle(described(engine, **changed))
    if not said:
        assert obstacle == ""
    else:
        assert re.search(said, obstacle)


def test_the_full_tensorrt_builds_for_the_gpu_that_is_here(gpu: HostCuda) -> None:
    full = Library("tensorrt", "11.4", None, None)
    told = built_for(full, find_gpu())
    assert (told["gpu"], told["compute_capability"], told["tf32"]) == ("NVIDIA Test 1", "9.0", "off")
    assert told["cuda"] == "13.2" and "driver" in told and told["optimisation"] == "3"


def test_settings_reach_tensorrt() -> None:
    library = find_library("tensorrt-rtx")
    trt = library.module
    config = trt.Builder(library.logger).create_builder_config()
    assert config.get_flag(trt.BuilderFlag.TF32)  # so by itself
    Settings().apply(library, config)
    assert not config.get_flag(trt.BuilderFlag.TF32)
    with pytest.raises(TypeError):
        Settings(enabled_precisions={"float16"})  # type: ignore[call-arg]


def test_rows_of_each_graph() -> None:
    profile = TensorRT().profile(16)
    assert profile == Profile(8, 16)
    assert Batches.of("global", profile, 5) == Batches(8, 16)
    assert Batches.of("local", profile, 5) == Batches(40, 80)
    assert TensorRT().profile(1) == Profile(1, 1)


def broken_bundle(folder: Path, graph: Any) -> Path:
    bundle = small_bundle(folder)
    (bundle / "global.onnx").write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    return bundle


def test_a_graph_that_is_none_is_named(tmp_path: Path) -> None:
    for precision in ("float32", "float16"):
        with pytest.raises(EngineError, match=r"global\.onnx: .*(cannot read)"):
            build_engine(broken_bundle(tmp_path / "b", b"nothing"), tmp_path / "out", "tensorrt", precision)
        assert not (tmp_path / "out").exists()


def test_an_operation_that_tensorrt_does_not_know_is_named(tmp_path: Path) -> None:
    graph = onnx.load(small_bundle(tmp_path / "b") / "global.onnx")
    graph.opset_import.append(helper.make_opsetid("example", 1))
    graph.graph.node[0].domain, graph.graph.node[0].op_type = "example", "Subtract"
    with pytest.raises(EngineError, match=r"global\.onnx: TensorRT cannot read the graph: .*Subtract"):
        build_engine(broken_bundle(tmp_path / "b", graph), tmp_path / "out", "tensorrt")


def test_a_graph_of_other_sizes_is_refused(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "b")
    graph = onnx.load(bundle / "local.onnx")
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 16
    onnx.save(graph, bundle / "local.onnx")
    with pytest.raises(EngineError, match=r"local\.onnx: the graph takes \[\(16, 8\)\] a row, not \[\(12, 8\)\]"):
        build_engine(bundle, tmp_path / "out", "tensorrt")


def test_tensorrt_that_is_absent(
    bundle: Path, engine: Path, tmp_path: Path, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in tensorrt_library.MODULES.values():
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineError, match=r"tensorrt is not installed; tensorrt-rtx is not installed; pip install 'gl"):
        build_engine(bundle, tmp_path / "out", "tensorrt")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(EngineError, match=r"engine cannot run here: there is no TensorRT to use: .*pip install"):
        load_engine(engine)


@pytest.mark.parametrize("kind", ["Exception", "AssertionError", "RuntimeError", "OSError"])
def test_tensorrt_that_is_broken(
    bundle: Path, tmp_path: Path, fresh: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As a package is whose libraries did not come with it."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.delitem(sys.modules, "tensorrt_rtx", raising=False)
    (tmp_path / "site" / "tensorrt_rtx").mkdir(parents=True)
    (tmp_path / "site" / "tensorrt_rtx" / "__init__.py").write_text(f"raise {kind}('no libraries\\nsee below')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(EngineError, match=r"tensorrt is not installed; tensorrt-rtx is broken: no libraries; pip"):
        build_engine(bundle, tmp_path / "out", "tensorrt")


def test_tensorrt_that_lacks_a_part(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tensorrt_rtx", raising=False)
    (tmp_path / "tensorrt_rtx").mkdir()
    (tmp_path / "tensorrt_rtx" / "__init__.py").write_text("import tensorrt_rtx_bindings_of_another_python\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match="tensorrt-rtx lacks tensorrt_rtx_bindings_of_another_python; pip"):
        find_library("tensorrt-rtx")
