"""What a machine can do at most, measured where an engine runs: a large matrix product and a large copy.

The product is computed by the engine's own runtime, on as many threads and in its precision, so that the share that an
engine reaches says how much is left to win, and not which library is the better one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from glatd.engines.manifest import Runtime
from glatd.errors import EngineError

SECONDS = 0.5  # at least, of each probe
CPU_SIDE, GPU_SIDE = 1024, 4096  # of the matrices: 1.1 and 69 G multiply-adds
CHAIN = 16  # products in one run on a GPU
COPIED = 256 << 20  # bytes: beyond every cache


@dataclass(frozen=True, slots=True)
class Peak:
    """Of one machine, runtime and precision."""

    precision: str  # that the product was computed in
    multiply_adds: float  # a second
    copied: float  # bytes a second, each read and written


def measure_peak(runtime: Runtime, threads: int) -> Peak:
    """Measure where engines of this runtime run.

    Args:
        threads: of a CPU; 0 lets its runtime choose.

    Raises:
        EngineError: there is no such target, or it does not run here.
    """
    if runtime.target == "cpu":
        return cpu_peak(runtime.precision, threads)
    if runtime.target == "tensorrt":
        return tensorrt_peak(runtime)
    if runtime.target == "cuda":
        return torch_peak(runtime.precision)
    raise EngineError(f"there is no probe for the target {runtime.target!r}")


def cpu_peak(precision: str, threads: int) -> Peak:
    """By OpenVINO, and numpy's copy."""
    from glatd.engines.targets.cpu import runtime as openvino
    from glatd.engines.targets.cpu import the_core

    ov = openvino()
    core = the_core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    # In 8 bits a product has no type of its own to be asked for; float16 is computed as float32 by most.
    hint, used = ("bf16", "bfloat16") if precision == "bfloat16" and "BF16" in able else ("f32", "float32")
    if precision == "float16" and "FP16" in able:
        hint, used = "f16", "float16"
    random = np.random.default_rng(0)
    sides = [CPU_SIDE, CPU_SIDE]
    given = ov.opset13.parameter(sides, np.float32)
    weights = ov.opset13.constant(random.standard_normal(sides).astype(np.float32) / CPU_SIDE)
    model = ov.Model([ov.opset13.matmul(given, weights, False, False)], [given])
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    settings["ENABLE_CPU_PINNING"] = False
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    matrix = random.standard_normal(sides).astype(np.float32)
    source, to = np.ones(COPIED, np.uint8), np.zeros(COPIED, np.uint8)
    product = fastest(lambda: request.infer([matrix], share_inputs=True))
    return Peak(used, CPU_SIDE**3 / product, COPIED / fastest(lambda: np.copyto(to, source)))


def tensorrt_peak(runtime: Runtime) -> Peak:
    """By TensorRT, and CUDA's copy within the GPU's memory."""
    from glatd.engines.targets.cuda_device import Device, Memory
    from glatd.engines.targets.rows import Batches
    from glatd.engines.targets.tensorrt_build import Settings, build
    from glatd.engines.targets.tensorrt_library import find_library
    from glatd.engines.targets.tensorrt_run import GpuGraph

    library, device = find_library(runtime.name), Device()
    row, batches = ((GPU_SIDE,),), Batches(GPU_SIDE, GPU_SIDE)
    data = build(library, product_chain(runtime.precision), row, batches, Settings())
    plan = library.module.Runtime(library.logger).deserialize_cuda_engine(data)
    if plan is None:
        raise EngineError(f"TensorRT does not load the probe: {library.said()}")
    scratch = Memory(device, int(plan.device_memory_size_v2))
    graph = GpuGraph(library, device, "probe", plan, row, batches, scratch, sizes=(GPU_SIDE,))
    one, other = Memory(device, COPIED), Memory(device, COPIED)

    def copy() -> None:
        device.within(other.address, one.address, COPIED)
        device.wait()

    product = fastest(graph.again)
    return Peak(runtime.precision, CHAIN * GPU_SIDE**3 / product, COPIED / fastest(copy))


def torch_peak(precision: str) -> Peak:
    """By torch, with TF32 as its engines have it, and its copy within the GPU's memory."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    kind = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(precision, torch.float32)
    one = torch.randn(GPU_SIDE, GPU_SIDE, device="cuda", dtype=kind) / GPU_SIDE**0.5
    other, to = torch.empty_like(one), torch.zeros(COPIED, dtype=torch.uint8, device="cuda")
    source = torch.ones_like(to)

    def product() -> None:
        for _ in range(CHAIN):
            torch.matmul(one, one, out=other)
        torch.cuda.synchronize()

    def copy() -> None:
        to.copy_(source)
        torch.cuda.synchronize()

    return Peak(precision, CHAIN * GPU_SIDE**3 / fastest(product), COPIED / fastest(copy))


def product_chain(precision: str) -> bytes:
    """An ONNX graph [B, side] -> [B, 1]: `CHAIN` products with one matrix, of which next to nothing is copied out."""
    from onnx import TensorProto, helper, numpy_helper

    kinds = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}
    matrix = np.random.default_rng(0).standard_normal((GPU_SIDE, GPU_SIDE)).astype(np.float32) / np.sqrt(GPU_SIDE)
    to = kinds.get(precision, TensorProto.FLOAT)
    nodes = [helper.make_node("Cast", [name], [f"{name}.low"], to=to) for name in ("x", "matrix")]
    for number in range(CHAIN):
        before = f"product{number - 1}" if number else "x.low"
        nodes.append(helper.make_node("MatMul", [before, "matrix.low"], [f"product{number}"]))
    nodes.append(helper.make_node("Cast", [f"product{CHAIN - 1}"], ["wide"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("ReduceMax", ["wide", "axes"], ["y"], keepdims=1))
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", GPU_SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 1])],
        [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(np.array([1]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


def fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of the runs that fit into `SECONDS`, three at least: what the machine can."""
    run()
    found: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(found) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)
