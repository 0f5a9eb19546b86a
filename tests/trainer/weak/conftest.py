"""Packs of rendered sounds that a tiny network learns in seconds, and a recipe for it."""

from pathlib import Path

import numpy as np
import pytest

from glatd.trainer.data.pack import PackWriter
from glatd.trainer.data.vocabulary import own_vocabulary

RATE, SECONDS = 32_000, 3.2
CLASSES = ("Low", "High", "Hiss", "Nothing like it")

RECIPE = """
name = "tiny"
kind = "clips"
seed = 7
method = "glat"
precision = "32-true"

[backbone]
name = "mn"
width = 0.1

[glat]
window = 320
crop = 96
crops = 2
grid = "clip"

[data]
train = ["train.h5"]
test = ["test.h5"]
audio = ""
classes = "classes.txt"
backgrounds = []
sampler = "balanced"

[augment]
mixup = 0.0
time_stripes = 1
time_width = 20
mel_stripes = 1
mel_width = 8
gain = 3.0
background = 0.0
background_snr = [10.0, 30.0]
scenes = 0.0

[scenes]

[optim]
steps = 6
batch = 4
learning_rate = 2e-3
warmup = 1
clip_norm = 5.0
ema = 0.5
schedule = "constant"
amsgrad = true
accumulate = 2

[watch]
checkpoint = 2
judge = 3
clips = 0
patience = 0
keep = "last"
"""


def sound(kind: int, rng: np.random.Generator) -> np.ndarray:
    """1 s of a class, somewhere in a quiet clip."""
    samples = rng.normal(0, 0.002, round(RATE * SECONDS)).astype(np.float32)
    n = np.arange(RATE)
    pitch = rng.uniform(0.9, 1.1) * (300, 3000, 0)[kind]
    tone = rng.normal(0, 0.2, RATE) if kind == 2 else 0.3 * np.sin(2 * np.pi * pitch * n / RATE)
    at = int(rng.integers(0, len(samples) - RATE))
    samples[at : at + RATE] += tone.astype(np.float32)
    return samples


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train.h5, test.h5 and classes.txt; no clip has the fourth class."""
    folder = tmp_path_factory.mktemp("sounds")
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    rng = np.random.default_rng(3)
    for name, count in (("train", 24), ("test", 12)):
        writer = PackWriter(folder / f"{name}.h5", own_vocabulary(CLASSES), round(RATE * SECONDS), count, 20)
        for number in range(count):
            writer.add(f"{number}.wav", sound(number % 3, rng), (number % 3,))
        writer.close("")
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A file."""
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path
