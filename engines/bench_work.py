"""How many multiply-adds a graph takes a row: convolutions, matrix products, recurrent layers; all else is little."""

import json
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from glatd.engines.manifest import Manifest
from glatd.engines.targets.cpu import the_core
from glatd.errors import EngineError

FILE = "multiply_adds.json"  # in engines whose graphs cannot be counted any more


def multiply_adds(path: Path) -> int:
    """Of one row of an ONNX graph, or of one in OpenVINO's form.

    Raises:
        EngineError: it cannot be read.
    """
    try:
        model = the_core().read_model(path)
    except RuntimeError as error:
        raise EngineError(f"cannot read {path}: {str(error).splitlines()[0]}; build the engine again") from error
    return sum(_of(operation) for operation in model.get_ordered_ops())


def _of(operation: Any) -> int:
    kind = operation.get_type_name()
    if kind in ("Convolution", "GroupConvolution"):
        # Convolution's kernels are [out, in, ...], a group's [groups, out, in, ...]: all but what makes the outputs.
        kernel = _shape(operation.input(1))[1 if kind == "Convolution" else 2 :]
        return prod(_shape(operation.output(0))) * prod(kernel)
    if kind == "MatMul":
        inner = _shape(operation.input(0))[-2 if operation.get_attributes()["transpose_a"] else -1]
        return prod(_shape(operation.output(0))) * inner
    if kind in ("GRUSequence", "LSTMSequence", "RNNSequence"):
        weights, recurrent = (_shape(port) for port in operation.inputs()[-3:-1])  # [directions, gates H, I], [.., H]
        steps = _shape(operation.input(0))[1]
        return steps * (prod(weights) + prod(recurrent))
    return 0


def _shape(port: Any) -> list[int]:
    """With one row in place of an open batch."""
    return [1 if dimension.is_dynamic else dimension.get_length() for dimension in port.get_partial_shape()]


def write_work(folder: Path, graphs: dict[str, Path]) -> None:
    """Count ONNX graphs, and leave the numbers in an engine's folder."""
    counted = {name: multiply_adds(path) for name, path in graphs.items()}
    (folder / FILE).write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")


def work_of(folder: Path, manifest: Manifest, graphs: Sequence[str]) -> dict[str, int]:
    """Multiply-adds a row of the graphs of an engine; graphs that nothing is known of are left out.

    Raises:
        EngineError: a file cannot be read.
    """
    if (folder / FILE).is_file():
        counted: dict[str, int] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {name: counted[name] for name in graphs if name in counted}
    files = [Path(entry.name) for entry in manifest.files if entry.name.endswith(".xml")]
    return {
        # A graph may be in pieces: NAME.trunk.xml.
        name: sum(multiply_adds(folder / file) for file in files if file.name.partition(".")[0] == name)
        for name in graphs
        if any(file.name.partition(".")[0] == name for file in files)
    }
