"""Sounds that are the same on every machine, and ways to cut them."""

import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
RATE = 32_000  # Hz
ODD_SIZES = (1, 7, 319, 320, 321, 4096)  # samples a block; around a mel frame's 320


def noise(samples: int, seed: int = 0, level: float = 0.1) -> Floats:
    """White noise with slow swells, so that no two windows are alike."""
    generator = np.random.default_rng(seed)
    swell = 0.05 + np.abs(np.sin(np.arange(samples) / 19_000.0 + seed))
    return (level * swell * generator.standard_normal(samples)).astype(np.float32)


def pieces(samples: NDArray[Any], sizes: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Consecutive pieces of these sizes, over and over, until nothing is left."""
    at = turn = 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        yield samples[at : at + size]
        at, turn = at + size, turn + 1


def write_wav(path: Path, samples: NDArray[Any], rate: int = RATE) -> Path:
    """16-bit PCM of samples [n] or [n, channels], full scale +-1."""
    table = samples.reshape(len(samples), -1)
    with wave.open(str(path), "wb") as file:
        file.setparams((table.shape[1], 2, rate, 0, "NONE", ""))
        file.writeframes(np.clip(np.round(table * 32_768), -32_768, 32_767).astype("<i2").tobytes())
    return path


def write_float_wav(path: Path, samples: NDArray[np.float32], rate: int = RATE) -> Path:
    """32-bit float PCM, which also holds NaN; the module `wave` cannot write it."""
    data = samples.astype("<f4").tobytes()
    header = b"".join(
        [
            b"RIFF", (36 + len(data)).to_bytes(4, "little"), b"WAVEfmt ", (16).to_bytes(4, "little"),
            (3).to_bytes(2, "little"), (1).to_bytes(2, "little"), rate.to_bytes(4, "little"),
            (4 * rate).to_bytes(4, "little"), (4).to_bytes(2, "little"), (32).to_bytes(2, "little"),
            b"data", len(data).to_bytes(4, "little"),
        ]
    )
    path.write_bytes(header + data)
    return path
