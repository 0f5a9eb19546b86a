"""Training by labelled clips: it learns, every choice works, and a run that is killed goes on as if it had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glatd.errors import ConfigError, DataError
from glatd.trainer.backbones import BACKBONES
from glatd.trainer.bundle import read_bundle, write_bundle
from glatd.trainer.data.pack import PackWriter
from glatd.trainer.data.vocabulary import own_vocabulary
from glatd.trainer.glat import Glat
from glatd.trainer.tensors import write_whole
from glatd.trainer.weak import history
from glatd.trainer.weak.begin import make_network
from glatd.trainer.weak.history import History, read
from glatd.trainer.weak.material import open_material
from glatd.trainer.weak.recipe import BackboneSpec, ClipRecipe, read_clip_recipe
from glatd.trainer.weak.train import fit_clips
from glatd.trainer.weak.watch import Watch
from tests.engines.tiny import Tiny
from tests.trainer.weak.conftest import CLASSES, RATE, SECONDS, sound

MN: dict[str, object] = {"name": "mn"}
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def changed(recipe: Path, **parts: dict[str, object] | str) -> ClipRecipe:
    """The recipe with some keys of its tables, or of its own, replaced."""
    made = read_clip_recipe(recipe)
    if "backbone" not in parts:
        made = replace(made, backbone=BackboneSpec("tiny"))
    for name, values in parts.items():
        made = replace(made, **{name: values if isinstance(values, str) else replace(getattr(made, name), **values)})
    return made


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of one convolution, for what is not about networks."""
    monkeypatch.setitem(BACKBONES, "tiny", Tiny)


def fit(recipe: ClipRecipe, sounds: Path, out: Path) -> Glat:
    """The network that a run writes."""
    assert fit_clips(recipe, sounds, out, out / "work", device="cpu") is not None
    return read_bundle(out)[0]


def command(recipe: Path, sounds: Path, out: Path) -> list[str]:
    """`glatd train fit`."""
    asked = ["train", "fit", str(recipe), "--data", str(sounds), "--out", str(out), "--device", "cpu", "--threads", "1"]
    return ["-m", "glatd.cli", *asked]


def same(left: Path, right: Path) -> None:
    """Both runs end in the same weights, running means and moments, bit for bit."""
    states = [torch.load(path / "checkpoint.pt", weights_only=True) for path in (left, right)]
    assert states[0]["step"] == states[1]["step"] and states[0]["more"] == states[1]["more"]
    for part in ("model", "mean"):
        assert all(torch.equal(value, states[1][part][name]) for name, value in states[0][part].items())
    moments = [state["optimiser"]["state"] for state in states]
    for one, values in moments[0].items():
        assert all(torch.equal(value, moments[1][one][name]) for name, value in values.items())


@pytest.mark.timeout(900)
def test_a_run_that_is_killed_and_resumed_equals_an_unbroken_one(recipe: Path, sounds: Path, tmp_path: Path) -> None:
    """Killed for real, a moment after a checkpoint; with BatchNorm, dropout, mixup and two workers."""
    text = (
        recipe.read_text()
        .replace("mixup = 0.0", "mixup = 1.0")
        .replace("steps = 6", "steps = 8")
        .replace("batch = 4", "batch = 2")
        .replace("judge = 3", "judge = 4")
    )
    recipe.write_text(text)
    unbroken, broken = tmp_path / "a", tmp_path / "b"
    run = [sys.executable, *command(recipe, sounds, unbroken)]
    subprocess.run(run, check=True, env=ENVIRONMENT, capture_output=True)
    again = [sys.executable, *command(recipe, sounds, broken), "--workers", "2"]
    process = subprocess.Popen(again, env=ENVIRONMENT, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (broken.with_name("b.work") / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    step = torch.load(broken.with_name("b.work") / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < step < 8 and not (broken / "model.json").exists()
    done = subprocess.run(again, check=True, env=ENVIRONMENT, capture_output=True, text=True)
    assert "REPORT.md" in done.stdout
    same(unbroken.with_name("a.work"), broken.with_name("b.work"))
    assert (unbroken / "weights.safetensors").read_bytes() == (broken / "weights.safetensors").read_bytes()
    judged = [[entry for entry in read(tmp_path / name) if "map" in entry] for name in ("a.work", "b.work")]
    assert judged[0] == judged[1] and [entry["step"] for entry in judged[0]] == [4, 8]


@pytest.mark.timeout(900)
def test_two_processes_of_torchrun_train_as_one(recipe: Path, sounds: Path, tmp_path: Path) -> None:
    """Gradients are averaged over both: only BatchNorm, which has half a batch in each, makes a difference."""
    # By address: the name of the machine need not be known to itself.
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    launch = [*run, "--nproc-per-node", "2"]
    out = tmp_path / "two"
    done = subprocess.run(
        [*launch, *command(recipe, sounds, out)], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("REPORT.md") == 1
    one = fit(read_clip_recipe(recipe), sounds, tmp_path / "one")
    two, _ = read_bundle(out)
    start = make_network(read_clip_recipe(recipe), CLASSES).state_dict()
    trained = [name for name, _ in two.named_parameters()]
    moved, apart = (
        sum(float((two.state_dict()[name] - other[name]).abs().sum()) for name in trained)
        for other in (start, one.state_dict())
    )
    assert 0 < apart < moved
    assert [entry["step"] for entry in read(tmp_path / "two.work") if "map" in entry] == [3, 6]


def test_it_learns_and_reports(recipe: Path, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "EVERY", 8)
    out = tmp_path / "out"
    made = changed(recipe, optim={"steps": 24, "accumulate": 1}, watch={"judge": 12, "checkpoint": 24, "keep": "best"})
    found = fit_clips(made, sounds, out, tmp_path / "work", device="cpu")
    assert found is not None
    losses = [entry for entry in read(tmp_path / "work") if "global" in entry]
    assert [entry["step"] for entry in losses] == [8, 16, 24]
    assert losses[2]["global"] < losses[0]["global"] and losses[2]["local"] < losses[0]["local"]
    text = (out / "REPORT.md").read_text(encoding="utf-8")
    assert "| Low | 4 |" in text and "without a positive (or a negative): Nothing like it" in text
    tree = json.loads((out / "evaluation.json").read_text())
    assert tree["left_out"] == ["Nothing like it"] and tree["judged"] == 3
    assert tree["ways"]["clip/fused"]["map"] > 0.5  # by chance 0.33
    for picture in ("loss.png", "map.png", "precision-recall.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "work" / "tensorboard").iterdir())
    _, described = read_bundle(out)
    assert described.labels[3] == "Nothing like it" and described.provenance["clips"] == "24"


@pytest.mark.parametrize(
    "parts",
    [
        {"method": "alone", "optim": {"steps": 2, "ema": 0.0}, "backbone": MN},
        {
            "precision": "bf16-mixed",
            "glat": {"classifier": "shared", "grid": "stream"},
            "optim": {"steps": 2},
            "backbone": MN,
        },
        {
            "augment": {"mixup": 1.0, "background": 1.0, "scenes": 1.0},
            "data": {"sampler": "uniform"},
            "backbone": MN,
            "optim": {"steps": 2},
        },
    ],
    ids=["alone", "bf16 and shared", "everything at once"],
)
def test_every_choice_of_a_recipe_trains(
    recipe: Path, sounds: Path, tmp_path: Path, parts: dict[str, dict[str, object] | str]
) -> None:
    made = changed(recipe, **parts)
    start = make_network(made, CLASSES).state_dict()
    trained = fit(made, sounds, tmp_path / "out")
    state = trained.state_dict()
    head = "classifier.5.weight"
    assert not torch.equal(state[f"global_stream.{head}"], start[f"global_stream.{head}"].half().float())
    streams_agree = torch.equal(state[f"global_stream.{head}"], state[f"local_stream.{head}"])
    assert streams_agree == (made.method == "alone" or made.glat.classifier == "shared")
    first = "features.0.0.weight"
    assert torch.equal(state[f"global_stream.{first}"], state[f"local_stream.{first}"]) == (made.method == "alone")


def test_a_shared_classifier_is_one(recipe: Path, tmp_path: Path) -> None:
    shared = make_network(changed(recipe, glat={"classifier": "shared"}, backbone=MN), CLASSES)
    separate = make_network(read_clip_recipe(recipe), CLASSES)
    assert shared.local_stream.output is shared.global_stream.output
    classifier = sum(value.numel() for value in separate.local_stream.get_submodule("classifier").parameters())
    sizes = [sum(value.numel() for value in model.parameters()) for model in (separate, shared)]
    assert sizes[0] - sizes[1] == classifier
    write_bundle(tmp_path, shared, "shared", {}, "MIT", half=False, labels="abcd")
    again, _ = read_bundle(tmp_path)
    assert again.local_stream.output is again.global_stream.output
    assert torch.equal(again.local_stream.output.weight, shared.local_stream.output.weight)


def test_a_bundle_is_a_start(recipe: Path, sounds: Path, tmp_path: Path) -> None:
    made = changed(recipe, optim={"steps": 1}, backbone=MN)
    known = fit(made, sounds, tmp_path / "first")
    begun = make_network(made, CLASSES, tmp_path / "first")
    assert all(torch.equal(value, begun.state_dict()[name]) for name, value in known.state_dict().items())
    with pytest.raises(ConfigError, match=r"first holds .*'width': 0.1.*the recipe wants .*'width': 0.2"):
        make_network(changed(recipe, backbone=MN | {"width": 0.2}), CLASSES, tmp_path / "first")


@pytest.mark.parametrize("classes", [CLASSES[::-1], ("Bell", *CLASSES)], ids=["as many", "more"])
def test_a_bundle_of_other_classes_is_a_start_but_for_its_last_layer(
    recipe: Path, sounds: Path, tmp_path: Path, classes: tuple[str, ...]
) -> None:
    made = changed(recipe, optim={"steps": 1}, backbone=MN)
    known = fit(made, sounds, tmp_path / "first").state_dict()
    told: list[str] = []
    begun = make_network(made, classes, tmp_path / "first", told.append).state_dict()
    drawn = make_network(made, classes).state_dict()
    outputs = {f"{stream}_stream.classifier.5.{part}" for stream in ("global", "local") for part in ("weight", "bias")}
    for name, value in begun.items():
        assert torch.equal(value, (drawn if name in outputs else known)[name])
    assert len(told) == 1 and "first has other classes: the last layer of each stream begins at random" in told[0]


def test_a_full_disk_leaves_the_last_good_checkpoint(recipe: Path, sounds: Path, tmp_path: Path) -> None:
    made = changed(recipe, optim={"steps": 4}, watch={"checkpoint": 2, "judge": 9})
    work = tmp_path / "out" / "work"
    fit(changed(recipe, optim={"steps": 4}, watch={"checkpoint": 4, "judge": 9}), sounds, tmp_path / "whole")
    work.mkdir(parents=True)
    (work / "checkpoint.partial").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"cannot write a checkpoint: .* \(there is none yet\); make space"):
        fit(made, sounds, tmp_path / "out")
    fit(changed(recipe, optim={"steps": 4}, watch={"checkpoint": 2, "judge": 9}), sounds, tmp_path / "out")
    good = (work / "checkpoint.pt").read_bytes()
    (work / "checkpoint.partial").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"the last good one stays, .*checkpoint.pt"):
        write_whole(work / "checkpoint.pt", {"step": 5})
    assert (work / "checkpoint.pt").read_bytes() == good and not (work / "checkpoint.partial").exists()
    same(tmp_path / "whole" / "work", work)


def repacked(sounds: Path, folder: Path, labels: dict[int, int]) -> Path:
    """The same data, with other labels of some training clips."""
    folder.mkdir()
    for name in ("test.h5", "classes.txt"):
        (folder / name).write_bytes((sounds / name).read_bytes())
    rng = np.random.default_rng(3)
    writer = PackWriter(folder / "train.h5", own_vocabulary(CLASSES), round(RATE * SECONDS), 24, 20)
    for number in range(24):
        writer.add(f"{number}.wav", sound(number % 3, rng), (labels.get(number, number % 3),))
    writer.close("")
    return folder


def test_another_run_does_not_go_on_from_a_checkpoint(recipe: Path, sounds: Path, tmp_path: Path) -> None:
    """Another recipe, other labels of as many clips, another start: what differs is named, and nothing is removed."""
    made, out = changed(recipe, optim={"steps": 1}), tmp_path / "out"
    fit(made, sounds, out)
    checkpoint = (out / "work" / "checkpoint.pt").read_bytes()
    told = "checkpoint.pt is of another run: "
    with pytest.raises(DataError, match=told + "optim.learning_rate: 0.002, now 0.5; choose another --work"):
        fit(changed(recipe, optim={"steps": 1, "learning_rate": 0.5}), sounds, out)
    with pytest.raises(DataError, match=told + r"backbone.name: .*choose another --work"):
        fit(changed(recipe, optim={"steps": 1}, backbone=MN), sounds, out)
    with pytest.raises(DataError, match=told + r"training clips: \w+, now \w+; choose another --work"):
        fit(made, repacked(sounds, tmp_path / "corrected", {5: 3}), out)
    assert fit_clips(made, repacked(sounds, tmp_path / "copied", {}), out, out / "work", device="cpu") is not None
    start = tmp_path / "start"
    write_bundle(start, make_network(made, CLASSES), "start", {}, "MIT", labels=CLASSES)
    with pytest.raises(DataError, match=told + r"--init: none, now \w+; choose another --work"):
        fit_clips(made, sounds, out, out / "work", start, device="cpu")
    assert (out / "work" / "checkpoint.pt").read_bytes() == checkpoint


@pytest.mark.parametrize("damage", [b"", bytes(4096), b"half of it"], ids=["empty", "zeros", "no checkpoint"])
def test_damaged_checkpoints_are_told(recipe: Path, sounds: Path, tmp_path: Path, damage: bytes) -> None:
    made, out = changed(recipe, optim={"steps": 1}, watch={"judge": 1, "keep": "best"}), tmp_path / "out"
    fit(made, sounds, out)
    (out / "work" / "best.pt").write_bytes(damage)
    with pytest.raises(DataError, match=r"the best weights cannot be read: .*best.pt is no checkpoint.*; remove"):
        fit(made, sounds, out)
    (out / "work" / "checkpoint.pt").write_bytes(damage)
    with pytest.raises(DataError, match=r"cannot go on: .*checkpoint.pt is no checkpoint.*; remove it to begin again"):
        fit(made, sounds, out)


def test_a_test_clip_that_trains_is_refused(recipe: Path, sounds: Path) -> None:
    """By name and sound: the packs have clips of the same names, and those are others."""
    made = changed(recipe)
    assert set(open_material(made, sounds).test.names) <= set(open_material(made, sounds).train.names)
    told = r"12 test clips have the names of clips of data.{}, and 0.wav is the same recording"
    for where in ("train", "backgrounds"):
        data = {where: ("train.h5", "test.h5") if where == "train" else ("test.h5",)}
        with pytest.raises(DataError, match=told.format(where)):
            open_material(changed(recipe, data=data), sounds)


def test_it_stops_when_nothing_gets_better(recipe: Path, sounds: Path, tmp_path: Path) -> None:
    still = {"steps": 30, "learning_rate": 0.0, "ema": 0.0, "accumulate": 1}
    made = changed(recipe, optim=still, watch={"judge": 1, "patience": 2, "clips": 6})
    fit(made, sounds, tmp_path / "out")
    judged = [entry for entry in read(tmp_path / "out" / "work") if "map" in entry]
    assert [entry["step"] for entry in judged] == [1, 2, 3]  # nothing moves
    watch = Watch(2, [(1, 0.3), (2, 0.5), (3, 0.5)])
    assert not watch.stops and watch.best == 0.5
    watch.judged.append((4, 0.4))
    assert watch.stops and not Watch(0, watch.judged).stops


def test_a_loss_that_is_no_number_is_told(recipe: Path, sounds: Path, tmp_path: Path) -> None:
    made = changed(
        recipe,
        watch={"judge": 9},
        optim={"learning_rate": 1e37, "clip_norm": 0.0, "ema": 0.0, "accumulate": 1, "warmup": 0},
    )
    with pytest.raises(DataError, match=r"the loss at step \d is .*no number; take a lower"):
        fit(made, sounds, tmp_path / "out")


def test_history_drops_what_a_resumed_run_repeats(tmp_path: Path) -> None:
    kept = History(tmp_path, 0)
    for step in (20, 40, 60):
        kept.add(step, {"global": 1.0 / step})
    kept.close()
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"step": 80, "glo')  # cut short by a kill
    History(tmp_path, 40).close()
    assert [entry["step"] for entry in read(tmp_path)] == [20, 40]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "mn"', 'name = "mm"', "unknown backbone 'mm'"),
        ('name = "mn"\nwidth = 0.1', 'name = "tiny"\nwidth = 0.1', "'tiny' has no width"),
        ('name = "mn"\nwidth = 0.1', 'name = "cnn10"\nwidth = 0.0', "width = 0.0 must be more than 0"),
        ("batch = 4", "batch = 0", "optim.batch = 0 must be 1 or more"),
        ("crop = 96", "crop = 400", "glat.crop = 400 must lie in the window of 320"),
        ('method = "glat"', 'method = "galt"', "must be one of 'glat', 'alone'"),
        ('grid = "clip"', 'grid = "steam"', "glat: grid = .steam. must be one of 'clip', 'stream'"),
        ("mixup = 0.0\n", "", "the key 'mixup' is missing"),
        ('train = ["train.h5"]', "train = []", "data.train and data.test must each name"),
        ('classes = "classes.txt"', 'classes = ""', "4 classes that are not the 527"),
    ],
)
def test_a_recipe_that_cannot_be_used_says_why(recipe: Path, sounds: Path, old: str, new: str, told: str) -> None:
    recipe.write_text(recipe.read_text().replace(old, new))

    def use() -> None:
        made = read_clip_recipe(recipe)
        make_network(made, CLASSES)
        open_material(made, sounds)

    with pytest.raises((ConfigError, DataError), match=told):
        use()
