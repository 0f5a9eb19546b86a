"""Weights are stored as float16 only where that loses nothing."""

from pathlib import Path

import numpy as np
import pytest

from glatd.engines.manifest import GRAPHS
from glatd.engines.targets.cpu import holds_float16, runtime, the_core


@pytest.mark.parametrize("graph", GRAPHS)
def test_constants_lose_nothing_on_their_way_into_an_engine(bundle: Path, built: Path, graph: str) -> None:
    ov = runtime()
    source = ov.convert_model(bundle / f"{graph}.onnx")
    stored = the_core().read_model(built / f"{graph}.xml")

    def numbers(model: object) -> list[float]:
        constants = [op.data for op in model.get_ordered_ops() if op.get_type_name() == "Constant"]  # type: ignore[attr-defined]
        return sorted(float(v) for data in constants if data.dtype.kind == "f" for v in data.ravel())

    np.testing.assert_array_equal(numbers(source), numbers(stored))


def test_weights_of_float16_are_stored_so_and_kernels_are_not(built: Path) -> None:
    sizes = {graph: (built / f"{graph}.bin").stat().st_size for graph in GRAPHS}
    parameters = 16 * 128 * 33 + 16 + 527 * 16 + 527
    assert sizes["local"] < 3 * parameters < sizes["frontend"]


@pytest.mark.parametrize(("factor", "exact"), [(2.0, True), (1 / 3, False), (1e30, False)])
def test_only_what_float16_holds_is_stored_as_such(factor: float, exact: bool) -> None:
    """As where a normalisation was folded into the weights."""
    ov = runtime()
    ops = ov.opset13
    weights = np.array([[0.5], [0.25]], np.float32) * np.float32(factor)
    samples = ops.parameter([-1, 2], np.float32)
    scaled = ops.multiply(ops.matmul(samples, ops.constant(weights), False, False), ops.constant(np.float32(1 / 5)))
    assert holds_float16(ov.Model([scaled], [samples])) is exact
