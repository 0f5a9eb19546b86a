"""The CPU target: OpenVINO.

Importing OpenVINO with its telemetry package present would phone home and write into the home
folder, so the package is hidden from it.
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Graph
from glatd.engines.lanes import PerThread
from glatd.engines.manifest import Manifest, Profile, Runtime
from glatd.engines.targets.target import Order
from glatd.errors import EngineError

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


@functools.cache
def the_core() -> Any:
    """OpenVINO's core, one for the process, which is never let go.

    Where the CPU has AMX, a core gives the thread that first uses it a larger stack for signal handlers, and unmaps
    that with its last engine without telling the kernel: the next signal, a SIGTERM say, would be a segmentation fault.
    """
    return runtime().Core()


def version() -> str:
    """Version of the runtime, without its build number."""
    return str(runtime().__version__).split("-")[0]


def precision_hint(core: Any, precision: str) -> str:
    """What to ask OpenVINO for: `precision` where the CPU computes in it, else float32.

    OpenVINO imitates bfloat16 on a CPU without it, several times slower than float32 (docs/engines.md).
    """
    hint = PRECISIONS[precision]
    return hint if CAPABILITIES[hint] in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


class Cpu:
    """See `target.Target`."""

    name = "cpu"
    precisions = tuple(PRECISIONS)
    has_lanes = True

    def profile(self, streams: int) -> Profile | None:
        return None

    def runtime(self, precision: str) -> Runtime:
        return Runtime(self.name, "openvino", version(), precision)

    def convert(self, order: Order) -> None:
        """ONNX -> OpenVINO's intermediate representation.

        `convert_model` simplifies the graphs, where `read_model` would keep them as they are: less than
        half as many operations, and a fifth less to do at every start. Runs are as fast either way.
        Weights are stored as float16 where that loses nothing, since the bundle has them so. It would where OpenVINO
        has folded a normalisation into them, and in the front end, whose kernels are no weights.
        """
        ov = runtime()
        for name in order.inputs:
            path = order.bundle / f"{name}.onnx"
            try:
                model = ov.convert_model(path)
            except Exception as error:  # of several kinds of OpenVINO's own, which have no base but this
                what = str(error).splitlines()[-1]
                raise EngineError(
                    f"cannot convert {path}: {what}; `glatd train export {order.bundle}` again"
                ) from error
            # OpenVINO names operations by a counter of the process; a second build must have the same hash.
            for number, operation in enumerate(model.get_ordered_ops()):
                operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
            ov.save_model(model, order.work / f"{name}.xml", compress_to_fp16=holds_float16(model))

    def obstacle(self, manifest: Manifest) -> str:
        try:
            runtime()
        except EngineError as error:
            return str(error)
        return ""

    def compile(self, folder: Path, manifest: Manifest, threads: int, lanes: int = 1) -> Mapping[str, Graph]:
        precision = manifest.runtime.precision
        return {
            name: compile_graph(
                folder / f"{name}.xml", inputs, "float32" if name == "frontend" else precision, threads, lanes
            )
            for name, inputs in manifest.inputs.items()
        }

    def most_windows(self, manifest: Manifest) -> int:
        """A batch costs as much as its windows one by one (25 ms each, 1 to 16 of them), and OpenVINO builds every
        new size anew, for 0.25 s and 45 MB: so 1."""
        return 1


TARGET = Cpu()


def holds_float16(model: Any) -> bool:
    """Whether float16 holds every constant of an OpenVINO model exactly; single numbers are never compressed."""
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "Constant" and operation.data.dtype == np.float32 and operation.data.size > 1:
            with np.errstate(over="ignore"):
                if not np.array_equal(operation.data, operation.data.astype(np.float16)):
                    return False
    return True


def compile_graph(
    path: Path, shape_of_inputs: Sequence[tuple[int, ...]], precision: str, threads: int, lanes: int = 1
) -> Graph:
    """Load a graph and compile it for this CPU.

    Args:
        path: .xml of an intermediate representation (its .bin beside it), or .onnx.
        shape_of_inputs: each input's shape without the batch.
        precision: "float32", or a faster one, used inside the graph where the CPU computes in it.
        threads: of the CPU; 0 lets the runtime choose.
        lanes: threads that will run it at the same time.

    Returns:
        A function from float32 arrays [B, *shape] to the graph's outputs. It copies its outputs. Rows run one by one:
        together they take as long, and of a graph of fixed sizes OpenVINO makes a faster one (a sixth less, for MN's
        window), and one alone: of an open batch it keeps what it made for each size that it has met.
    """
    ov = runtime()
    try:
        core = the_core()
        model = core.read_model(path)
        if len(model.inputs) != len(shape_of_inputs):
            raise EngineError(
                f"{path} has {len(model.inputs)} inputs, not {len(shape_of_inputs)}; build the engine again"
            )
        for port, shape in zip(model.inputs, shape_of_inputs, strict=True):
            if not port.partial_shape.compatible(ov.PartialShape([-1, *shape])):
                raise EngineError(f"{path} takes {port.partial_shape}, not {list(shape)} a row; build the engine again")
        model.reshape(
            {port: ov.PartialShape([1, *shape]) for port, shape in zip(model.inputs, shape_of_inputs, strict=True)}
        )
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision_hint(core, precision),
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned, every process computes on the first core and leaves the others idle (docs/engines.md).
            "ENABLE_CPU_PINNING": False,
        }
        if lanes > 1:
            settings["NUM_STREAMS"] = lanes
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise EngineError(f"cannot load {path}: {str(error).splitlines()[0]}; build the engine again") from error
    requests = PerThread(compiled.create_infer_request)
    shapes = [tuple(shape) for shape in shape_of_inputs]

    def run(*inputs: NDArray[np.float32]) -> tuple[NDArray[np.generic], ...]:
        for array, shape in zip(inputs, shapes, strict=True):
            if array.shape[1:] != shape or array.dtype != np.float32:
                raise EngineError(f"{path.name} was given {array.dtype} {array.shape}, it takes float32 (B, {shape})")
        request, given = requests.get(), [np.ascontiguousarray(array) for array in inputs]
        rows: list[list[NDArray[np.generic]]] = []
        for row in range(len(given[0])):
            request.infer([array[row : row + 1] for array in given], share_inputs=True)
            rows.append([request.get_output_tensor(i).data.copy() for i in range(len(compiled.outputs))])
        return tuple(rows[0]) if len(rows) == 1 else tuple(map(np.concatenate, zip(*rows, strict=True)))

    return run
