"""Memory, one stream and recorded graphs of the GPU, over CUDA's runtime; every error is an `EngineError`.

A device belongs to one engine and is used from one thread at a time. Its memory goes when nobody holds it any more.
"""

import ctypes
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glatd.engines.targets.cuda_gpu import cuda_runtime, find_gpu, text_of
from glatd.errors import EngineError

MEMORY = 2  # cudaErrorMemoryAllocation


class Pinned:
    """Memory of the host that the GPU copies from and to by itself.

    Attributes:
        array: it, of zeros.
    """

    def __init__(self, device: "Device", shape: tuple[int, ...], dtype: DTypeLike) -> None:
        kind = np.dtype(dtype)
        count = max(1, int(np.prod(shape)) * kind.itemsize)
        cuda = device.cuda
        self.address = int(device.call("cudaHostAlloc", count, cuda.cudaHostAllocDefault))
        _free_with(self, cuda.cudaFreeHost, self.address)
        whole = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(self.address))
        whole[:] = 0
        self.array: NDArray[Any] = whole.view(kind)[: int(np.prod(shape))].reshape(shape)


class Memory:
    """Memory of the GPU, not set to anything."""

    def __init__(self, device: "Device", size: int) -> None:
        self.size = max(1, size)
        self.address = int(device.call("cudaMalloc", self.size))
        _free_with(self, device.cuda.cudaFree, self.address)


class Device:
    """The GPU, and the one stream that everything of an engine goes through.

    Args:
        cuda: the module of CUDA's runtime, or what stands for it.

    Raises:
        EngineError: there is no GPU, or it does not answer.
    """

    def __init__(self, cuda: Any = None) -> None:
        self.cuda = cuda or cuda_runtime()
        self.gpu = find_gpu(self.cuda)
        self.stream = self.call("cudaStreamCreateWithFlags", self.cuda.cudaStreamNonBlocking)
        _free_with(self, self.cuda.cudaStreamDestroy, self.stream)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of CUDA's runtime; what it gives beside its error.

        Raises:
            EngineError: that.
        """
        error, *given = getattr(self.cuda, name)(*arguments)
        if int(error):
            self.cuda.cudaGetLastError()  # else the next call would be told of it once more
            raise EngineError(self.explain(name, error))
        return given[0] if len(given) == 1 else tuple(given)

    def explain(self, name: str, error: Any) -> str:
        """An error of CUDA's, and what can be done."""
        text = text_of(self.cuda, error)
        if int(error) == MEMORY:
            return (
                f"the GPU is out of memory ({self.gpu.name}, {name}: {text}); end what else uses it (nvidia-smi), "
                "or build the engine for fewer --streams"
            )
        return (
            f"the GPU failed ({self.gpu.name}, {name}: {text}, error {int(error)}); nvidia-smi and the kernel's log "
            "tell more; start glatd again, or run with a cpu engine"
        )

    def to_device(self, to: int, of: int, size: int) -> None:
        """Have bytes copied from pinned memory to the GPU's."""
        self.call("cudaMemcpyAsync", to, of, size, self.cuda.cudaMemcpyKind.cudaMemcpyHostToDevice, self.stream)

    def to_host(self, to: int, of: int, size: int) -> None:
        """Have bytes copied from the GPU's memory to pinned memory."""
        self.call("cudaMemcpyAsync", to, of, size, self.cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost, self.stream)

    def within(self, to: int, of: int, size: int) -> None:
        """Have bytes copied within the GPU's memory."""
        self.call("cudaMemcpyAsync", to, of, size, self.cuda.cudaMemcpyKind.cudaMemcpyDeviceToDevice, self.stream)

    def wait(self) -> None:
        """Until all that was asked for is done.

        Raises:
            EngineError: some of it failed.
        """
        self.call("cudaStreamSynchronize", self.stream)

    def record(self, ask: Callable[[], None]) -> Callable[[], None]:
        """A function that has all done again what `ask` asks for, in one call.

        Raises:
            EngineError: it cannot be recorded, or `ask` failed.
        """
        mode = self.cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.call("cudaStreamBeginCapture", self.stream, mode)
        try:
            ask()
        except BaseException:
            self.cuda.cudaStreamEndCapture(self.stream)  # leaves the stream usable; what it says is no news
            self.cuda.cudaGetLastError()
            raise
        recorded = self.call("cudaStreamEndCapture", self.stream)
        ready = self.call("cudaGraphInstantiate", recorded, 0)
        self.call("cudaGraphDestroy", recorded)

        def run() -> None:
            self.call("cudaGraphLaunch", ready, self.stream)

        _free_with(run, self.cuda.cudaGraphExecDestroy, ready)
        return run

    def free(self) -> tuple[int, int]:
        """Bytes of its memory that nobody uses, and all."""
        unused, all_of_it = self.call("cudaMemGetInfo")
        return int(unused), int(all_of_it)


def _free_with(owner: Any, free: Callable[[Any], Any], what: Any) -> None:
    """Give `what` back when `owner` goes; at the end of the process CUDA does so by itself."""
    weakref.finalize(owner, free, what).atexit = False
