"""int8 graphs, calibrated on real scenes: convolutions only.

Heads, activations and selection stay float32, as at every precision. Two quantisers: ONNX Runtime's
(its QDQ graphs run in both runtimes), and NNCF for OpenVINO where that is installed.
"""

import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import Scenes
from glatd.engines.engine import Engine
from glatd.engines.targets import cpu

Rows = dict[str, NDArray[np.float32]]


def calibration(engine: Engine, scenes: Scenes) -> dict[str, list[Rows]]:
    """Inputs of `global` and `local` on `scenes`, a row a step, crops as float32 selects them."""
    rows: dict[str, list[Rows]] = {"global": [], "local": []}
    length = np.arange(engine.sizes.crop)
    for frames, audible in scenes.batches():
        starts = engine.look(frames, audible).starts
        for row, start in enumerate(starts):
            rows["global"].append({"frames": frames[row : row + 1], "audible": audible[row : row + 1]})
            rows["local"].append({"frames": frames[row][start[:, None] + length]})
    return rows


def keep_frontend(bundle: Path, out: Path) -> None:
    """The front end is float32 at every precision."""
    if (bundle / "frontend.onnx").exists():
        shutil.copyfile(bundle / "frontend.onnx", out / "frontend.onnx")


def with_onnxruntime(bundle: Path, out: Path, rows: dict[str, list[Rows]]) -> Path:
    """Static int8 (QDQ) of the ONNX graphs, per channel. Needs onnxruntime and onnx."""
    tools = importlib.import_module("onnxruntime.quantization")
    shapes = importlib.import_module("onnxruntime.quantization.shape_inference")

    class Reader(tools.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """Hands over the rows, once."""

        def __init__(self, of_graph: list[Rows]) -> None:
            self._rows: Iterator[Rows] = iter(of_graph)

        def get_next(self) -> Rows | None:
            return next(self._rows, None)

    out.mkdir(parents=True)
    keep_frontend(bundle, out)
    for graph, of_graph in rows.items():
        prepared = out / f"{graph}.prepared.onnx"
        shapes.quant_pre_process(str(bundle / f"{graph}.onnx"), str(prepared), skip_symbolic_shape=True)
        tools.quantize_static(
            str(prepared), str(out / f"{graph}.onnx"), Reader(of_graph), op_types_to_quantize=["Conv"],
            per_channel=True, activation_type=tools.QuantType.QUInt8, weight_type=tools.QuantType.QInt8,
        )
        prepared.unlink()
    return out


def with_nncf(bundle: Path, out: Path, rows: dict[str, list[Rows]]) -> Path | None:
    """int8 by NNCF, in OpenVINO's format; None where NNCF is not installed."""
    ov = cpu.runtime()
    try:
        nncf = importlib.import_module("nncf")
    except ImportError:
        return None
    out.mkdir(parents=True)
    keep_frontend(bundle, out)
    for graph, of_graph in rows.items():
        model = ov.convert_model(bundle / f"{graph}.onnx")
        types = {operation.get_type_name() for operation in model.get_ops()}
        types -= {"Convolution", "GroupConvolution"}
        quantised: Any = nncf.quantize(
            model, nncf.Dataset(of_graph), subset_size=len(of_graph),
            ignored_scope=nncf.IgnoredScope(types=sorted(types), validate=False),
        )
        ov.save_model(quantised, out / f"{graph}.xml", compress_to_fp16=False)
    return out
