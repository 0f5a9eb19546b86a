"""Exported programs of torch, run on a GPU: lowered, and each size of batch recorded as a CUDA graph.

Torch is imported when it is needed: it is no part of what every box has.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Floats
from glatd.engines.lowering import between
from glatd.engines.targets.rows import Batches, check_inputs, in_parts
from glatd.engines.trunks import Shapes
from glatd.errors import EngineError

if TYPE_CHECKING:
    import torch

WARM_UP = 3  # runs before one is recorded: libraries choose their kernels in the first


def lower_program(path: Path, inputs: Shapes, precision: str) -> "torch.export.ExportedProgram":
    """An exported program that computes in "float16" or "bfloat16" between its convolutions (see `lowering`).

    Args:
        inputs: shape of a row of each input.
    """
    import torch

    low = {"float16": torch.float16, "bfloat16": torch.bfloat16}[precision]
    module = torch.export.load(path).module()
    nodes = [node for node in module.graph.nodes if node.op == "call_function"]
    chosen = between(
        [([value.name for value in node.all_input_nodes], [node.name], "conv" in str(node.target)) for node in nodes]
    )
    lowered = {node for node, is_low in zip(nodes, chosen, strict=True) if is_low}

    def cast(value: Any, to: torch.dtype, readers: Sequence[Any]) -> None:
        with module.graph.inserting_after(value):
            made = module.graph.call_function(torch.ops.aten.to.dtype, (value, to))
        for reader in readers:
            reader.replace_input_with(value, made)

    for value in list(module.graph.nodes):
        readers = [reader for reader in value.users if (reader in lowered) != (value in lowered)]
        if readers and _is_float(module, value):
            # Weights are cast in every run: to read them once more costs next to nothing beside the convolutions.
            cast(value, torch.float32 if value in lowered else low, readers)
    module.graph.lint()
    module.recompile()
    batch = torch.export.Dim.DYNAMIC  # as far as the program goes
    example = tuple(torch.zeros(2, *row) for row in inputs)
    with torch.no_grad():
        return torch.export.export(module, example, dynamic_shapes=tuple({0: batch} for _ in example))


def _is_float(module: Any, node: Any) -> bool:
    import torch

    if node.op == "get_attr":
        found = module
        for part in str(node.target).split("."):
            found = getattr(found, part)
    else:
        found = node.meta.get("val")
    return isinstance(found, torch.Tensor) and found.dtype == torch.float32


class TorchGraph:
    """A graph, callable as `engine.Graph`.

    Args:
        path: of an exported program.
        inputs: shape of a row of each input.
        outputs: how many of its outputs are wanted.
        device: "cuda", or "cpu", where nothing is recorded.

    Raises:
        EngineError: it does not load, or the GPU has no room.
    """

    def __init__(self, path: Path, inputs: Shapes, outputs: int | None, batches: Batches, device: str) -> None:
        import torch
        from torch.export.passes import move_to_device_pass

        self._name, self._rows, self._outputs, self._most = path.name, inputs, outputs, batches.most
        self._on_gpu = device != "cpu"
        with failing(f"cannot load {path}"), torch.inference_mode():
            program = torch.export.load(path)
            self._module = (move_to_device_pass(program, device) if self._on_gpu else program).module()
            self._stream = torch.cuda.Stream() if self._on_gpu else None
            shapes = [(batches.most, *row) for row in inputs]
            self._host = [torch.zeros(shape, pin_memory=self._on_gpu) for shape in shapes]
            self._given = [torch.zeros(shape, device=device) for shape in shapes]
            if self._stream is not None:
                self._stream.wait_stream(torch.cuda.current_stream())  # which makes these
            self._steps = {size: self._prepared(size) for size in batches.sizes}

    def __call__(self, *arrays: Floats) -> tuple[NDArray[np.generic], ...]:
        check_inputs(self._name, arrays, self._rows)
        with failing(f"{self._name} failed"):
            return in_parts(self._part, arrays, self._most)

    def _part(self, arrays: Sequence[Floats]) -> tuple[NDArray[np.generic], ...]:
        import torch

        count = len(arrays[0])
        for host, array in zip(self._host, arrays, strict=True):
            np.copyto(host.numpy()[:count], array)
        size = min(size for size in self._steps if size >= count)
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for host, given in zip(self._host, self._given, strict=True):
                given[:count].copy_(host[:count], non_blocking=True)
            found = self._steps[size]()
            # Copies to memory that is not pinned wait for what was asked before.
            return tuple(value[:count].cpu().numpy().copy() for value in found)

    def _prepared(self, size: int) -> "Callable[[], Sequence[torch.Tensor]]":
        """What runs the first `size` rows of the inputs that lie on the device."""
        import torch

        module, given, outputs = self._module, [value[:size] for value in self._given], self._outputs

        def run() -> "Sequence[torch.Tensor]":
            made = module(*given)
            return (made if isinstance(made, tuple | list) else (made,))[:outputs]

        if self._stream is None:
            return run
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP):
                run()
        self._stream.synchronize()
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded, stream=self._stream, capture_error_mode="thread_local"):
            made = run()

        def replay() -> "Sequence[torch.Tensor]":
            recorded.replay()
            return made

        return replay


class failing:
    """Errors of torch's become an `EngineError` that begins with `what`."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import torch

        if isinstance(error, torch.OutOfMemoryError):
            raise EngineError(
                f"the GPU is out of memory; end what else uses it (nvidia-smi), or build for fewer --streams: {error}"
            ) from error
        if isinstance(error, Exception) and not isinstance(error, EngineError):
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise EngineError(f"{self._what}: {said}; build the engine again, or run with a cpu engine") from error
