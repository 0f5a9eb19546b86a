"""A fake AudioSet: its own CSV, a few real clips cut from the demo recording, and what goes wrong with such data."""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glatd.audio import read_mono
from tests.conftest import ROOT
from tests.daemon.sounds import write_wav

RATE = 32_000
HEADER = (
    "# Segments csv created Sun Mar  5 10:54:31 2017\n"
    "# num_ytids=5, num_segs=5, num_unique_labels=3, num_positive_labels=6\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
)
SPEECH, DOG, BARK = "/m/09x0r", "/m/0bt9lr", "/m/05tny_"


@dataclass
class FakeAudioSet:
    """Where it is, and the sound of each clip that is there."""

    table: Path
    audio: Path
    sounds: dict[str, NDArray[np.float32]]


@pytest.fixture(scope="session")
def street() -> NDArray[np.float32]:
    """The demo recording."""
    return read_mono(ROOT / "demo" / "street.ogg", RATE)


@pytest.fixture
def audioset(tmp_path: Path, street: NDArray[np.float32]) -> FakeAudioSet:
    """Five segments under the names that people have: two of them broken, one not there."""
    audio = tmp_path / "audio"
    (audio / "deeper").mkdir(parents=True)
    names = {
        "--PJHxphWEs": ("Y--PJHxphWEs.wav", 0, 10),
        "a_b_c_d_e_f": ("deeper/a_b_c_d_e_f_30.000.wav", 5, 4),
        "ZY0WZoVsqKM": ("ZY0WZoVsqKM_30000_40000.wav", 8, 12),
    }
    sounds = {}
    for clip, (name, first, seconds) in names.items():
        sounds[f"Y{clip}.wav"] = street[first * RATE : (first + seconds) * RATE]
        write_wav(audio / name, sounds[f"Y{clip}.wav"])
    (audio / "YbrokenBROKEN.wav").write_bytes(b"RIFF but nothing else")
    with wave.open(str(audio / "Yempty_empty.wav"), "wb") as empty:
        empty.setparams((1, 2, RATE, 0, "NONE", ""))
    table = tmp_path / "balanced_train_segments.csv"
    rows = [
        f'--PJHxphWEs, 30.000, 40.000, "{SPEECH}"',
        f'a_b_c_d_e_f, 30.000, 40.000, "{DOG},{BARK}"',
        f'brokenBROKEN, 0.000, 10.000, "{SPEECH}"',
        f'empty_empty, 0.000, 10.000, "{SPEECH}"',
        f'ZY0WZoVsqKM, 30.000, 40.000, "{DOG}"',
        f'not__there_, 0.000, 10.000, "{SPEECH}"',
    ]
    table.write_text(HEADER + "\n".join(rows) + "\n")
    return FakeAudioSet(table, audio, sounds)
