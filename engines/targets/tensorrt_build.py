"""ONNX -> the bytes of a TensorRT engine.

Every network is strongly typed, which TensorRT 10 can, and 11 and RTX must: a graph computes in the types that it is
written in. So a lower precision is written into the graph (glatd.engines.lowering), and nothing else in it gets one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glatd.engines.lowering import lower
from glatd.engines.manifest import FEATURE
from glatd.engines.targets.rows import Batches
from glatd.engines.targets.tensorrt_library import Library
from glatd.engines.trunks import Shapes
from glatd.errors import EngineError


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a build can be told. TensorRT ignores names that it does not know, so it is told by these alone."""

    tf32: bool = False  # products with 10 bits of mantissa in float32 graphs: the front end's powers need 23
    optimisation: int = 3  # 0 to 5, how long it searches for fast kernels; TensorRT-RTX does not search
    workspace_mb: int = 1024  # of the GPU's memory, that a layer may use; TensorRT-RTX has a bound of its own

    def told(self, library: Library) -> dict[str, str]:
        """What of these a library takes, for the manifest."""
        both = {"typing": "strong", "tf32": "on" if self.tf32 else "off"}
        if library.portable:
            return both
        return both | {"optimisation": str(self.optimisation), "workspace_mb": str(self.workspace_mb)}

    def apply(self, library: Library, config: Any) -> None:
        """Tell an `IBuilderConfig`."""
        trt = library.module
        flag = config.set_flag if self.tf32 else config.clear_flag
        flag(trt.BuilderFlag.TF32)
        if not library.portable:
            config.builder_optimization_level = self.optimisation
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, self.workspace_mb << 20)


def lowered(path: Path, precision: str) -> bytes:
    """An ONNX graph that computes between its convolutions in `precision`, as bytes.

    Raises:
        EngineError: it cannot be read, or a weight does not fit.
    """
    try:
        if precision == "float32":
            return path.read_bytes()
        import onnx

        model = onnx.load(path)
    except ModuleNotFoundError as error:
        raise EngineError(f"{precision} needs the package {error.name}; pip install 'glatd[tensorrt]'") from error
    except Exception as error:  # of protobuf's own
        raise EngineError(f"cannot read {path}: {error}; `glatd train export` it again") from error
    if precision == "bfloat16":
        spell_out_hardswish(model)
    lower(model, precision)
    data: bytes = model.SerializeToString()
    return data


def spell_out_hardswish(model: Any) -> None:
    """x clip(x + 3, 0, 6) / 6 in place of HardSwish, which TensorRT's parser refuses in bfloat16."""
    import numpy as np
    from onnx import helper, numpy_helper

    nodes: list[Any] = []
    for node in model.graph.node:
        if node.op_type != "HardSwish":
            nodes.append(node)
            continue
        x, y = node.input[0], node.output[0]
        for kind, inputs, output in (
            ("Add", [x, "hardswish.3"], f"{y}.shifted"),
            ("Clip", [f"{y}.shifted", "hardswish.0", "hardswish.6"], f"{y}.clipped"),
            ("Div", [f"{y}.clipped", "hardswish.6"], f"{y}.gate"),
            ("Mul", [x, f"{y}.gate"], y),
        ):
            nodes.append(helper.make_node(kind, inputs, [output], name=output))
    for value in (0, 3, 6):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), f"hardswish.{value}"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def strongly_typed(trt: Any) -> int:
    """What to tell TensorRT when it makes a network; nothing from version 11 on, which knows no other kind."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def build(
    library: Library,
    onnx: bytes,
    inputs: Shapes,
    batches: Batches,
    settings: Settings,
    capability: str | None = None,
) -> bytes:
    """Parse a graph and compile it.

    Args:
        onnx: of the graph, float32 at its inputs.
        inputs: shape of a row of each of them.
        capability: of the GPU that TensorRT-RTX is to compile for, "CURRENT" for the one here; None for all of them.

    Raises:
        EngineError: TensorRT refuses the graph, or has no GPU to build on, which the full one needs.
    """
    trt = library.module
    library.logger.errors.clear()
    builder = _made(library, trt.Builder, library.logger)
    network = builder.create_network(strongly_typed(trt))
    parser = trt.OnnxParser(network, library.logger)
    if not parser.parse(onnx):
        raise EngineError(f"TensorRT cannot read the graph: {_first_error(parser)}")
    config = builder.create_builder_config()
    settings.apply(library, config)
    if capability is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, capability), 0)
    for value in [network.get_output(number) for number in range(network.num_outputs)]:
        if value.name == FEATURE:
            network.unmark_output(value)
    config.add_optimization_profile(_profile(builder, network, inputs, batches))
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise EngineError(f"TensorRT cannot build the graph: {library.said()}")
    return bytes(built)


def _profile(builder: Any, network: Any, inputs: Shapes, batches: Batches) -> Any:
    found = [network.get_input(number) for number in range(network.num_inputs)]
    shapes = [tuple(value.shape)[1:] for value in found]
    if shapes != list(inputs):
        raise EngineError(f"the graph takes {shapes} a row, not {list(inputs)}; `glatd train export` it again")
    profile = builder.create_optimization_profile()
    for value, row in zip(found, inputs, strict=True):
        profile.set_shape(value.name, (1, *row), (batches.typical, *row), (batches.most, *row))
    return profile


def _made(library: Library, make: Any, *arguments: Any) -> Any:
    try:
        return make(*arguments)
    except Exception as error:  # pybind11's, where the library could not make it: without a driver, mostly
        raise EngineError(f"{library.name} cannot build here: {library.said()}; it needs an NVIDIA GPU") from error


def _first_error(parser: Any) -> str:
    if not parser.num_errors:
        return "no reason is given"
    error = parser.get_error(0)
    what = error.desc().strip().splitlines()
    return f"{what[0] if what else error.code()} (node {error.node_name() or error.node()}, {error.node_operator()})"
