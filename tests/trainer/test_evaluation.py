"""Evaluation: scikit-learn's figures, of weights and of an engine, and what is left out is named."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from glatd.audio import read_mono
from glatd.cli import cli
from glatd.engines.load import default_engine
from glatd.errors import ConfigError, DataError
from glatd.labels import audioset
from glatd.trainer.bundle import read_bundle
from glatd.trainer.data.clips import Clips, open_clips
from glatd.trainer.data.labels import Labels
from glatd.trainer.data.pack import PackWriter
from glatd.trainer.data.vocabulary import audioset_vocabulary
from glatd.trainer.evaluation import as_tree, batches, evaluate_clips, table
from glatd.trainer.glat import Glat, GlatSpec
from glatd.trainer.judge import judge
from glatd.trainer.looker import Compiled, Network, compiled, find_device
from glatd.trainer.sceneset import SceneSet
from tests.conftest import ROOT
from tests.engines.tiny import Tiny

RATE = 32_000
NAMES = tuple(label.name for label in audioset())
SPEECH, DOG, CAR = (NAMES.index(name) for name in ("Speech", "Dog", "Car"))
# The sound of each clip: where in the demo recording it begins (s), and its labels. Every clip has Speech.
CLIPS = [
    (0, (SPEECH,)),
    (10, (SPEECH, DOG)),
    (13, (SPEECH, DOG)),
    (20, (SPEECH, CAR)),
    (25, (SPEECH, CAR)),
    (5, (SPEECH,)),
]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of 10 s."""
    street = read_mono(ROOT / "demo" / "street.ogg", RATE)
    path = tmp_path_factory.mktemp("packs") / "eval.h5"
    writer = PackWriter(path, audioset_vocabulary(), 10 * RATE, len(CLIPS), 20)
    for second, labels in CLIPS:
        writer.add(f"Y{second}.wav", street[second * RATE : (second + 10) * RATE], labels)
    writer.close("")
    return path


@pytest.fixture(scope="module")
def network() -> Network:
    """Two different streams."""
    torch.manual_seed(0)
    model = Glat(Tiny(), GlatSpec(crops=3))
    model.local_stream.load_state_dict(Tiny().state_dict())
    return Network(model, NAMES)


def test_figures_are_scikit_learns(packed: Path, network: Network) -> None:
    clips = open_clips([packed], None, audioset_vocabulary())
    found = evaluate_clips(network, clips, random=2)
    assert list(found.reports) == [
        "global", "clip/local", "clip/fused", "stream/local", "stream/fused", "sounds/local", "sounds/fused",
        "even/local", "even/fused", "random/local", "random/fused", "all/local", "all/fused",
    ]  # fmt: skip
    scores, truth = judge(network, batches(network, clips, 0), random=2), clips.labels.matrix()
    for way, report in found.reports.items():
        for one in (DOG, CAR):
            wanted = average_precision_score(truth[:, one], scores[way][:, one])
            assert report.per_class[one] == pytest.approx(wanted, abs=1e-6)
            assert report.auc[one] == pytest.approx(roc_auc_score(truth[:, one], scores[way][:, one]), abs=1e-6)
        judged = [DOG, CAR]
        macro = average_precision_score(truth[:, judged], scores[way][:, judged], average="macro")
        assert report.map == pytest.approx(macro, abs=1e-6)
        assert report.mauc == pytest.approx(roc_auc_score(truth[:, judged], scores[way][:, judged]), abs=1e-6)
    assert len({report.mauc for report in found.reports.values()}) > 2


def test_a_class_that_cannot_be_judged_is_named_and_counted(packed: Path, network: Network) -> None:
    found = evaluate_clips(network, open_clips([packed], None, audioset_vocabulary()))
    some = found.reports["global"]
    assert (some.classes, some.left_out) == (2, 525) and SPEECH in some.without  # every clip has it
    lines = table(found)
    assert "fused, 3 crops, grid clip" in lines[3] and "6 clips, 2 classes judged" in lines
    assert "without a positive (or a negative): Speech; " in lines[-1] and "and 520 more" in lines[-1]
    tree = json.loads(json.dumps(as_tree(found)))
    assert len(tree["left_out"]) == 525 and tree["ways"]["global"]["per_class"]["Dog"]["positives"] == 2


class Silence(Clips):
    """Clips without a sound."""

    def __init__(self, rows: list[tuple[int, ...]], missing: tuple[str, ...] = ()) -> None:
        self.labels = Labels.of(rows, 527)
        self.names, self.missing = [f"clip {number}" for number in range(len(rows))], missing

    def samples(self, clip: int, length: int) -> NDArray[np.float32]:
        return np.zeros(length, np.float32)


def test_what_is_not_there_is_counted_and_nonsense_refused(network: Network) -> None:
    found = evaluate_clips(network, Silence([(DOG,), (CAR,)], ("a.wav",)))
    assert "1 clips of the list are not there, and were left out" in table(found)
    with pytest.raises(DataError, match="none of the 2 clips tells two classes apart"):
        evaluate_clips(network, Silence([(DOG,), (DOG,)]))
    broken = Glat(Tiny(), GlatSpec())
    with torch.no_grad():
        broken.local_stream.output.bias[3] = torch.nan
    with pytest.raises(DataError, match=r"the scores .* of clip 0 are no numbers"):
        evaluate_clips(Network(broken, NAMES), Silence([(DOG,), (CAR,)]))


def test_an_engine_is_judged_as_its_weights_are(packed: Path) -> None:
    """The engine that comes along: its scores of its own frames are those of the network it was made of."""
    engine: Compiled = compiled(default_engine())
    model, described = read_bundle(ROOT / "models" / "glat-mn04")
    clips = open_clips([packed], None, audioset_vocabulary())
    frames = torch.cat([frames for frames, _ in batches(engine, clips, 0)])[:3]
    assert frames.shape == (3, engine.window, 128)
    here = judge(engine, [(frames, torch.zeros(3, dtype=torch.int64))])
    there = judge(Network(model, described.labels), [(frames, torch.zeros(3, dtype=torch.int64))])
    weights_alone = {f"{rule}/{what}" for rule in ("clip", "sounds") for what in ("local", "fused")}
    assert set(here) == set(there) - weights_alone and engine.labels == described.labels
    for way in here:
        np.testing.assert_allclose(here[way], there[way], atol=0.02)


def test_frames_of_an_engine_whose_hop_is_longer_than_what_a_frame_sees_ahead() -> None:
    """TALNet's: 512 samples ahead, 800 to the next frame. The last block ends with the last frame, before the clip."""
    told: list[int] = []

    class Ends:
        """The sizes of TALNet, and a front end that gives the last sample of each frame."""

        sizes = SimpleNamespace(
            rate=RATE, hop=800, left=512, right=512, window=400, block=4, block_samples=512 + 3 * 800 + 512,
            crop=120, crops=5,
        )  # fmt: skip
        manifest = SimpleNamespace(labels=())

        def frontend(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
            told.append(samples.shape[1])
            return samples[:, 1023::800, None]

    engine = Compiled(Ends())  # type: ignore[arg-type]
    samples = torch.arange(engine.samples, dtype=torch.float32)[None]
    frames = engine.frames(samples)
    assert set(told) == {Ends.sizes.block_samples} and frames.shape == (1, 400, 1)
    np.testing.assert_array_equal(frames[0, :, 0], np.arange(400) * 800 + 511)


def test_from_the_command_line(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "report" / "eval.json"
    for bundle, more in ((ROOT / "models" / "glat-mn04", ["--device", "cpu"]), (default_engine(), ["--engine"])):
        asked = ["train", "eval", str(bundle), str(packed), "--json", str(out), *more]
        told = CliRunner().invoke(cli, asked, catch_exceptions=False)
        assert told.exit_code == 0, told.output
        assert "fused, 5 crops, grid stream" in told.output
        figures = json.loads(out.read_text())["ways"]["stream/fused"]
        assert figures["per_class"]["Dog"]["ap"] == 1.0  # it barks, and is heard
    asked = ["train", "eval", str(ROOT / "models" / "glat-mn04"), str(packed), "--choose", "sounds", "--device", "cpu"]
    told = CliRunner().invoke(cli, asked, catch_exceptions=False)
    assert "fused, 5 crops, one a class" in told.output and "one a sound" not in told.output


def test_scenes_are_judged_as_the_network_sees_them() -> None:
    """Both streams and both together, on the grid of the clip, as in a forward pass; with silence at the start."""
    torch.manual_seed(0)
    model = Glat(Tiny(), GlatSpec(crops=3)).eval()
    frames = np.random.default_rng(0).normal(-4, 2, (5, 1000, 128)).astype(np.float16)
    silent = np.array([0, 400, 0, 900, 33])
    scenes = SceneSet(frames, np.full((5, 4), -1), np.zeros((5, 4, 2), np.int64), silent)
    told: list[int] = []
    scores = judge(Network(model), scenes.batches(2), progress=told.append)
    assert told == [2, 4, 5]
    with torch.no_grad():
        whole = model(torch.from_numpy(frames.astype(np.float32)), torch.from_numpy(silent))
    for way, wanted in (
        ("global", whole.global_scores),
        ("clip/local", whole.local_scores),
        ("clip/fused", whole.scores),
    ):
        np.testing.assert_allclose(scores[way], wanted, atol=1e-6)
    assert set(judge(Network(model), scenes.batches(5), places=["all"])) == {"global", "all/local", "all/fused"}


def test_no_such_device() -> None:
    with pytest.raises(ConfigError, match="no device 'gpu' here"):
        find_device("gpu")
    assert find_device("cpu").type == "cpu"
