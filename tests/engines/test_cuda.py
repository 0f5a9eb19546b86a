"""The CUDA target without a GPU: programs are lowered, loaded and run in batches on the CPU by the same code."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glatd.engines.manifest import VERSION, LabelEntry, Manifest, Profile, Runtime, graph_inputs
from glatd.engines.targets import cuda, find_target
from glatd.engines.targets.cuda_torch import TorchGraph, lower_program
from glatd.engines.targets.rows import Batches
from glatd.engines.targets.target import Order
from glatd.errors import EngineError
from tests.engines.small import CLASSES, SIZES, small_bundle

torch = pytest.importorskip("torch")
ROW = (12, 8)
BATCHES = Batches(2, 3)


class Network(torch.nn.Module):  # type: ignore[name-defined,misc]
    """Frames in decibels -> scores and the feature, by two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Conv1d(8, 16, 3, padding=1), torch.nn.Conv1d(16, 16, 4, 4)
        self.head = torch.nn.Linear(16, CLASSES)

    def forward(self, frames: Any) -> Any:
        feature = self.second(torch.relu(self.first(((frames + 30) / 20).transpose(1, 2))))
        return self.head(feature.mean(2)).sigmoid(), feature


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a program for each graph; that of `local` is real."""
    folder = small_bundle(tmp_path_factory.mktemp("cuda") / "bundle")
    torch.manual_seed(0)
    batch = torch.export.Dim("batch", min=1, max=64)
    with torch.no_grad():
        program = torch.export.export(Network().eval(), (torch.zeros(2, *ROW),), dynamic_shapes=({0: batch},))
    for name in ("frontend", "global", "local"):
        torch.export.save(program, folder / f"{name}.pt2")
    return folder


def frames(count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(count).uniform(-100, 0, (count, *ROW)).astype(np.float32)


def expected(bundle: Path, given: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        scores: np.ndarray[Any, Any] = (
            torch.export.load(bundle / "local.pt2").module()(torch.from_numpy(given))[0].numpy()
        )
    return scores


def order(bundle: Path, work: Path, precision: str) -> Order:
    inputs = {"local": graph_inputs(SIZES)["local"]}
    return Order(bundle, work, inputs, SIZES, precision, find_target("cuda").profile(3))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 0])
def test_batches_say_what_the_network_says(bundle: Path, count: int) -> None:
    graph = TorchGraph(bundle / "local.pt2", (ROW,), 1, BATCHES, "cpu")
    (scores,) = graph(frames(count))
    assert scores.shape == (count, CLASSES) and scores.dtype == np.float32
    if count:
        np.testing.assert_allclose(scores, expected(bundle, frames(count)), atol=1e-6)


@pytest.mark.parametrize(("precision", "most"), [("float16", 0.005), ("bfloat16", 0.03)])
def test_only_between_the_convolutions_is_it_lowered(bundle: Path, tmp_path: Path, precision: str, most: float) -> None:
    program = lower_program(bundle / "local.pt2", (ROW,), precision)
    low = getattr(torch, precision)
    kinds = {
        str(node.target): node.meta["val"].dtype for node in program.graph.nodes
        if node.op == "call_function" and isinstance(node.meta.get("val"), torch.Tensor)
    }  # fmt: skip
    assert kinds["aten.conv1d.default"] == kinds["aten.relu.default"] == low
    assert kinds["aten.linear.default"] == kinds["aten.div.Tensor"] == kinds["aten.sigmoid.default"] == torch.float32
    work = tmp_path / "work"
    work.mkdir()
    find_target("cuda").convert(order(bundle, work, precision))
    (scores,) = TorchGraph(work / "local.pt2", (ROW,), 1, BATCHES, "cpu")(frames(5))
    assert 0 < np.abs(scores - expected(bundle, frames(5))).max() < most


def test_float32_is_the_program_itself(bundle: Path, tmp_path: Path) -> None:
    find_target("cuda").convert(order(bundle, tmp_path, "float32"))
    assert (tmp_path / "local.pt2").read_bytes() == (bundle / "local.pt2").read_bytes()
    assert (tmp_path / "multiply_adds.json").is_file()


def test_a_bundle_without_programs_is_named(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    with pytest.raises(EngineError, match=r"lacks local\.pt2; `glatd train export"):
        find_target("cuda").convert(order(bundle, tmp_path, "float32"))


def test_what_does_not_fit_or_load_is_an_engine_error(bundle: Path, tmp_path: Path) -> None:
    graph = TorchGraph(bundle / "local.pt2", (ROW,), 1, BATCHES, "cpu")
    with pytest.raises(EngineError, match=r"local\.pt2 was given float32 \(1, 11, 8\), it takes float32"):
        graph(frames(1)[:, 1:])
    (tmp_path / "cut.pt2").write_bytes((bundle / "local.pt2").read_bytes()[:1000])
    with pytest.raises(EngineError, match=r"cannot load .*cut\.pt2: .*; build the engine again"):
        TorchGraph(tmp_path / "cut.pt2", (ROW,), 1, BATCHES, "cpu")


def test_where_it_cannot_run_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    target = find_target("cuda")
    labels = (LabelEntry("Sound", ""),)
    runtime = target.runtime("float16")
    made = Manifest(VERSION, "small", SIZES, runtime, labels, (), {}, "MIT", "", profile=Profile(1, 2))
    assert (runtime.name, runtime.built_for) == ("torch", {"gpu": "any", "tf32": "off"})
    assert target.most_windows(made) == 2
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "torch finds no NVIDIA GPU here" in target.obstacle(made)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert target.obstacle(made) == ""
    old = dataclasses.replace(made, runtime=Runtime("cuda", "torch", "1.0.0", "float16"))
    assert "and 1.0.0 where it was built; build it again here" in target.obstacle(old)

    def none(name: str) -> str:
        raise cuda.PackageNotFoundError(name)

    monkeypatch.setattr(cuda, "version", none)
    assert "needs torch; pip install 'glatd[cuda]'" in target.obstacle(made)
