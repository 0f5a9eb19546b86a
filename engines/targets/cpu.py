"""The CPU target: OpenVINO.

Importing OpenVINO with its telemetry package present would phone home and write into the home
folder, so the package is hidden from it.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Graph
from glatd.engines.lanes import PerThread
from glatd.engines.manifest import FEATURE, Manifest, Profile, Runtime
from glatd.engines.targets.cpu_int8 import quantise
from glatd.engines.targets.cpu_split import PIECES, split
from glatd.engines.targets.later import Later
from glatd.engines.targets.rows import check_inputs
from glatd.engines.targets.target import Order
from glatd.engines.trunks import Shapes
from glatd.errors import EngineError

# What the runtime is asked for; int8 is written into the graphs.
PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}
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
    core = runtime().Core()
    core.set_property({"ENABLE_MMAP": False})  # a graph may be compiled when its files are others, or gone (`Later`)
    return core


def version() -> str:
    """Version of the runtime, without its build number."""
    return str(runtime().__version__).split("-")[0]


def precision_hint(core: Any, precision: str, imitated: bool = False) -> str:
    """What to ask OpenVINO for: `precision` where the CPU computes in it, else float32.

    OpenVINO imitates bfloat16 on a CPU without it, several times slower than float32 (docs/engines.md); `imitated`
    asks for that all the same.
    """
    hint = PRECISIONS[precision]
    return hint if imitated or CAPABILITIES[hint] in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


class Cpu:
    """See `target.Target`."""

    name = "cpu"
    precisions = tuple(PRECISIONS)
    has_lanes = True

    def profile(self, streams: int) -> Profile | None:
        return None

    def runtime(self, precision: str) -> Runtime:
        return Runtime(self.name, "openvino", version(), precision)

    def version(self, manifest: Manifest) -> str:
        return version()

    def convert(self, order: Order) -> None:
        """ONNX -> OpenVINO's intermediate representation; below float32 in pieces (cpu_split.py).

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
            for result in model.get_results():
                if FEATURE in result.output(0).get_names():  # an engine does not give it
                    model.remove_result(result)
            pieces = {} if order.precision == "float32" else split(ov, model)
            if name in ("global", "local") and not pieces and order.precision != "float32":
                raise EngineError(
                    f"{path} does not say where its head begins, which stays float32; "
                    f"`glatd train export {order.bundle}` again"
                )
            if pieces and order.precision == "int8":
                pieces["trunk"] = quantise(name, pieces, order, the_core())
            for piece, part in pieces.items():
                save(part, order.work / f"{name}.{piece}.xml")
            if not pieces:
                save(model, order.work / f"{name}.xml")

    def obstacle(self, manifest: Manifest) -> str:
        try:
            runtime()
        except EngineError as error:
            return str(error)
        return ""

    def compile(self, folder: Path, manifest: Manifest, threads: int, lanes: int = 1) -> Mapping[str, Graph]:
        return self._compile(folder, manifest, threads, imitated=False, lanes=lanes)

    def imitate(self, folder: Path, manifest: Manifest) -> tuple[Mapping[str, Graph], str]:
        """See `target.Imitator`. OpenVINO imitates bfloat16 on a CPU without it, and computes float16 as float32."""
        precision = manifest.runtime.precision
        hint = PRECISIONS[precision]
        if precision_hint(the_core(), precision) == hint:
            return self.compile(folder, manifest, 0), precision
        if precision == "float16":
            return self.compile(folder, manifest, 0), "float32"
        return self._compile(folder, manifest, 0, imitated=True), f"{precision}, imitated"

    def _compile(
        self, folder: Path, manifest: Manifest, threads: int, imitated: bool, lanes: int = 1
    ) -> Mapping[str, Graph]:
        precision = manifest.runtime.precision
        standing = {trunk.of for trunk in manifest.geometry.trunks}  # what they stand for is asked for hardly ever
        graphs: dict[str, Graph] = {}
        for name, inputs in manifest.inputs.items():
            pieces = {piece: folder / f"{name}.{piece}.xml" for piece in PIECES}
            if pieces["trunk"].is_file():
                files = {
                    path: precision if piece == "trunk" else "float32"
                    for piece, path in pieces.items()
                    if path.is_file()
                }
                make = read_pieces(files, inputs, threads, imitated, lanes)
            else:  # in float32; and in engines of earlier versions, which are whole at every precision
                whole = precision if name in ("global", "local") else "float32"
                make = read_graph(folder / f"{name}.xml", inputs, whole, threads, lanes, imitated)
            graphs[name] = Later(make) if name in standing else make()
        return graphs

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


def save(model: Any, path: Path) -> None:
    """Write an intermediate representation: an .xml, and its .bin beside it."""
    # OpenVINO names operations by a counter of the process; a second build must have the same hash.
    for number, operation in enumerate(model.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
    runtime().save_model(model, path, compress_to_fp16=holds_float16(model))


def compile_graph(path: Path, shapes: Sequence[tuple[int, ...]], precision: str, threads: int) -> Graph:
    """Load a graph and compile it for this CPU; see `read_graph`."""
    return read_graph(path, tuple(shapes), precision, threads)()


def read_graph(
    path: Path, shapes: Shapes, precision: str, threads: int, lanes: int = 1, imitated: bool = False
) -> Callable[[], Graph]:
    """Load a graph; what is given compiles it for this CPU, whatever has become of its files.

    Args:
        path: .xml of an intermediate representation (its .bin beside it), or .onnx.
        shapes: each input's, without the batch.
        precision: "float32", or a faster one, used inside the graph where the CPU computes in it.
        threads: of the CPU; 0 lets the runtime choose.
        lanes: threads that will run it at the same time.
        imitated: see `precision_hint`.

    Returns:
        What makes a function from float32 arrays [B, *shape] to the graph's outputs. It copies its outputs. Rows run
        one by one: together they take as long, and of a graph of fixed sizes OpenVINO makes a faster one (a sixth less,
        for MN's window), and one alone: of an open batch it keeps what it made for each size that it has met.
    """
    ov = runtime()
    with told(path):
        model = the_core().read_model(path)
        if len(model.inputs) != len(shapes):
            raise EngineError(f"{path} has {len(model.inputs)} inputs, not {len(shapes)}; build the engine again")
        for port, shape in zip(model.inputs, shapes, strict=True):
            if not port.partial_shape.compatible(ov.PartialShape([-1, *shape])):
                raise EngineError(f"{path} takes {port.partial_shape}, not {list(shape)} a row; build the engine again")
        model.reshape({port: ov.PartialShape([1, *shape]) for port, shape in zip(model.inputs, shapes, strict=True)})

    def make() -> Graph:
        compiled = compiled_for(path, model, precision, threads, lanes, imitated)
        requests = PerThread(compiled.create_infer_request)

        def run(*inputs: NDArray[np.float32]) -> tuple[NDArray[np.generic], ...]:
            check_inputs(path.name, inputs, shapes)
            request, given = requests.get(), [np.ascontiguousarray(array) for array in inputs]
            rows: list[list[NDArray[np.generic]]] = []
            for row in range(len(given[0])):
                request.infer([array[row : row + 1] for array in given], share_inputs=True)
                rows.append([request.get_output_tensor(i).data.copy() for i in range(len(compiled.outputs))])
            return tuple(rows[0]) if len(rows) == 1 else tuple(map(np.concatenate, zip(*rows, strict=True)))

        return run

    return make


def read_pieces(
    files: Mapping[Path, str], shapes: Shapes, threads: int, imitated: bool, lanes: int = 1
) -> Callable[[], Graph]:
    """A graph in pieces (cpu_split.py), one behind the other.

    Args:
        files: of the pieces in the order of running, with the precision of each.
        shapes, lanes: as of `read_graph`, and so is what is given.
        imitated: see `precision_hint`.
    """
    ov = runtime()
    read: list[tuple[Path, Any, str, list[str], list[str]]] = []
    for path, precision in files.items():
        with told(path):
            model = the_core().read_model(path)
            inputs, outputs = ([str(port.any_name) for port in ports] for ports in (model.inputs, model.outputs))
            for port, name in zip(model.inputs, inputs, strict=True):
                wanted = ov.PartialShape([-1, *shapes[int(name)]]) if name.isdecimal() else port.partial_shape
                if port.partial_shape != wanted:
                    raise EngineError(f"{path} takes {port.partial_shape}, not {wanted}; build the engine again")
        read.append((path, model, precision, inputs, outputs))
    name = next(iter(files)).name

    def make() -> Graph:
        pieces = []
        for path, model, precision, wanted, given in read:
            compiled = compiled_for(path, model, precision, threads, lanes, imitated)
            pieces.append((PerThread[Any](compiled.create_infer_request), wanted, given))

        def run(*inputs: NDArray[np.float32]) -> tuple[NDArray[np.generic], ...]:
            check_inputs(name, inputs, shapes)
            values: dict[str, NDArray[np.generic]] = {
                str(number): np.ascontiguousarray(array) for number, array in enumerate(inputs)
            }
            for requests, wanted, given in pieces:
                request = requests.get()
                request.infer({key: values[key] for key in wanted}, share_inputs=True)
                out = [request.get_output_tensor(i).data for i in range(len(given))]
                values |= zip(given, out, strict=True)
            return tuple(array.copy() for array in out)

        return run

    return make


def compiled_for(path: Path, model: Any, precision: str, threads: int, lanes: int, imitated: bool) -> Any:
    """A model for this CPU; its file is named in errors only."""
    core = the_core()
    with told(path):
        return core.compile_model(model, "CPU", settings(precision_hint(core, precision, imitated), threads, lanes))


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What OpenVINO raises, as an error that names the file."""
    try:
        yield
    except (RuntimeError, IndexError) as error:
        raise EngineError(f"cannot load {path}: {str(error).splitlines()[0]}; build the engine again") from error


def settings(hint: str, threads: int, lanes: int = 1) -> dict[str, Any]:
    """What OpenVINO is told."""
    told: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": hint,
        "PERFORMANCE_HINT": "LATENCY",
        # Pinned, every process computes on the first core and leaves the others idle (docs/engines.md).
        "ENABLE_CPU_PINNING": False,
    }
    if lanes > 1:
        told["NUM_STREAMS"] = lanes
    return told | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
