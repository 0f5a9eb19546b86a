"""Scenes of the proof: folds apart, recordings apart, nothing rendered, nothing silent."""

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from glatd.errors import DataError
from glatd.trainer.corpus import Clip
from glatd.trainer.progress import Progress
from glatd.trainer.proof.plan import read_plan
from glatd.trainer.proof.scenes import ProofScenes, made_of, make_scenes, split


def clip(kind: str, fold: int, source: str, synthetic: bool = False) -> Clip:
    return Clip(
        Path(f"{source}.ogg"), (kind, f"{kind} and its parents"), fold, "made", "CC0", "", "", True, synthetic, source
    )


@pytest.fixture
def spec(plan: Path) -> ProofScenes:
    return read_plan(plan).file.scenes


def test_the_halves_share_nothing_but_kinds(spec: ProofScenes) -> None:
    clips = [
        clip("Dog", 1, "a"), clip("Dog", 5, "b"), clip("Cat", 2, "c"), clip("Cat", 5, "d"),
        clip("Rain", 1, "e"),  # nowhere to judge it by
        clip("Piano", 1, "f", True), clip("Piano", 5, "g", True),  # rendered
        clip("Dog", 0, "h"),  # in neither
    ]  # fmt: skip
    halves = split(clips, spec)
    assert [one.source for one in halves.train] == ["a", "c"] and [one.source for one in halves.test] == ["b", "d"]
    assert halves.vocabulary.names == ("Cat", "Cat and its parents", "Dog", "Dog and its parents")
    with pytest.raises(DataError, match="the recording 'a' is in folds of both sides"):
        split([*clips, clip("Dog", 5, "a")], spec)
    with pytest.raises(DataError, match="fold 5 is to train by and to judge by"):
        split(clips, replace(spec, train_folds=(1, 5)))
    with pytest.raises(DataError, match="no kind of sound has 2 recorded clips"):
        split(clips, replace(spec, least=2))


def test_scenes_are_made_once_and_are_of_their_corpus(corpus: Path, spec: ProofScenes, tmp_path: Path) -> None:
    name = make_scenes(corpus, spec, tmp_path, Progress())
    written = [(tmp_path / file).stat().st_mtime_ns for file in ("train.h5", "test.h5")]
    assert make_scenes(corpus, spec, tmp_path, Progress()) == name == made_of(tmp_path)
    assert written == [(tmp_path / file).stat().st_mtime_ns for file in ("train.h5", "test.h5")]
    with h5py.File(tmp_path / "train.h5") as train, h5py.File(tmp_path / "test.h5") as test:
        assert train["waveform"].shape == (8, 320_000) and test["waveform"].shape == (5, 320_000)
        assert not np.array_equal(train["waveform"][0], test["waveform"][0])
        for file in (train, test):
            # A crop of 3 s hears something wherever it lies.
            seconds = file["waveform"][:].astype(np.float32).reshape(len(file["target"]), 10, 32_000)
            assert (seconds.std(2) > 1).all() and file["target"][:].any()
    with pytest.raises(DataError, match="has scenes of another plan or corpus"):
        make_scenes(corpus, replace(spec, seed=2), tmp_path, Progress())
    other = tmp_path / "again"
    other.mkdir()
    shutil.copy(tmp_path / "train.h5", other)  # killed before the second was whole
    assert make_scenes(corpus, spec, other, Progress()) == name
    with h5py.File(tmp_path / "test.h5") as one, h5py.File(other / "test.h5") as two:
        assert np.array_equal(one["waveform"], two["waveform"])
