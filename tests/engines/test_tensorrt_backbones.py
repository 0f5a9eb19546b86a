"""The graphs of every backbone, at full size, become engine bytes: parsing and building need no GPU.

MN04 with its own weights in every run, the others untrained.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest

from glatd.engines.manifest import FEATURE, Profile
from glatd.engines.targets.rows import Batches
from glatd.engines.targets.tensorrt_build import Settings, build, lowered
from glatd.engines.targets.tensorrt_library import find_library
from tests.conftest import ROOT

CROPS = 5
PROFILE = Profile(2, 4)
WINDOWS = ("frontend", "global", "local")


def network(backbone: str) -> Any:
    """A GL-AT of it."""
    from glatd.trainer.backbones import make_backbone
    from glatd.trainer.bundle import read_bundle
    from glatd.trainer.glat import Glat, GlatSpec

    if backbone == "mn":
        return read_bundle(ROOT / "models" / "glat-mn04")[0]
    return Glat(make_backbone({"name": backbone, "classes": 527}).eval(), GlatSpec(crops=CROPS))


def export(model: Any, folder: Path) -> dict[str, tuple[tuple[int, ...], ...]]:
    """As `glatd train export`, but only what is built from; the shape of a row of each input of each graph."""
    import torch

    from glatd.trainer.export import INPUTS, OUTPUTS, graphs, name_feature

    inputs = {}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    for name, (module, example) in graphs(model, "stream").items():
        if name not in WINDOWS:
            continue
        shapes = tuple({0: torch.export.Dim("batch", min=1, max=64)} for _ in example)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module.eval(), example, dynamic_shapes=shapes, strict=True)
            torch.onnx.export(
                program, (), folder / f"{name}.onnx", dynamo=True, external_data=False, verbose=False, optimize=True,
                input_names=list(INPUTS[name]), output_names=list(OUTPUTS[name]),
            )  # fmt: skip
        name_feature(folder / f"{name}.onnx")
        inputs[name] = tuple(tuple(value.shape[1:]) for value in example)
    return inputs


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "backbone",
    ["mn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cnn10", "resnet38", "talnet", "at_sca"))],
)
def test_every_graph_builds_in_every_precision(backbone: str, tmp_path: Path) -> None:
    import onnx

    inputs = export(network(backbone), tmp_path)
    library = find_library()
    for name, rows in inputs.items():
        path = tmp_path / f"{name}.onnx"
        sizes = {}
        for precision in ("float32",) if name == "frontend" else ("float32", "float16", "bfloat16"):
            data = build(library, lowered(path, precision), rows, Batches.of(name, PROFILE, CROPS), Settings())
            sizes[precision] = len(data)
        kernels = path.stat().st_size
        assert sizes["float32"] > 0.5 * kernels
        if name != "frontend":
            low = onnx.load_from_string(lowered(path, "float16")).graph
            convolutions = [node for node in low.node if node.op_type == "Conv"]
            kinds = {tensor.name: tensor.data_type for tensor in low.initializer}
            assert len(convolutions) > 1
            assert {kinds[node.input[1]] for node in convolutions} == {onnx.TensorProto.FLOAT16}
            heads = [node.input[1] for node in low.node if node.op_type in ("Gemm", "MatMul")][-1:]
            assert all(kinds.get(name, onnx.TensorProto.FLOAT) == onnx.TensorProto.FLOAT for name in heads)
        assert FEATURE not in [value.name for value in onnx.load(path).graph.output]
