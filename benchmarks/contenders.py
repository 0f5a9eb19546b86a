"""The runtimes that are compared: the same three graphs behind the same three functions."""

import importlib
import importlib.util
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.engines.engine import Graph
from glatd.engines.manifest import GRAPHS
from glatd.engines.targets import cpu

OPENVINO, ONNXRUNTIME = "OpenVINO", "ONNX Runtime"
REFERENCE = "OpenVINO float32"  # what the others are held against


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of running the graphs."""

    runtime: str  # OPENVINO or ONNXRUNTIME
    precision: str  # as shown in the tables
    folder: Path  # with frontend, global and local as .xml or .onnx
    hint: str = "f32"  # OpenVINO's INFERENCE_PRECISION_HINT for `global` and `local`

    @property
    def name(self) -> str:
        """As shown in the tables."""
        return f"{self.runtime} {self.precision}"

    def path(self, graph: str) -> Path:
        """The file of a graph."""
        compiled = self.folder / f"{graph}.xml"
        return compiled if compiled.exists() else self.folder / f"{graph}.onnx"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A contender, ready to run."""

    contender: Contender
    graphs: dict[str, Graph]
    executed: dict[str, dict[str, int]] = field(default_factory=dict)  # graph -> precision -> operations


def load(contender: Contender, threads: int) -> Loaded:
    """Load the three graphs."""
    graphs, executed = {}, {}
    for name in GRAPHS:
        hint = "f32" if name == "frontend" else contender.hint
        graphs[name], compiled = load_graph(contender, name, hint, threads)
        if compiled is not None:
            executed[name] = executed_precisions(compiled)
    return Loaded(contender, graphs, executed)


def load_graph(contender: Contender, name: str, hint: str, threads: int) -> tuple[Graph, Any]:
    """One graph, and OpenVINO's compiled model where it is that."""
    if contender.runtime == ONNXRUNTIME:
        return onnxruntime_graph(contender.path(name), threads), None
    return openvino_graph(contender.path(name), hint, threads)


def openvino_graph(path: Path, hint: str, threads: int) -> tuple[Graph, Any]:
    """As `glatd.engines.targets.cpu.compile_graph`, and the compiled model itself to ask about."""
    core = cpu.the_core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    request = compiled.create_infer_request()

    def run(*inputs: NDArray[np.float32]) -> tuple[NDArray[np.generic], ...]:
        request.infer(list(inputs), share_inputs=True)
        return tuple(request.get_output_tensor(i).data.copy() for i in range(len(compiled.outputs)))

    return run, compiled


def executed_precisions(compiled: Any) -> dict[str, int]:
    """Precision -> how many convolutions and matrix products of a compiled model run in it.

    `runtimePrecision` would say how weights are stored; the kernel's name ends with what it computes in.
    """
    counts: Counter[str] = Counter()
    for operation in compiled.get_runtime_model().get_ops():
        info = operation.get_rt_info()
        if str(info["layerType"].astype(str)) in ("Convolution", "FullyConnected", "MatMul"):
            counts[str(info["primitiveType"].astype(str)).rpartition("_")[2]] += 1
    return dict(counts)


def onnxruntime_graph(path: Path, threads: int) -> Graph:
    """A graph in ONNX Runtime, all optimisations on (its default).

    Its threads do not spin while they wait: a daemon would pay for that between windows, and here it
    would slow down whoever comes next.
    """
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]

    def run(*inputs: NDArray[np.float32]) -> tuple[NDArray[np.generic], ...]:
        outputs: list[NDArray[np.generic]] = session.run(None, dict(zip(names, inputs, strict=True)))
        return tuple(outputs)

    return run


def has_onnxruntime() -> bool:
    """Whether ONNX Runtime is installed; it is no dependency of glatd."""
    return importlib.util.find_spec("onnxruntime") is not None


def contenders(engine: Path, bundle: Path, quantised: dict[str, Path]) -> list[Contender]:
    """Everything that can be compared here.

    Args:
        engine: folder built by `glatd engine build`: OpenVINO's own format.
        bundle: folder with the ONNX graphs.
        quantised: by name of the quantiser, folders with int8 `global` and `local`.
    """
    listed = [
        Contender(OPENVINO, "float32", engine),
        Contender(OPENVINO, "bfloat16 hint", engine, "bf16"),
        Contender(OPENVINO, "float16 hint", engine, "f16"),
        *(Contender(OPENVINO, f"int8 ({name})", folder) for name, folder in quantised.items()),
    ]
    if has_onnxruntime():
        listed.append(Contender(ONNXRUNTIME, "float32", bundle))
        if (folder := quantised.get("QDQ")) is not None:
            listed.append(Contender(ONNXRUNTIME, "int8 (QDQ)", folder))
    return listed

