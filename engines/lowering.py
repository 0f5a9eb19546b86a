"""Low precision, written into a graph: between its first and its last convolution it computes in float16 or bfloat16.

What comes before, the normalisation of the input, has values of up to 100 dB, whose float16 neighbours are 0.06 apart.
What comes after are heads, activations and selection, which the method wants in float32. Neither needs a name for
that: a node is lowered when it is a convolution, or when one lies on both sides of it. A graph with fewer than two
convolutions stays as it is.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from glatd.errors import EngineError

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})


def between(nodes: Sequence[tuple[Iterable[str], Iterable[str], bool]]) -> list[bool]:
    """Which nodes of a graph are convolutions or lie between two.

    Args:
        nodes: in the order of computation, each with the names of its inputs and outputs, and whether it convolves.
    """
    after: set[str] = set()  # values that a convolution has gone into
    is_after = []
    for inputs, outputs, convolves in nodes:
        is_after.append(convolves or any(name in after for name in inputs))
        if is_after[-1]:
            after.update(outputs)
    before: set[str] = set()  # values that go into a convolution
    is_before = []
    for inputs, outputs, convolves in reversed(nodes):
        is_before.append(convolves or any(name in before for name in outputs))
        if is_before[-1]:
            before.update(inputs)
    found = [early and late for early, late in zip(is_after, reversed(is_before), strict=True)]
    convolutions = sum(convolves for _, _, convolves in nodes)
    return found if convolutions > 1 else [False] * len(found)


def lower(model: Any, precision: str) -> int:
    """Let an ONNX model compute in "float16" or "bfloat16" between its convolutions; casts at the edges.

    Args:
        model: an `onnx.ModelProto` in float32, which is changed; it keeps its inputs and outputs, in float32.

    Returns:
        How many nodes compute in it.

    Raises:
        EngineError: the precision does not hold a weight.
    """
    import onnx
    from onnx import TensorProto, helper

    low = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}[precision]
    graph = model.graph
    chosen = between([(node.input, node.output, node.op_type in CONVOLUTIONS) for node in graph.node])
    outputs = {value.name for value in graph.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    types = types_of(onnx.shape_inference.infer_shapes(model).graph)
    inside = {
        name
        for node, lowered in zip(graph.node, chosen, strict=True)
        if lowered
        for name in node.output
        if types.get(name) == TensorProto.FLOAT
    }
    casts: dict[str, str] = {}  # a value -> its name on the other side
    nodes: list[Any] = []
    for node, lowered in zip(graph.node, chosen, strict=True):
        for index, name in enumerate(node.input):
            if types.get(name) != TensorProto.FLOAT or (name in inside) == lowered:
                continue
            if name not in casts:
                casts[name] = f"{name}.{precision if lowered else 'float32'}"
                if lowered and name in constants:
                    graph.initializer.append(rounded(constants[name], precision))
                else:
                    to = low if lowered else TensorProto.FLOAT
                    nodes.append(helper.make_node("Cast", [name], [casts[name]], name=f"cast.{name}", to=to))
            node.input[index] = casts[name]
        nodes.append(node)
    for name in sorted(inside & outputs):
        for node in nodes:  # inside it gets another name, so that the output has its own
            for values in (node.input, node.output):
                for index, value in enumerate(values):
                    if value == name:
                        values[index] = f"{name}.{precision}"
        to = TensorProto.FLOAT
        nodes.append(helper.make_node("Cast", [f"{name}.{precision}"], [name], name=f"cast.output.{name}", to=to))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # they told of float32
    used = {name for node in graph.node for name in node.input} | outputs
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    return sum(chosen)


def types_of(graph: Any) -> dict[str, int]:
    """Element type of every value of an ONNX graph whose types were inferred."""
    values = (*graph.input, *graph.output, *graph.value_info)
    return {
        **{value.name: value.type.tensor_type.elem_type for value in values},
        **{tensor.name: tensor.data_type for tensor in graph.initializer},
    }


def rounded(tensor: Any, precision: str) -> Any:
    """A float32 constant of an ONNX graph in another precision, and with its name."""
    import ml_dtypes
    from onnx import numpy_helper

    kind = np.float16 if precision == "float16" else ml_dtypes.bfloat16
    with np.errstate(over="ignore"):
        found = numpy_helper.to_array(tensor).astype(kind)
    if not np.isfinite(found.astype(np.float32)).all():
        raise EngineError(f"{precision} does not hold the weights {tensor.name}; build in bfloat16 or float32")
    return numpy_helper.from_array(found, f"{tensor.name}.{precision}")
