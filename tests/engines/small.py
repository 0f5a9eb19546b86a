"""A bundle of graphs that are written by hand: no torch, no export, built and run in a moment.

Frames come from a convolution over samples, the feature from two over frames; scores, activations and a selection of
two crops follow. It has every part of a real one, in sizes that fit on a screen.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from glatd.engines.build import write_geometry
from glatd.engines.manifest import Geometry
from tests.engines.answered import write_probe

CLASSES = 6
SIZES = Geometry(
    rate=3200, hop=32, left=40, right=41, mels=8, block=4, window=40, crop=12, crops=2, stride=4, frames=10,
    grid="stream",
)  # fmt: skip
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    """A node that takes the values named in `inputs`, with a space between."""
    return helper.make_node(kind, inputs.split(), [output], name=output, **attributes)


def model(
    nodes: list[Any], inputs: dict[str, tuple[int, ...]], outputs: dict[str, Any], constants: dict[str, Any]
) -> Any:
    """Shapes without the batch; an output in whole numbers has a list for its shape."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, FLOAT, ["B", *row]) for name, row in inputs.items()],
        [
            helper.make_tensor_value_info(name, INT if isinstance(row, list) else FLOAT, ["B", *row])
            for name, row in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def frontend() -> Any:
    random = np.random.default_rng(0)
    kernels = random.normal(0, 0.1, (SIZES.mels, 1, SIZES.left + SIZES.right)).astype(np.float32)
    nodes = [
        node("Unsqueeze", "samples one", "channel"),
        node("Conv", "channel kernels", "filtered", strides=[SIZES.hop]),
        node("Mul", "filtered filtered", "power"),
        node("Add", "power least", "above"),
        node("Log", "above", "logged"),
        node("Transpose", "logged", "frames", perm=[0, 2, 1]),
    ]
    constants = {"one": np.array([1]), "kernels": kernels, "least": np.float32(1e-5)}
    row = (SIZES.block, SIZES.mels)
    return model(nodes, {"samples": (SIZES.block_samples,)}, {"frames": row}, constants)


def trunk(seed: int) -> tuple[list[Any], dict[str, Any]]:
    """frames [B, T, M] -> feature [B, 16, T / stride], logits [B, C] and those of frames [B, C, T / stride]."""
    random = np.random.default_rng(seed)
    nodes = [
        node("Sub", "frames mean", "centred"),
        node("Transpose", "centred", "bins", perm=[0, 2, 1]),
        node("Conv", "bins first", "low", pads=[1, 1]),
        node("HardSwish", "low", "bent"),
        node("Conv", "bent second", "feature", strides=[SIZES.stride]),
        node("ReduceMean", "feature last", "pooled", keepdims=0),
        node("MatMul", "pooled head", "logits"),
        node("MatMul", "tail feature", "frame_logits"),
    ]
    head = random.normal(0, 0.5, (16, CLASSES)).astype(np.float32)
    constants = {
        "mean": np.float32(-4),
        "first": random.normal(0, 0.1, (16, SIZES.mels, 3)).astype(np.float32),
        "second": random.normal(0, 0.1, (16, 16, SIZES.stride)).astype(np.float32),
        "last": np.array([2]),
        "head": head,
        "tail": head.T.copy(),
    }
    return nodes, constants


def global_graph() -> Any:
    nodes, constants = trunk(1)
    nodes += [
        node("Sigmoid", "logits", "scores"),
        node("Sigmoid", "frame_logits", "activations"),
        helper.make_node("TopK", ["scores", "crops"], ["highest", "classes"], name="classes"),
        node("Unsqueeze", "audible one", "heard"),
        node("Mul", "activations heard", "open"),
        node("ArgMax", "open", "moments", axis=2, keepdims=0),
        node("GatherElements", "moments classes", "middles", axis=1),
        node("Mul", "middles stride", "wanted"),
        node("Min", "wanted latest", "starts"),
    ]
    latest = np.array(SIZES.window - SIZES.crop)
    constants |= {"crops": np.array([SIZES.crops]), "one": np.array([1]), "stride": np.array(SIZES.stride)}
    picks = [SIZES.crops]
    outputs = {
        "scores": (CLASSES,), "activations": (CLASSES, SIZES.frames), "starts": picks, "classes": picks,
        "middles": picks, "feature": (16, SIZES.frames),
    }  # fmt: skip
    inputs = {"frames": (SIZES.window, SIZES.mels), "audible": (SIZES.frames,)}
    return model(nodes, inputs, outputs, constants | {"latest": latest})


def local_graph() -> Any:
    nodes, constants = trunk(2)
    del constants["tail"]
    nodes[-1] = node("Sigmoid", "logits", "scores")
    outputs = {"scores": (CLASSES,), "feature": (16, SIZES.crop // SIZES.stride)}
    return model(nodes, {"frames": (SIZES.crop, SIZES.mels)}, outputs, constants)


def small_bundle(folder: Path) -> Path:
    """Write the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, graph in (("frontend", frontend()), ("global", global_graph()), ("local", local_graph())):
        onnx.checker.check_model(graph, full_check=True)
        onnx.save(graph, folder / f"{name}.onnx")
    labels = [f"Sound {number}" for number in range(CLASSES)]
    said = {"name": "small", "labels": labels, "weights_sha256": "0" * 64, "licence": "MIT"}
    (folder / "model.json").write_text(json.dumps(said))
    write_geometry(folder, SIZES)
    write_probe(folder, SIZES, CLASSES)
    return folder
