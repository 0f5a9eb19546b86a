"""Training: it learns, and a run that was stopped goes on as if it had not been."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from glatd.trainer import fit as fitting
from glatd.trainer.backbones.mn import MN
from glatd.trainer.blend import blend
from glatd.trainer.dataset import TrainingData, scene_scores
from glatd.trainer.frontend import MN_FRONTEND, Frontend
from glatd.trainer.glat import Glat, GlatSpec
from glatd.trainer.losses import Targets
from glatd.trainer.recipe import BlendSpec, DataSpec, LossSpec, OptimSpec, Recipe, read_recipe
from glatd.trainer.scenes import RATE, Pool, SceneSpec
from glatd.trainer.sceneset import render
from glatd.trainer.weak.recipe import is_clip_recipe, read_clip_recipe

RECIPES = Path(__file__).parents[2] / "trainer" / "recipes"
CLASSES = 6


def recipe(steps: int) -> Recipe:
    return Recipe(
        name="small",
        seed=3,
        backbone="mn",
        width=0.1,
        glat=GlatSpec(crops=2),
        data=DataSpec((1,), (5,), (), 8, 8),
        scenes=SceneSpec(),
        test_scenes=SceneSpec(),
        loss=LossSpec(1.0, 1.0, 0.5, 0.9),
        optim=OptimSpec(steps, 2, 3e-3, 2, 1.0, 0.5),
        blend=BlendSpec(1.0, 1.0),
    )


def network() -> MN:
    torch.manual_seed(0)
    small = MN(classes=CLASSES, width=0.1, folded=True)
    for value in small.parameters():
        if value.dim() > 1:  # without BatchNorm the usual start lets nothing through
            torch.nn.init.kaiming_normal_(value)
    return small.eval()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Eight scenes of three sounds."""
    n = np.arange(2 * RATE)
    pool = Pool([np.sin(n * f).astype(np.float32) for f in (0.05, 0.3, 1.0)], ["Dog", "Cat", "Rain"])
    scenes = render(
        tmp_path_factory.mktemp("scenes"), [], pool, Frontend(MN_FRONTEND), 1, 8, SceneSpec(), lambda _: None
    )
    events = torch.zeros(4, CLASSES)
    events[torch.arange(3), torch.arange(3)] = 0.9
    trained = torch.arange(CLASSES) < 3
    return TrainingData(scenes, events, scene_scores(network(), scenes, lambda _: None), trained)


def train(data: TrainingData, work: Path, steps: int, stop_after: int | None = None) -> tuple[Glat, list[float]]:
    """Train; `stop_after` steps it is killed in the middle of things."""
    totals = []

    def report(step: int, values: dict[str, float]) -> None:
        totals.append(sum(value for name, value in values.items() if name != "norm"))
        if step == stop_after:
            raise KeyboardInterrupt

    model = Glat(network(), GlatSpec(crops=2))
    work.mkdir(exist_ok=True)
    with contextlib.suppress(KeyboardInterrupt):
        fitting.fit(recipe(steps), model, network(), data, work, report)
    return model, totals


def test_a_killed_run_resumed_equals_an_unbroken_one(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", 2)
    unbroken, _ = train(data, tmp_path / "a", 6)
    train(data, tmp_path / "b", 6, stop_after=3)  # a step after its last checkpoint
    resumed, _ = train(data, tmp_path / "b", 6)
    expected = unbroken.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.state_dict().items())


def test_the_loss_falls_and_both_streams_move(data: TrainingData, tmp_path: Path) -> None:
    model, totals = train(data, tmp_path, 25)
    assert np.mean(totals[-5:]) < 0.8 * np.mean(totals[:3])
    start = network().state_dict()
    for stream in (model.global_stream, model.local_stream):
        assert not torch.equal(stream.state_dict()["classifier.5.weight"], start["classifier.5.weight"])


def test_every_recipe_reads() -> None:
    assert len(list(RECIPES.glob("*.toml"))) >= 9
    for path in RECIPES.glob("*.toml"):
        if is_clip_recipe(path):
            clips = read_clip_recipe(path)
            assert clips.name == path.stem and clips.backbone.name == clips.name.removesuffix("-glat").replace("-", "_")
            assert (clips.method == "glat") == path.stem.endswith("-glat")
        else:
            assert read_recipe(path).optim.steps > 0


def test_targets_know_what_sounds_when() -> None:
    events = torch.zeros(1, 2, 3)
    events[0, 0, 0], events[0, 1, 1] = 0.9, 0.8
    spans = torch.tensor([[[0, 20_480], [200_000, 210_240]]])
    targets = Targets(events, spans, torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([True, True, False]))
    torch.testing.assert_close(targets.weak(), torch.tensor([[0.9, 0.8, 0.3]]))
    frames = targets.frames(32, 10_240)
    assert frames[0, 0].tolist() == pytest.approx([0.9, 0.9] + [0.0] * 30)
    assert frames[0, 1].argmax() in (19, 20) and frames[0, 1].sum() == pytest.approx(0.8)
    crops = targets.crops(torch.tensor([[0, 120_000, 209_000]]), 96_000)
    torch.testing.assert_close(crops[0], torch.tensor([[0.9, 0, 0], [0, 0.8, 0], [0, 0, 0]]))


def test_blending_goes_from_the_base_to_the_trained_weights() -> None:
    base = Glat(network(), GlatSpec())
    for shares in ((0.0, 1.0), (0.25, 0.5)):
        trained = Glat(network(), GlatSpec())
        with torch.no_grad():
            for value in trained.parameters():
                value += 1.0
        blend(trained, base, BlendSpec(*shares))
        for stream, known, share in (
            (trained.global_stream, base.global_stream, shares[0]),
            (trained.local_stream, base.local_stream, shares[1]),
        ):
            for value, start in zip(stream.parameters(), known.parameters(), strict=True):
                torch.testing.assert_close(value, start + share)
