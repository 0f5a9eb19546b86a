"""Between the convolutions a graph computes in the precision that was asked for, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glatd.engines.lowering import between, lower, types_of
from glatd.engines.targets.tensorrt_build import spell_out_hardswish
from glatd.errors import EngineError
from tests.engines.host_cuda import run_onnx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

WEIGHT = 0.3


def network(weight: float = WEIGHT, convolutions: int = 2, feature: bool = False) -> Any:
    """x [B, 4, 8] in decibels -> normalised -> convolutions, with HardSwish and a gate between -> scores [B, 3]."""
    random = np.random.default_rng(0)
    constants = {
        "mean": np.array(-30.0, np.float32),
        "deviation": np.array(20.0, np.float32),
        "axes": np.array([2], np.int64),
        "head": random.normal(0, 1, (4, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["value0"]),
    ]
    for number in range(convolutions):
        constants[f"kernel{number}"] = random.normal(0, weight, (4, 4, 3)).astype(np.float32)
        conv, gate = f"conv{number}", f"gate{number}"
        nodes += [
            helper.make_node("Conv", [f"value{number}", f"kernel{number}"], [conv], pads=[1, 1]),
            helper.make_node("HardSwish", [conv], [f"swish{number}"]),
            helper.make_node("ReduceMean", [f"swish{number}", "axes"], [gate]),
            helper.make_node("Mul", [f"swish{number}", gate], [f"value{number + 1}"]),
        ]
    last = f"value{convolutions}"
    nodes += [
        helper.make_node("ReduceMean", [last, "axes"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "head"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
    ]
    values = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["B", 3])]
    if feature:
        name = f"conv{convolutions - 1}"
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 4, 8]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 4, 8])],
        values,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def outputs(model: Any, folder: Path) -> list[np.ndarray[Any, Any]]:
    onnx.save(model, folder / "graph.onnx")
    x = np.random.default_rng(1).uniform(-100, 0, (5, 4, 8)).astype(np.float32)
    return run_onnx(folder / "graph.onnx")([x])


def kinds(model: Any) -> dict[str, int]:
    """Element type of each node's first output."""
    types = types_of(onnx.shape_inference.infer_shapes(model).graph)
    return {node.output[0]: types[node.output[0]] for node in model.graph.node if node.output[0] in types}


def test_what_lies_between_convolutions() -> None:
    nodes = [
        (["x"], ["a"], False), (["a"], ["b"], True), (["b"], ["c"], False), (["c", "k"], ["d"], True),
        (["b"], ["aside"], False), (["d"], ["e"], False), (["k0"], ["k"], False),
    ]  # fmt: skip
    assert between(nodes) == [False, True, True, True, False, False, False]
    assert between(nodes[:3]) == [False] * 3  # one alone has nothing between


def test_only_between_the_convolutions_is_it_float16(tmp_path: Path) -> None:
    model = network()
    expected = outputs(model, tmp_path)[0]
    assert lower(model, "float16") == 5
    onnx.checker.check_model(model, full_check=True)
    found = kinds(model)
    low = ("conv0", "swish0", "gate0", "value1", "conv1")
    assert all(found[name] == TensorProto.FLOAT16 for name in low)
    high = ("centred", "value0", "swish1", "pooled", "logits", "scores")
    assert all(found[name] == TensorProto.FLOAT for name in high)
    assert [node.op_type for node in model.graph.node].count("Cast") == 2
    difference = np.abs(outputs(model, tmp_path)[0] - expected).max()
    assert 0 < difference < 2e-3


def test_an_output_between_the_convolutions_stays_float32(tmp_path: Path) -> None:
    model = network(feature=True)
    expected = outputs(model, tmp_path)
    lower(model, "float16")
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.output] == ["scores", "conv1"]
    for one, other in zip(outputs(model, tmp_path), expected, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=4e-3)


def test_bfloat16_rounds_the_weights_and_spells_hardswish_out(tmp_path: Path) -> None:
    model = network()
    expected = outputs(model, tmp_path)[0]
    spell_out_hardswish(model)
    np.testing.assert_allclose(outputs(model, tmp_path)[0], expected, atol=1e-6)
    lower(model, "bfloat16")
    kernels = {tensor.name: tensor.data_type for tensor in model.graph.initializer if "kernel" in tensor.name}
    assert kernels == {"kernel0.bfloat16": TensorProto.BFLOAT16, "kernel1.bfloat16": TensorProto.BFLOAT16}
    # A constant of both sides is there in both.
    assert {"hardswish.3", "hardswish.3.bfloat16"} <= {tensor.name for tensor in model.graph.initializer}
    assert "HardSwish" not in [node.op_type for node in model.graph.node]


def test_one_convolution_is_left_as_it_is() -> None:
    model = network(convolutions=1)
    before = model.SerializeToString()
    assert lower(model, "float16") == 0
    assert model.SerializeToString() == before


def test_a_weight_beyond_float16_is_named() -> None:
    with pytest.raises(EngineError, match=r"float16 does not hold the weights kernel0; build in bfloat16 or float32"):
        lower(network(weight=1e6), "float16")
