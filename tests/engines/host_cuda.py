"""Stands for a GPU where there is none: CUDA's runtime in the host's memory, and TensorRT plans that OpenVINO runs.

Whatever is asked of the stream is done when it is waited for and not before, as on a GPU that is slow, so reading a
result too early or filling a buffer too early gives wrong numbers. What is recorded is not done. A file that should be
engine bytes is the ONNX graph here. Everything else, TensorRT's names and types included, is the real thing.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from glatd.engines.targets.cpu import the_core
from glatd.engines.targets.tensorrt_library import Library, find_library

Op = Callable[[], None]
Arrays = list[np.ndarray[Any, Any]]


def run_onnx(path: Path) -> Callable[[Arrays], Arrays]:
    """An ONNX graph as a function, in float32 on the host."""
    core = the_core()
    model = core.read_model(path.read_bytes())
    request = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()

    def run(inputs: Arrays) -> Arrays:
        request.infer(inputs)
        return [tensor.data.copy() for tensor in request.output_tensors]

    return run


class HostCuda:
    """What is used of `cuda.bindings.runtime`.

    Attributes:
        fails: name of a function -> error code that it returns from now on.
        held: addresses of memory that was not given back.
        calls: names, in order.
    """

    cudaHostAllocDefault = 0
    cudaStreamNonBlocking = 1
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, name: str = "NVIDIA Test 1", capability: tuple[int, int] = (9, 0)) -> None:
        self.fails: dict[str, int] = {}
        self.held: dict[int, Any] = {}
        self.calls: list[str] = []
        self._name, self._capability = name, capability
        self._queue: list[Op] = []
        self._recording: list[Op] | None = None

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if not name.startswith("cuda") or not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            error = self.fails.get(name, 0)
            return (error, None) if error else found(*arguments)

        return call

    def enqueue(self, op: Op) -> None:
        """What a kernel or a copy does, later."""
        (self._queue if self._recording is None else self._recording).append(op)

    def cudaGetDeviceCount(self) -> Any:
        return 0, 1

    def cudaGetDeviceProperties(self, device: int) -> Any:
        major, minor = self._capability
        return 0, SimpleNamespace(name=self._name.encode() + b"\0", major=major, minor=minor, totalGlobalMem=1 << 34)

    def cudaDriverGetVersion(self) -> Any:
        return 0, 13020

    def cudaGetErrorString(self, error: int) -> Any:
        return 0, {2: b"out of memory", 700: b"an illegal memory access was encountered"}.get(error, b"unknown error")

    def cudaGetLastError(self) -> Any:
        return (0,)

    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        return 0, 7

    def cudaStreamDestroy(self, stream: int) -> Any:
        return (0,)

    def _allocate(self, size: int) -> Any:
        buffer = (ctypes.c_uint8 * size).from_buffer(bytearray(b"\xff" * size))  # no numbers, until somebody writes
        address = ctypes.addressof(buffer)
        self.held[address] = buffer
        return 0, address

    def cudaMalloc(self, size: int) -> Any:
        return self._allocate(size)

    def cudaHostAlloc(self, size: int, flags: int) -> Any:
        return self._allocate(size)

    def cudaFree(self, address: int) -> Any:
        del self.held[address]
        return (0,)

    cudaFreeHost = cudaFree

    def cudaMemGetInfo(self) -> Any:
        return 0, 1 << 33, 1 << 34

    def cudaMemcpyAsync(self, to: int, of: int, size: int, kind: int, stream: int) -> Any:
        for address in (to, of):
            inside = any(0 <= address - start <= len(held) - size for start, held in self.held.items())
            assert inside, "a copy beyond what was allocated"
        self.enqueue(lambda: ctypes.memmove(to, of, size))
        return (0,)

    def cudaStreamSynchronize(self, stream: int) -> Any:
        assert self._recording is None, "waiting cannot be recorded"
        for op in self._queue:
            op()
        self._queue.clear()
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> Any:
        self._recording = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> Any:
        recorded, self._recording = self._recording, None
        return 0, recorded

    def cudaGraphInstantiate(self, graph: list[Op], flags: int) -> Any:
        return 0, tuple(graph)

    def cudaGraphDestroy(self, graph: list[Op]) -> Any:
        return (0,)

    def cudaGraphExecDestroy(self, ready: tuple[Op, ...]) -> Any:
        return (0,)

    def cudaGraphLaunch(self, ready: tuple[Op, ...], stream: int) -> Any:
        for op in ready:
            self.enqueue(op)
        return (0,)


class Context:
    """An `IExecutionContext`."""

    def __init__(self, plan: "Plan") -> None:
        self.plan = plan
        self.addresses: dict[str, int] = {}
        self.batch = 0

    def set_device_memory(self, address: int, size: int) -> None:
        assert size >= self.plan.device_memory_size_v2

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.batch = shape[0]
        return True

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def is_stream_capturable(self, stream: int) -> bool:
        return self.plan.capturable

    def execute_async_v3(self, stream: int) -> bool:
        if self.plan.broken:
            return False
        batch, addresses, plan = self.batch, dict(self.addresses), self.plan

        def view(name: str) -> np.ndarray[Any, Any]:
            _, row, kind = plan.tensors[name]
            count = batch * int(np.prod(row)) * kind.itemsize
            return np.frombuffer((ctypes.c_uint8 * count).from_address(addresses[name]), kind).reshape(batch, *row)

        def run() -> None:
            found = plan.run([view(name).copy() for name in plan.inputs])
            for name, array in zip(plan.outputs, found, strict=False):
                view(name)[...] = array

        plan.cuda.enqueue(run)
        return True


class Plan:
    """An `ICudaEngine`, of an ONNX graph."""

    device_memory_size_v2 = 1 << 16

    def __init__(self, cuda: HostCuda, trt: Any, path: Path) -> None:
        import onnx

        graph = onnx.load(path).graph
        self.cuda, self.trt = cuda, trt
        self.broken, self.capturable = False, True
        self.inputs = [value.name for value in graph.input]
        self.outputs = [value.name for value in graph.output if value.name != "feature"]
        kinds = {1: (trt.float32, np.dtype(np.float32)), 7: (trt.int64, np.dtype(np.int64))}
        self.tensors = {}  # name -> type of TensorRT's, shape of a row, type of numpy's
        for value in (*graph.input, *graph.output):
            tensor = value.type.tensor_type
            row = tuple(dimension.dim_value for dimension in tensor.shape.dim)[1:]
            kind, dtype = kinds[tensor.elem_type]
            self.tensors[value.name] = (kind, row, dtype)
        self.run = run_onnx(path)
        self.num_io_tensors = len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, number: int) -> str:
        return (self.inputs + self.outputs)[number]

    def get_tensor_mode(self, name: str) -> Any:
        return self.trt.TensorIOMode.INPUT if name in self.inputs else self.trt.TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.tensors[name][1])

    def get_tensor_dtype(self, name: str) -> Any:
        return self.tensors[name][0]

    def create_runtime_config(self) -> Any:
        return SimpleNamespace(set_execution_context_allocation_strategy=lambda strategy: None)

    def create_execution_context(self, settings: Any) -> Context:
        return Context(self)


class Runtime:
    """TensorRT's `Runtime`.

    Attributes:
        plans: what it loaded.
    """

    def __init__(self, cuda: HostCuda, trt: Any, folder: Path) -> None:
        self.cuda, self.trt, self.folder = cuda, trt, folder
        self.plans: list[Plan] = []

    def deserialize_cuda_engine(self, data: bytes) -> Plan | None:
        path = self.folder / f"plan{len(self.plans)}.onnx"
        path.write_bytes(data)
        self.plans.append(Plan(self.cuda, self.trt, path))
        return self.plans[-1]


class Faked:
    """The real TensorRT-RTX, but for what needs a device.

    Attributes:
        runtime: the one that it makes.
    """

    def __init__(self, cuda: HostCuda, folder: Path) -> None:
        self._real = find_library("tensorrt-rtx").module
        self.runtime = Runtime(cuda, self._real, folder)

    def Runtime(self, logger: Any) -> Runtime:
        return self.runtime

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def host_library(cuda: HostCuda, folder: Path) -> Library:
    """TensorRT-RTX whose plans run on the host."""
    real = find_library("tensorrt-rtx")
    return Library(real.name, real.version, Faked(cuda, folder), real.logger)
