"""Sound to feed the daemon with, the same on every machine: noise in bursts over a tone, as WAV."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 32_000  # Hz


def sound(seconds: float, seed: int = 1) -> NDArray[np.float32]:
    """Samples [n], full scale +-1."""
    rng = np.random.default_rng(seed)
    n = np.arange(round(seconds * RATE))
    bursts = (n // (RATE // 4) % 5 == 0) * rng.standard_normal(len(n)) * 0.1
    tone = 0.05 * np.sin(2 * np.pi * 440 / RATE * n) * (n // RATE % 3 == 0)
    samples: NDArray[np.float32] = (bursts + tone).astype(np.float32)
    return samples


def write_wav(path: Path, seconds: float) -> Path:
    """`sound` as 16-bit mono WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound(seconds) * 32_767).astype("<i2").tobytes())
    return path
