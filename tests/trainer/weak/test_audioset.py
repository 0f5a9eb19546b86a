"""The recipes for AudioSet, as they stand, on a fake one of real sound: from its lists to what the daemon says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glatd.audio import read_mono
from tests.conftest import ROOT
from tests.daemon.sounds import write_wav

RATE, CLIPS = 32_000, 24
MIDS = ("/m/09x0r", "/m/0bt9lr", "/m/05tny_", "/m/0k4j")
RECIPES = ("cnn10-glat", "cnn10", "resnet38-glat", "talnet-glat", "at-sca-glat", "mn-glat")


@pytest.fixture(scope="module")
def audioset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packs of two lists in AudioSet's own layout, one clip missing from each; 10 s out of the demo recording."""
    folder = tmp_path_factory.mktemp("audioset")
    street = read_mono(ROOT / "demo" / "street.ogg", RATE)
    (folder / "audio").mkdir()
    rng = np.random.default_rng(0)
    for name in ("train_segments", "eval_segments"):
        rows = ["# Segments csv", "# num_segs", "# YTID, start_seconds, end_seconds, positive_labels"]
        for number in range(CLIPS):
            first = int(rng.integers(0, len(street) - 10 * RATE))
            clip = f"{name[:5]}{number:06d}"
            rows.append(f'{clip}, 30.000, 40.000, "{",".join({MIDS[number % 4], MIDS[number % 3]})}"')
            if number:
                write_wav(folder / "audio" / f"Y{clip}.wav", street[first : first + 10 * RATE])
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
        glatd("train", "pack", folder / f"{name}.csv", "--audio", folder / "audio", "--out", folder / name, "--jobs", 1)
        assert (folder / name / "broken.csv").read_text().count("no such file") == 1
    return folder


def glatd(*arguments: object) -> str:
    """What a command says."""
    asked = [sys.executable, "-m", "glatd.cli", *map(str, arguments)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_goes_all_the_way(name: str, audioset: Path, tmp_path: Path) -> None:
    """Packed, sampled, trained two steps, resumed, evaluated, exported, compiled, judged, replayed."""
    text = (ROOT / "trainer" / "recipes" / f"{name}.toml").read_text()
    changes = {
        'train = ["balanced_train", "unbalanced_train"]': 'train = ["train_segments"]',
        'test = ["eval"]': 'test = ["eval_segments"]',
        "batch = 32 ": "batch = 2 ",
        "judge = 10000": "judge = 2",
        "clips = 0 ": "clips = 4 ",
        'precision = "bf16-mixed"': 'precision = "32-true"',
        "steps = 600000": "steps = 2",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    recipe, bundle, engine = tmp_path / f"{name}.toml", tmp_path / "bundle", tmp_path / "engine"
    recipe.write_text(text)
    asked = ("train", "fit", recipe, "--data", audioset, "--out", bundle, "--device", "cpu")
    assert "fused, 5 crops, grid clip" in glatd(*asked)
    weights = (bundle / "weights.safetensors").read_bytes()
    glatd(*asked)  # goes on where it was: at the end
    assert (bundle / "weights.safetensors").read_bytes() == weights
    found = json.loads((bundle / "evaluation.json").read_text())
    assert found["clips"] == CLIPS - 1 and found["judged"] == 4 and len(found["left_out"]) == 523
    glatd("train", "export", bundle)
    glatd("engine", "build", bundle, "--out", engine)
    glatd("train", "eval", engine, audioset / "eval_segments", "--engine", "--json", tmp_path / "engine.json")
    judged = json.loads((tmp_path / "engine.json").read_text())["ways"]["stream/fused"]
    assert 0 < judged["map"] <= 1
    said = glatd("replay", ROOT / "demo" / "street.ogg", "--engine", engine, "--format", "jsonl")
    tags = [line for line in map(json.loads, said.splitlines()) if line["type"] == "tags"]
    assert len(tags) > 30 and all(len(line["crops"]) == 5 for line in tags)
