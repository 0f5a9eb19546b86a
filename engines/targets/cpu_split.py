"""A graph in pieces, so that OpenVINO computes in a lower precision where it may and in float32 where it must.

OpenVINO takes one precision for a graph. So below float32 a graph is cut in three: `input`, what comes before the
first convolution (the normalisation of log-mel, whose values of up to 100 dB lie 0.25 apart in bfloat16), `trunk` up to
the feature, and `head` with classifier, activations and selection. Input and head are compiled for float32.

Values pass between the pieces by name: "0", "1", ... are the inputs of the graph, in their order.
"""

from typing import Any

from glatd.engines.manifest import FEATURE

PIECES = ("input", "trunk", "head")
NORMALISED = "normalised"  # the first convolution's input
CONVOLUTIONS = ("Convolution", "GroupConvolution")


def split(ov: Any, model: Any) -> dict[str, Any]:
    """The pieces of an OpenVINO model by name, which is used up; a graph that begins with a convolution has no `input`,
    and one that names no feature is left as it is and has no pieces."""
    operations = model.get_ordered_ops()
    feature = next((port for op in operations for port in op.outputs() if FEATURE in port.get_names()), None)
    if feature is None:
        return {}
    for number, parameter in enumerate(model.get_parameters()):
        parameter.output(0).get_tensor().set_names({str(number)})
    results = [result.input_value(0) for result in model.get_results()]
    head_in = _cut(ov, feature, FEATURE)
    pieces = {"head": _model(ov, "head", results, [head_in])}
    convolution = next((op for op in operations if op.get_type_name() in CONVOLUTIONS), None)
    normalised = convolution.input_value(0) if convolution is not None else None
    if normalised is None or normalised.get_node().get_type_name() == "Parameter":
        return {"trunk": _model(ov, "trunk", [feature], [])} | pieces
    trunk_in = _cut(ov, normalised, NORMALISED)
    return {
        "input": _model(ov, "input", [normalised], []),
        "trunk": _model(ov, "trunk", [feature], [trunk_in]),
    } | pieces


def _cut(ov: Any, port: Any, name: str) -> Any:
    """Put a parameter where a value went on; the value keeps the name, to be a result of the piece before."""
    parameter = ov.opset13.parameter(port.get_partial_shape(), port.get_element_type().to_dtype())
    for reader in list(port.get_target_inputs()):
        reader.replace_source_output(parameter.output(0))
    port.get_tensor().set_names({name})
    parameter.output(0).get_tensor().set_names({name})
    return parameter


def _model(ov: Any, name: str, results: list[Any], parameters: list[Any]) -> Any:
    """A model of all that `results` are computed from. Its inputs may be the graph's, if only to ask their batch."""
    found = {parameter.get_friendly_name(): parameter for parameter in parameters}
    seen: set[str] = set()
    todo = [port.get_node() for port in results]
    while todo:
        node = todo.pop()
        key = node.get_friendly_name()
        if key in seen:
            continue
        seen.add(key)
        if node.get_type_name() == "Parameter":
            found[key] = node
        todo += [value.get_node() for value in node.input_values()]
    ordered = sorted(found.values(), key=lambda parameter: str(parameter.output(0).any_name))
    return ov.Model(results, ordered, name)
