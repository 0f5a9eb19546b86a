"""Sounds of one's own: added from a few recordings, told from others, and nothing else changed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glatd.cli.train import default_bundle
from glatd.errors import ConfigError, DataError
from glatd.trainer import placing
from glatd.trainer.backbones.mn import MN
from glatd.trainer.backbones.talnet import TALNet
from glatd.trainer.bundle import read_bundle, write_bundle
from glatd.trainer.contrast import FILE, read_contrast, trunk
from glatd.trainer.finetune import ENGINE, finetune, grow
from glatd.trainer.glat import Glat, GlatSpec
from glatd.trainer.hidden import hidden
from glatd.trainer.newsounds import read_new_sounds
from glatd.trainer.rows import Rows, fit_rows
from glatd.trainer.trial import FALSE_ALARM, HEARD, Heads, _threshold, fit_heads, try_out
from tests.daemon.sounds import write_wav

RATE = 32_000


def warble(rng: np.random.Generator, seconds: float = 1.5) -> NDArray[np.float32]:
    """A siren of no kind: a tone that wobbles fast, of any pitch around 1.2 kHz, with harmonics."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = rng.uniform(1000, 1400)
    phase = 2 * np.pi * pitch * time + 12 * np.sin(2 * np.pi * rng.uniform(7, 9) * time)
    sound = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.02 * rng.standard_normal(len(time))
    return (0.2 * sound).astype(np.float32)


def knocks(rng: np.random.Generator, seconds: float = 1.5) -> NDArray[np.float32]:
    """Hollow knocks, some a second."""
    time = np.arange(int(seconds * RATE)) / RATE
    sound = np.zeros_like(time)
    for at in np.arange(0.05, seconds - 0.1, rng.uniform(0.15, 0.25)):
        after = np.clip(time - at, 0, None)
        sound += (time >= at) * np.exp(-after * 60) * np.sin(2 * np.pi * rng.uniform(250, 350) * after)
    return (0.4 * sound + 0.002 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(5)
    for name, sound in (("Warbler", warble), ("Knocker", knocks)):
        (made / name).mkdir()
        for number in range(6):
            write_wav(made / name / f"{number}.wav", sound(rng), RATE)
    (made / "background").mkdir()
    write_wav(made / "background" / "yard.wav", (0.01 * rng.standard_normal(12 * RATE)).astype(np.float32), RATE)
    return made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer scenes than a user gets."""
    monkeypatch.setattr(placing, "SCENES_A_SOUND", 18)
    monkeypatch.setattr(placing, "LEAST_A_RECORDING", 3)
    monkeypatch.setattr(placing, "BACKGROUNDS", 10)


@pytest.mark.usefixtures("few")
def test_two_sounds_are_heard_and_the_others_stay_as_they_are(folder: Path) -> None:
    model, described = read_bundle(default_bundle())
    new = read_new_sounds(folder, described.labels)
    assert [sound.name for sound in new.sounds] == ["Knocker", "Warbler"] and len(new.background) == 1
    material = placing.gather(model, new, read_contrast(default_bundle(), model), 1, lambda *_: None)
    decay, shift, trials = try_out(material, ["Knocker", "Warbler"], [6, 6])
    for trial in trials:
        assert trial.heard >= 5 and trial.false_alarms <= 0.01 and trial.precision > 0.9, trial
    grown = grow(model, fit_heads(material, decay).shifted(shift))
    rng = np.random.default_rng(6)
    sounds = np.zeros((2, 10 * RATE), np.float32)
    for row, sound in enumerate((knocks(rng), warble(rng))):  # neither was ever heard
        sounds[row, 4 * RATE : 4 * RATE + len(sound)] = sound
    sounds += 0.001 * rng.standard_normal(sounds.shape).astype(np.float32)
    frames = placing.Frontend(model.global_stream.frontend).clip(torch.from_numpy(sounds))[:, :1000]
    frames = torch.nn.functional.pad(frames, (0, 0, 0, 1000 - frames.shape[1]), value=float(frames.min()))
    silent = torch.zeros(2, dtype=torch.int64)
    with torch.no_grad():
        before, after = model(frames, silent), grown(frames, silent)
    assert torch.equal(before.global_logits, after.global_logits[:, :527])
    assert torch.equal(before.frame_logits, after.frame_logits[:, :527])
    found = after.scores[:, 527:]
    assert found[0, 0] > HEARD > found[0, 1] and found[1, 1] > HEARD > found[1, 0], found
    # And the local stream is shown where it was.
    for row in range(2):
        looked = zip(after.starts[row].tolist(), after.classes[row].tolist(), strict=True)
        chosen = [start for start, of in looked if of == 527 + row]
        assert not chosen or 100 < chosen[0] < 550


def test_rows_are_told_apart_and_unknown_labels_left_out() -> None:
    rng = torch.Generator().manual_seed(0)
    vectors = torch.randn(400, 8, generator=rng) * torch.tensor([1.0, 100.0, 1, 1, 1, 1, 1, 1])
    labels = (vectors[:, :2] > 0).float()
    labels[::2, 0] = torch.nan  # half is unknown
    rows = fit_rows(vectors, labels, 0.01)
    assert (((rows.logits(vectors) > 0) == (vectors[:, :2] > 0)).float().mean(0) > 0.98).all()
    assert torch.equal(rows.weight, fit_rows(vectors, labels, 0.01).weight)  # it is always the same
    moved = rows.shifted(torch.tensor([2.0, 0.0])).logits(vectors) - rows.logits(vectors)
    assert torch.allclose(moved, torch.tensor([2.0, 0.0]).expand_as(moved), atol=1e-4)


def test_the_threshold_fears_false_alarms() -> None:
    mine, other = torch.tensor([0.9, 0.8, 0.3]), torch.cat([torch.full((99,), 0.01), torch.tensor([0.5])])
    assert FALSE_ALARM / 100 < 1 / 3
    assert 0.01 < _threshold(mine, other) < 0.3, "one false alarm in a hundred costs less than a sound in three"
    assert 0.5 < _threshold(mine, torch.cat([other, torch.tensor([0.5] * 4)])) < 0.8


def test_a_class_can_be_added_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = Glat(MN(width=0.1, folded=True), GlatSpec(crops=3)).eval()
    hidden_units = small.global_stream.output.in_features
    one = Heads(*(Rows(torch.randn(1, hidden_units), torch.zeros(1)) for _ in range(2)))
    twice = grow(grow(small, one), one)
    assert twice.global_stream.config["classes"] == 529 and trunk(twice) == trunk(small)
    write_bundle(tmp_path, twice, "small+1", {}, "MIT", labels=[str(index) for index in range(529)])
    read, described = read_bundle(tmp_path)
    assert described.labels[-1] == "528" and read.local_stream.output.out_features == 529


def test_a_network_that_pools_scores_is_refused() -> None:
    with pytest.raises(ConfigError, match="classes cannot be added to 'talnet': it pools scores of frames"):
        hidden(TALNet().eval(), torch.zeros(1, 40, 64))


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    def read() -> object:
        return read_new_sounds(tmp_path / "own", ("Dog",))

    with pytest.raises(DataError, match="is no folder; make one"):
        read()
    (tmp_path / "own").mkdir()
    with pytest.raises(DataError, match="has no folder of recordings in it"):
        read()
    dog = tmp_path / "own" / "Dog"
    dog.mkdir()
    with pytest.raises(DataError, match="'Dog' is a class of the model already"):
        read()
    gate = dog.rename(tmp_path / "own" / "Gate")
    rng = np.random.default_rng(0)
    for number in range(5):
        write_wav(gate / f"{number}.wav", knocks(rng), RATE)
    write_wav(gate / "quiet.wav", np.zeros(RATE, np.float32), RATE)
    (gate / "notes.txt").write_text("not a recording")
    found = read_new_sounds(tmp_path / "own", ("Dog",))
    assert len(found.sounds[0].recordings) == 5 and len(found.refused) == 2
    (gate / "0.wav").unlink()
    with pytest.raises(DataError, match=r"Gate has 4 recordings that can be used, and 5 are needed \(.*silent"):
        read()
    (gate.parent / "a:b").mkdir()
    with pytest.raises(DataError, match="printable characters, no ':'"):
        read()


def test_a_base_without_what_new_sounds_are_told_from_is_refused(tmp_path: Path, folder: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(default_bundle(), bare)
    (bare / FILE).unlink()
    with pytest.raises(DataError, match=f"has no {FILE}: glatd train contrast"):
        finetune(folder, bare, tmp_path / "out", lambda *_: None)
    shutil.copy(default_bundle() / FILE, bare / FILE)
    torch.manual_seed(0)
    write_bundle(bare, Glat(MN(folded=True), GlatSpec()), "other", {}, "MIT")
    with pytest.raises(DataError, match="is of another network than the weights beside it"):
        finetune(folder, bare, tmp_path / "out", lambda *_: None)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="is something else"):
        finetune(folder, default_bundle(), tmp_path / "out", lambda *_: None)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("few")
def test_from_recordings_to_an_engine_that_hears_them(folder: Path, tmp_path: Path) -> None:
    """The whole way, replayed by the daemon with a rule for the new class; replay's events name it."""
    from tests.daemon.processes import glatd

    finetune(folder, default_bundle(), tmp_path / "out", lambda *_: None)
    rng = np.random.default_rng(9)
    sound = 0.001 * rng.standard_normal(30 * RATE).astype(np.float32)
    for at in (8, 20):
        piece = warble(rng)
        sound[at * RATE : at * RATE + len(piece)] += piece
    write_wav(tmp_path / "yard.wav", sound, RATE)
    rules = tmp_path / "glatd.toml"
    rules.write_text("[[events.rule]]\nlabels = ['Warbler']\non = 0.5\n")
    done = glatd("replay", str(tmp_path / "yard.wav"), "--engine", str(tmp_path / "out" / ENGINE), "--format", "jsonl",
                 "--rules", str(rules))
    assert done.returncode == 0, done.stderr
    told = [message for message in map(json.loads, done.stdout.splitlines()) if message["type"] == "event"]
    mine = [event for event in told if event["label"] == "Warbler" and event["phase"] == "start"]
    assert [round(event["onset"] / RATE) for event in mine] == [8, 20] and mine[0]["mid"] == "/own/Warbler"
