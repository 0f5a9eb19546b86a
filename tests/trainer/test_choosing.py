"""One crop a sound: parents of a sound bring no second look at it, and the graph chooses as the module does."""

import warnings
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch

from glatd.engines.targets.cpu import the_core
from glatd.errors import ConfigError
from glatd.trainer.choosing import SoundSelection
from glatd.trainer.export import GlobalGraph
from glatd.trainer.glat import Glat, GlatSpec
from glatd.trainer.looker import Network
from glatd.trainer.selection import Selection, clip_grid, stream_grid
from tests.engines.tiny import Tiny

TOTAL, CROP, FRAMES = 320_000, 96_000, 62
GRID = clip_grid(FRAMES, TOTAL, CROP)


def bump(at: int, height: float) -> torch.Tensor:
    """Activations [F] (logits) of a short sound."""
    return -6 + (height + 6) * torch.exp(-0.5 * ((torch.arange(FRAMES) - at) / 2.0) ** 2)


def test_parents_of_a_sound_do_not_crowd_out_another() -> None:
    """A dog at frame 12 as three classes, and a softer siren at frame 45: the paper looks at the dog three times."""
    frames = torch.stack([bump(12, 3.0), bump(12, 2.9), bump(12, 2.8), bump(45, 1.0)])[None]
    logits, audible = torch.tensor([[3.0, 2.9, 2.8, 0.5]]), torch.ones(1, FRAMES, dtype=torch.bool)
    _, classes, _ = Selection(GRID, 3)(logits, frames, audible)
    assert classes.tolist() == [[0, 1, 2]]
    starts, classes, middles = SoundSelection(GRID, 2)(logits, frames, audible)
    assert classes.tolist() == [[0, 3]] and middles.tolist() == [[12, 45]]
    assert (starts[0, 1] - starts[0, 0]).abs() >= CROP  # both sounds, nothing twice


def test_it_is_greedy_and_rows_do_not_see_each_other() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, frames = torch.randn(6, 40, generator=generator), torch.randn(6, 40, FRAMES, generator=generator)
    audible = torch.rand(6, FRAMES, generator=generator) > 0.3
    whole = SoundSelection(GRID, 7)(logits, frames, audible)
    for crops in range(1, 7):
        part = SoundSelection(GRID, crops)(logits, frames, audible)
        assert all(torch.equal(a, b[:, :crops]) for a, b in zip(part, whole, strict=True))
    alone = SoundSelection(GRID, 7)(logits[2:3], frames[2:3], audible[2:3])
    assert all(torch.equal(a[2:3], b) for a, b in zip(whole, alone, strict=True))
    starts = SoundSelection(GRID, 3)(logits, frames, torch.ones_like(audible))[0].sort(1).values
    assert (starts.diff(dim=1) >= CROP // 2).all()  # three crops of 3 s find room in 10 s


@pytest.mark.parametrize("grid", [GRID, stream_grid(32, 1000, 300, 32), clip_grid(FRAMES, TOTAL, TOTAL)])
def test_silence_is_looked_at_last_of_all(grid: object) -> None:
    frames_of = len(grid.starts)  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(3)
    frames = torch.randn(8, 20, frames_of, generator=generator)
    frames[:, :, : frames_of - 7] += 100  # silence is tempting
    audible = (torch.arange(frames_of) >= frames_of - 7).expand(8, -1)
    _, _, middles = SoundSelection(grid, 7)(torch.randn(8, 20, generator=generator), frames, audible)  # type: ignore[arg-type]
    assert middles.min() >= frames_of - 7


def test_by_chance_while_training_and_as_published_otherwise() -> None:
    torch.manual_seed(0)
    model = Glat(Tiny(classes=9), GlatSpec(choose="random"))
    plain = Glat(model.global_stream, GlatSpec())
    frames, silent = torch.randn(4, 1000, 128), torch.zeros(4, dtype=torch.int64)
    with torch.no_grad():
        torch.manual_seed(5)
        first = model.train()(frames, silent).starts
        second = model(frames, silent).starts
        torch.manual_seed(5)
        assert torch.equal(model(frames, silent).starts, first) and not torch.equal(first, second)
        assert first.min() >= 0 and first.max() <= 700
        assert torch.equal(model.eval()(frames, silent).starts, plain.eval()(frames, silent).starts)


def test_the_graph_chooses_as_the_module_does() -> None:
    """Exported, converted and run by OpenVINO, in batches of any size; and what is judged is what is exported."""
    torch.manual_seed(0)
    model = Glat(Tiny(classes=30), GlatSpec(choose="sounds")).eval()
    frames, audible = -5 + 3 * torch.randn(6, 1000, 128), torch.ones(6, 32)
    audible[1, :20] = 0.0
    for grid in ("clip", "stream"):
        graph = GlobalGraph(model, grid).eval()
        batch = torch.export.Dim("batch", min=1, max=64)
        shapes = ({0: batch}, {0: batch})
        program = torch.export.export(graph, (frames[:2], audible[:2]), dynamic_shapes=shapes, strict=True)
        hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, on what the converter uses of it
            converted = openvino.convert_model(program)
        compiled = the_core().compile_model(converted, "CPU", hints)
        found = compiled([frames.numpy(), audible.numpy()])
        with torch.no_grad():
            wanted = graph(frames, audible)
        assert np.array_equal(found[2], wanted[2].numpy()) and np.array_equal(found[3], wanted[3].numpy())
        assert len(set(wanted[3][0].tolist())) == 5  # one of each class
        _, starts = Network(model).look_globally(frames[:1], torch.zeros(1, dtype=torch.int64))
        assert torch.equal(starts[grid], wanted[2][:1]) and "classes" in starts and "sounds" not in starts


def test_an_engine_cannot_choose_otherwise(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from glatd.cli import cli

    told = CliRunner().invoke(cli, ["train", "eval", str(tmp_path), str(tmp_path), "--engine", "--choose", "sounds"])
    assert isinstance(told.exception, ConfigError) or "compiled into it" in told.output
