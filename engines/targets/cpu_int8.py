"""int8 for the CPU by NNCF: the convolutions of the trunks, with ranges taken from real scenes.

Depthwise convolutions, squeeze-and-excitation and recurrent layers stay in float32: they are a small part of the work,
and of MN's differences in int8 the larger one (docs/engines.md).

NNCF is needed to build, never to run, and comes with `glatd[int8]`.
"""

import contextlib
import ctypes
import io
import logging
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.engines.manifest import Geometry
from glatd.engines.material import Material
from glatd.engines.targets.target import Order
from glatd.errors import EngineError

Rows = dict[str, NDArray[np.float32]]
SS_DISABLE = 2  # of Linux's signal.h
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}


def nncf() -> Any:
    """The `nncf` module, imported late and without the telemetry that it would start.

    Raises:
        EngineError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on versions of packages that are not used here
            import nncf as module
    except ImportError as error:
        raise EngineError(f"int8 needs the package nncf to build: {error}; pip install 'glatd[int8]'") from error
    module.set_log_level(logging.ERROR)
    return module


def quantise(name: str, pieces: Mapping[str, Any], order: Order, core: Any) -> Any:
    """The trunk of a graph in pieces (cpu_split.py), computing in int8.

    Args:
        name: of the graph.
        core: of OpenVINO, to run the piece before the trunk.

    Raises:
        EngineError: the bundle has no labelled clips to take ranges from, or NNCF is not installed.
    """
    if order.material is None:
        raise EngineError(
            f"int8 takes its ranges from labelled clips, and {order.bundle} has none; "
            f"`glatd train export {order.bundle} --data CLIPS`"
        )
    module = nncf()
    trunk = pieces["trunk"].clone()
    others = {operation.get_type_name() for operation in trunk.get_ops()} - {"Convolution"}
    before = core.compile_model(pieces["input"], "CPU", FLOAT32) if "input" in pieces else None
    rows = [as_given(pieces, row, before) for row in rows_of(name, order.material, order.sizes)]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it draws bars
        warnings.simplefilter("ignore")
        quantised = module.quantize(
            trunk,
            module.Dataset(rows),
            subset_size=len(rows),
            preset=module.QuantizationPreset.MIXED,  # activations that are not symmetric, as those of Hardswish
            ignored_scope=module.IgnoredScope(types=sorted(others), validate=False),
        )
    leave_signal_stack()
    return quantised


class SignalStack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def leave_signal_stack() -> None:
    """Have this thread handle signals on its own stack again.

    NNCF makes cores of OpenVINO's of its own, and the stack for signals that such a core has set up may be gone with
    it (`the_core` in cpu.py).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).sigaltstack(ctypes.byref(SignalStack(None, SS_DISABLE, 0)), None)


def rows_of(name: str, material: Material, sizes: Geometry) -> list[Rows]:
    """Inputs of a graph in real use, by number."""
    kept = {trunk.graph: trunk for trunk in sizes.trunks}
    if name not in kept:
        return [{str(at): array for at, array in enumerate(row.values())} for row in material.calibration()[name]]
    trunk = kept[name]  # it sees the frames of the graph that it stands for, a run of them at a time
    return [{"0": np.ascontiguousarray(row["frames"][:, : trunk.run])} for row in material.calibration()[trunk.of]]


def as_given(pieces: Mapping[str, Any], row: Rows, before: Any) -> Rows:
    """What the trunk is given where a graph is given `row`; `before` is the piece before it, compiled."""
    values = dict(row)
    if before is not None:
        found = before({port.any_name: row[port.any_name] for port in pieces["input"].inputs})
        values |= {port.any_name: found[number] for number, port in enumerate(pieces["input"].outputs)}
    return {port.any_name: values[port.any_name] for port in pieces["trunk"].inputs}
