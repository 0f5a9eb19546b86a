"""The CPU target: OpenVINO.

Importing OpenVINO with its telemetry package present would phone home and write into the home
folder, so the package is hidden from it.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Graph
from glatd.errors import EngineError

NAME = "openvino"
PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}  # as OpenVINO names what a CPU computes in


def runtime() -> Any:
    """The `openvino` module, imported late and without telemetry."""
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise EngineError(f"the CPU engine needs the package openvino: {error}; `pip install openvino`") from error
    return openvino


def version() -> str:
    """Version of the runtime, without its build number."""
    return str(runtime().__version__).split("-")[0]


def precision_hint(core: Any, precision: str) -> str:
    """What to ask OpenVINO for: `precision` where the CPU computes in it, else float32.

    OpenVINO imitates bfloat16 on a CPU without it, several times slower than float32 (docs/engines.md).
    """
    hint = PRECISIONS[precision]
    return hint if CAPABILITIES[hint] in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def compile_graph(path: Path, shape_of_inputs: list[tuple[int, ...]], precision: str, threads: int) -> Graph:
    """Load a graph and compile it for this CPU.

    Args:
        path: .xml of an intermediate representation (its .bin beside it), or .onnx.
        shape_of_inputs: each input's shape without the batch.
        precision: "float32", or a faster one, used inside the graph where the CPU computes in it.
        threads: of the CPU; 0 lets the runtime choose.

    Returns:
        A function from float32 arrays [B, *shape] to the graph's outputs. It copies its outputs.
    """
    ov = runtime()
    try:
        core = ov.Core()
        model = core.read_model(path)
        if len(model.inputs) != len(shape_of_inputs):
            raise EngineError(
                f"{path} has {len(model.inputs)} inputs, not {len(shape_of_inputs)}; build the engine again"
            )
        for port, shape in zip(model.inputs, shape_of_inputs, strict=True):
            if not port.partial_shape.compatible(ov.PartialShape([-1, *shape])):
                raise EngineError(f"{path} takes {port.partial_shape}, not {list(shape)} a row; build the engine again")
        model.reshape(
            {port: ov.PartialShape([-1, *shape]) for port, shape in zip(model.inputs, shape_of_inputs, strict=True)}
        )
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision_hint(core, precision),
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned, every process computes on the first core and leaves the others idle (docs/engines.md).
            "ENABLE_CPU_PINNING": False,
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise EngineError(f"cannot load {path}: {str(error).splitlines()[0]}; build the engine again") from error
    request = compiled.create_infer_request()
    shapes = [tuple(shape) for shape in shape_of_inputs]

    def run(*inputs: NDArray[np.float32]) -> tuple[NDArray[np.generic], ...]:
        for array, shape in zip(inputs, shapes, strict=True):
            if array.shape[1:] != shape or array.dtype != np.float32:
                raise EngineError(f"{path.name} was given {array.dtype} {array.shape}, it takes float32 (B, {shape})")
        request.infer([np.ascontiguousarray(array) for array in inputs], share_inputs=True)
        return tuple(request.get_output_tensor(i).data.copy() for i in range(len(compiled.outputs)))

    return run
