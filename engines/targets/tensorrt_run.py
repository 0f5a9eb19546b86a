"""Run TensorRT engines: pinned buffers, one stream, and for each of a few batch sizes all that it takes in one call.

A batch is filled up to the next of these sizes, whose copies and kernels were recorded as a CUDA graph when the engine
was loaded, so that nothing is compiled or allocated while a daemon runs. Rows do not see each other, so what fills up
is not seen either.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Floats, Graph
from glatd.engines.manifest import Manifest
from glatd.engines.targets.cuda_device import Device, Memory, Pinned
from glatd.engines.targets.rows import Batches, check_inputs, in_parts
from glatd.engines.targets.tensorrt_library import Library
from glatd.engines.trunks import Shapes
from glatd.errors import EngineError

log = logging.getLogger("glatd.engines")


class GpuGraph:
    """One graph on the GPU, callable as `engine.Graph`: float32 arrays [B, *row] -> the graph's outputs, copied.

    Args:
        name: of its file, for messages.
        plan: the `ICudaEngine`.
        inputs: shape of a row of each input.
        scratch: what its kernels need while they run.
        sizes: of batches that are recorded; by default those of `Batches.sizes`.

    Raises:
        EngineError: it was compiled for other shapes, or the GPU has no room.
    """

    def __init__(
        self,
        library: Library,
        device: Device,
        name: str,
        plan: Any,
        inputs: Shapes,
        batches: Batches,
        scratch: Memory,
        sizes: Sequence[int] = (),
    ) -> None:
        self._library, self._device, self._name, self._plan = library, device, name, plan
        self._rows, self._most, self._scratch = inputs, batches.most, scratch
        trt = library.module
        names = [plan.get_tensor_name(number) for number in range(plan.num_io_tensors)]
        self._into = [one for one in names if plan.get_tensor_mode(one) == trt.TensorIOMode.INPUT]
        self._out = [one for one in names if plan.get_tensor_mode(one) == trt.TensorIOMode.OUTPUT]
        shapes = {one: tuple(plan.get_tensor_shape(one)) for one in names}
        found = [shapes[one] for one in self._into]
        if found != [(-1, *row) for row in inputs]:
            raise EngineError(f"{name} takes {found}, not {list(inputs)} a row; build the engine again")
        kinds = {one: np.dtype(trt.nptype(plan.get_tensor_dtype(one))) for one in names}
        self._host = {one: Pinned(device, (batches.most, *shapes[one][1:]), kinds[one]) for one in names}
        self._gpu = {one: Memory(device, self._host[one].array.nbytes) for one in names}
        self._steps = {size: self._prepared(size) for size in sizes or batches.sizes}
        self._last: NDArray[Any] | None = None  # what the GPU's first input buffer holds

    def __call__(self, *arrays: Floats) -> tuple[NDArray[np.generic], ...]:
        check_inputs(self._name, arrays, self._rows)
        found = in_parts(self._part, arrays, self._most)
        self._last = arrays[0] if len(arrays[0]) <= self._most else None
        return found

    def cut(self, of: "GpuGraph", frames: Floats, places: Sequence[tuple[int, int]]) -> tuple[NDArray[np.generic], ...]:
        """Run on pieces of what `of` was given last, which lies on the GPU still.

        Args:
            frames: that very array.
            places: of each piece, the row and its first frame there.

        Returns:
            As of a call with the pieces; from the host's memory where the GPU does not have them any more.
        """
        length, *_ = self._rows[0]
        if of._last is not frames or not 0 < len(places) <= self._most:
            pieces = np.empty((len(places), *self._rows[0]), np.float32)
            for number, (row, first) in enumerate(places):
                pieces[number] = frames[row, first : first + length]
            return self(pieces)
        piece = self._host[self._into[0]].array[0].nbytes
        row_bytes, frame_bytes = frames[0].nbytes, frames[0, 0].nbytes
        to, source = self._gpu[self._into[0]].address, of._gpu[of._into[0]].address
        for number, (row, first) in enumerate(places):
            self._device.within(to + number * piece, source + row * row_bytes + first * frame_bytes, piece)
        self._last = None
        return self._finish(len(places))

    def again(self) -> None:
        """Run the largest batch on what its inputs hold on the GPU, for a measurement without the copies there."""
        self._steps[max(self._steps)]()
        self._device.wait()

    def _part(self, arrays: Sequence[Floats]) -> tuple[NDArray[np.generic], ...]:
        count = len(arrays[0])
        for name, array in zip(self._into, arrays, strict=True):
            host = self._host[name]
            np.copyto(host.array[:count], array)
            self._device.to_device(self._gpu[name].address, host.address, host.array[:count].nbytes)
        return self._finish(count)

    def _finish(self, count: int) -> tuple[NDArray[np.generic], ...]:
        self._steps[min(size for size in self._steps if size >= count)]()
        self._device.wait()
        return tuple(self._host[name].array[:count].copy() for name in self._out)

    def _prepared(self, size: int) -> Callable[[], None]:
        """All that follows the inputs' copies to the GPU, for one size of batch."""
        context, library, device, name = self._context(), self._library, self._device, self._name
        for into, row in zip(self._into, self._rows, strict=True):
            if not context.set_input_shape(into, (size, *row)):
                raise EngineError(f"{name} was not built for a batch of {size}: {library.said()}")
        for tensor, memory in self._gpu.items():
            context.set_tensor_address(tensor, memory.address)
        out = [(self._host[one], self._gpu[one], self._host[one].array[:size].nbytes) for one in self._out]

        def ask() -> None:  # holds none of this object, so that its memory goes with its last user
            if not context.execute_async_v3(int(device.stream)):
                raise EngineError(f"{name} failed on the GPU: {library.said()}; run with a cpu engine")
            for host, memory, count in out:
                device.to_host(host.address, memory.address, count)

        for into in self._into:  # what is there by chance might be no number
            device.to_device(self._gpu[into].address, self._host[into].address, self._host[into].array.nbytes)
        ask()  # once before it is recorded: what TensorRT does at a first run is no part of the graph
        device.wait()
        if not getattr(context, "is_stream_capturable", lambda stream: True)(int(device.stream)):
            return ask  # loops, as those of a GRU, ask the host how to go on
        try:
            return device.record(ask)
        except EngineError as error:
            log.info("%s runs without a CUDA graph at batch %d: %s", name, size, error)
            ask()  # whether it still runs
            device.wait()
            return ask

    def _context(self) -> Any:
        """An execution context that works in the shared scratch memory."""
        trt, plan = self._library.module, self._plan
        ours = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if self._library.portable:
            settings = plan.create_runtime_config()
            settings.set_execution_context_allocation_strategy(ours)
            settings.cuda_graph_strategy = trt.CudaGraphStrategy.DISABLED  # they are recorded here
            # Else kernels for the shape come in the background, when the others were recorded already.
            settings.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            context = plan.create_execution_context(settings)
        else:
            context = plan.create_execution_context(ours)
        if context is None:
            raise EngineError(f"{self._name} cannot run on this GPU: {self._library.said()}; use a cpu engine")
        context.set_device_memory(self._scratch.address, self._scratch.size)
        return context


def load_graphs(library: Library, device: Device, plans: Mapping[str, Path], manifest: Manifest) -> Mapping[str, Graph]:
    """Every graph of an engine, its batch sizes recorded.

    Raises:
        EngineError: TensorRT does not take one, or the GPU has no room.
    """
    assert manifest.profile is not None
    runtime = library.module.Runtime(library.logger)
    engines = {name: deserialised(library, runtime, path) for name, path in plans.items()}
    # What kernels need while they run: they run one after the other, so all graphs share the largest need.
    scratch = Memory(device, max(int(plan.device_memory_size_v2) for plan in engines.values()))
    crops = manifest.geometry.crops
    found: dict[str, Graph] = {
        name: GpuGraph(
            library,
            device,
            plans[name].name,
            plan,
            manifest.inputs[name],
            Batches.of(name, manifest.profile, crops),
            scratch,
        )
        for name, plan in engines.items()
    }
    unused, all_of_it = device.free()
    log.info("%s: %.0f of %.0f MB are in use", device.gpu.name, (all_of_it - unused) / 1e6, all_of_it / 1e6)
    return found


def deserialised(library: Library, runtime: Any, path: Path) -> Any:
    """An `ICudaEngine` of a file.

    Raises:
        EngineError: TensorRT does not take it.
    """
    library.logger.errors.clear()
    found = runtime.deserialize_cuda_engine(path.read_bytes())
    if found is None:
        raise EngineError(f"TensorRT does not load {path}: {library.said()}; build the engine again here")
    return found
