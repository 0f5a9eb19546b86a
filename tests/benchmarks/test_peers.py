"""Every contender of the suite tags a real clip for what it is, and is timed as it is."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import measure, mn04, quality, turns
from benchmarks.peers.contender import CONTENDERS, OURS, Contender, Floats, Network, Parts, Sliding, parts_of
from benchmarks.peers.ours import Ours
from benchmarks.peers.worker import HOPS, endless, until_answer
from glatd.audio import read_mono
from glatd.engines.load import default_engine
from glatd.engines.manifest import content_hash
from glatd.labels import audioset
from tests.conftest import ROOT, needs_shared

BUNDLE = ROOT / "models" / "glat-mn04"
SECONDS = 10
BY_KEY = {contender.key: contender for contender in CONTENDERS}


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A contender in PyTorch takes one thread, for the whole process."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(before or os.cpu_count() or 1)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Parts:
    return Parts(tmp_path_factory.mktemp("peers"), BUNDLE, default_engine(), shared / "models")


@pytest.fixture(scope="module")
def birds(shared: Path) -> Floats:
    """10 s at 32 kHz of birds."""
    samples = read_mono(shared / "audio" / "clips" / "ibm" / "birds1.ogg", 32_000)
    return np.resize(samples, SECONDS * 32_000)


def at(rate: int, samples: Floats) -> Floats:
    import soxr

    return np.asarray(soxr.resample(samples, 32_000, rate), np.float32)


def load(key: str, parts: Parts) -> Network:
    if key.startswith(("cnn10", "glat-pytorch", "mn04")):
        pytest.importorskip("torch")
    obstacle = BY_KEY[key].obstacle(parts)
    if obstacle:
        pytest.skip(obstacle)
    return BY_KEY[key].make(parts)


def best(network: Network, scores: Floats, count: int) -> set[str]:
    names = {label.mid: label.name for label in audioset()}
    return {names.get(network.mids[index], "") for index in np.argsort(-scores)[:count]}


@needs_shared
@pytest.mark.parametrize(
    "key", ["yamnet", "glat-pytorch", "glat-engine", OURS, pytest.param("mn04", marks=pytest.mark.slow)]
)
def test_birds_are_birds(key: str, parts: Parts, birds: Floats) -> None:
    if key == "mn04":
        mn04.prepare(parts)
    network = load(key, parts)
    scores = network.clip(at(network.rate, birds))
    assert scores.dtype == np.float32 and scores.shape[1] == len(network.mids)
    assert scores.min() >= 0 and scores.max() <= 1 and network.trained
    assert best(network, scores.max(0), 5) & {"Bird"}


@needs_shared
def test_the_plain_method_gives_the_scores_of_glatd(parts: Parts, birds: Floats) -> None:
    ours = Ours(parts.engine, "top-k").clip(birds)  # as the paper has it; the default looks everywhere
    for key in ("glat-engine", "glat-pytorch"):
        plain = load(key, parts).clip(birds)
        assert plain.shape == ours.shape == (1, 527)
        # Messages round to four digits; the bundle's graphs may be younger than the default engine.
        assert np.abs(plain - ours).max() <= 2e-3, key


@needs_shared
def test_cnn10_is_the_trainers_on_all_ten_seconds(parts: Parts, birds: Floats) -> None:
    torch = pytest.importorskip("torch")
    network = load("cnn10", parts)
    scores = network.clip(birds)
    assert scores.shape == (1, 527) and not network.trained and network.hop == 30_720
    heard: list[object] = []
    hear = Sliding(len(birds), lambda window: heard.append(network.clip(window)))
    for first in range(0, len(birds), 64_000):
        hear(birds[first : first + 64_000])
    np.testing.assert_allclose(heard[-1], scores, atol=1e-6)
    assert torch.get_num_threads() == 1


def test_a_window_slides() -> None:
    seen: list[list[float]] = []
    hear = Sliding(5, lambda window: seen.append(window.tolist()))
    for hop in ([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]):
        hear(np.array(hop, np.float32))
    assert seen == [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4], [2, 3, 4, 5, 6]]


def test_a_sound_has_no_end(tmp_path: Path) -> None:
    np.arange(7, dtype=np.float32).tofile(tmp_path / "sound.f32")
    sound = endless(tmp_path / "sound.f32", 3)
    assert [next(sound).tolist() for _ in range(3)] == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]


def test_a_start_lasts_until_something_is_said() -> None:
    """Also where that takes a second of sound, as glatd's does; what never answers is an error."""
    for silent in (0, 1, 5):
        answers = iter([*[[]] * silent, ["tags"], []])
        assert until_answer(lambda samples, of=answers: next(of), iter([np.zeros(1, np.float32)] * 9)) == silent + 1
    scores = np.zeros((1, 527), np.float32)
    assert until_answer(lambda samples: scores, iter([scores])) == 1
    with pytest.raises(RuntimeError, match="no answer"):
        until_answer(lambda samples: [], iter([scores] * (HOPS + 1)))


@needs_shared
def test_an_engine_of_another_network_leaves_out_who_needs_this_one(parts: Parts, tmp_path: Path) -> None:
    """MN04 takes the engine's front end, plain GL-AT in PyTorch the bundle that the engine is of."""
    pytest.importorskip("torch")
    assert not BY_KEY["mn04"].obstacle(parts) and not BY_KEY["glat-pytorch"].obstacle(parts)
    tree = json.loads((parts.engine / "manifest.json").read_text(encoding="utf-8"))
    tree["model"], tree["geometry"]["mels"], tree["geometry"]["trunks"] = "a-cnn10", 64, []
    tree["provenance"]["weights_sha256"] = "0" * 64
    tree["hash"] = content_hash(tree)
    (tmp_path / "manifest.json").write_text(json.dumps(tree), encoding="utf-8")
    other = Parts(parts.work, parts.bundle, tmp_path, parts.models)
    assert "a-cnn10 (cpu) gives 1000 of 64 at 32000" in BY_KEY["mn04"].obstacle(other)
    assert "a-cnn10" in BY_KEY["glat-pytorch"].obstacle(other)


def test_parts_go_through_a_command_line(tmp_path: Path) -> None:
    for given in (Parts(tmp_path, BUNDLE, tmp_path, None), Parts(tmp_path, BUNDLE, tmp_path, tmp_path)):
        assert parts_of(json.loads(json.dumps(given.as_plain()))) == given


def test_who_lacks_something_is_left_out_with_a_reason(tmp_path: Path) -> None:
    listed, why = measure.present(Parts(tmp_path, tmp_path, default_engine(), None))
    assert {contender.key for contender in listed} >= {OURS, "glat-engine"}
    assert "--models" in why["yamnet"] and "--models" in why["mn04"] and "bundle" in why["glat-pytorch"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration at every rate, and as PCM."""
    folder = tmp_path_factory.mktemp("sound")
    pcm = measure.write_sound(None, folder)
    assert pcm.stat().st_size == pytest.approx(2 * 48_000 * 40, rel=0.01)
    return folder


@needs_shared
def test_contenders_take_turns_in_processes_of_their_own(parts: Parts, sound: Path) -> None:
    chosen: list[Contender] = [BY_KEY[OURS]]
    if not BY_KEY["yamnet"].obstacle(parts):
        chosen.append(BY_KEY["yamnet"])
    processes = [turns.Process(contender, parts, sound) for contender in chosen]
    try:
        rows = turns.take(processes, 2)
        for row, process in zip(rows, processes, strict=True):
            row |= turns.memory(process)
            assert 0 < process.start_s < 100
            assert process.about["first_answer_hops"] == (3 if process.contender.key == OURS else 1)
        clip = {str(rate): np.zeros((2, SECONDS * rate), np.int16) for rate in quality.RATES}
        np.savez(sound / "clips.npz", **clip)
        said = {process.contender.key: quality.scores(process, sound / "clips.npz", sound) for process in processes}
    finally:
        for process in processes:
            process.close()
    ours = rows[0]
    assert ours["cpu_of_ours"] == 1.0 and ours["hop_s"] == 0.96
    for row in rows:
        assert row["cpu_s_per_stream_s"] * row["streams_per_core"] == pytest.approx(1, rel=0.05)
        assert row["late_p99_s"] >= row["late_p50_s"] + row["hop_s"] / 2 - 0.002
        assert row["fixed_mb"] > 10 and row["stream_mb"] >= 0
    assert said[OURS]["one window"].shape == (2, 527)
    if "yamnet" in said:
        assert set(said["yamnet"]) == {"max", "mean"}
        # YAMNet knows six classes less.
        assert np.isnan(said["yamnet"]["max"][0]).sum() == 6


def test_a_contender_that_fails_says_why(parts: Parts, tmp_path: Path) -> None:
    broken = Parts(tmp_path, BUNDLE, tmp_path / "no-engine", None)
    with pytest.raises(RuntimeError, match=r"glatd ended: .*no-engine"):
        turns.Process(BY_KEY[OURS], broken, tmp_path)


def test_scores_are_judged_over_the_classes_that_all_know() -> None:
    pytest.importorskip("torch")
    truth = np.zeros((4, 527), bool)
    truth[:2, 0] = truth[2:, 1] = truth[1:3, 2] = True
    right = truth.astype(np.float32)
    lacking = right.copy()
    lacking[:, 2] = np.nan
    wrong = np.where(np.isnan(lacking), lacking, 1 - lacking)
    found = quality.judge(truth, {OURS: {"one window": right}, "yamnet": {"max": wrong, "mean": lacking}}, ["cnn10"])
    assert found[OURS]["map"] == 1.0 and found[OURS]["map_classes"] == 2
    assert found["yamnet"]["map_of"] == "mean" and found["yamnet"]["map_ways"]["max"] < 1.0
    assert found["cnn10"]["map"] is None
