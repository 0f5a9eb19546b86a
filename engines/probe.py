"""A sound that every engine is asked about, so that `verify` has something to compare.

It is made of integers and products only, so it is the same on every machine: sweeps, clicks,
pulses and noise at levels from full scale down to -60 dB.
"""

import numpy as np
from numpy.typing import NDArray

from glatd.engines.manifest import Geometry

FILE = "probe.npz"
WINDOWS = 4


def probe_windows(sizes: Geometry) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Samples [4, left + hop * (window - 1) + right] and audible [4, F], both float32."""
    length = sizes.left + sizes.hop * (sizes.window - 1) + sizes.right
    n = np.arange(length, dtype=np.int64)
    noise = ((n * 1_103_515_245 + 12_345) ^ (n * n * 69_069 >> 7)) % 65_536 / 32_768.0 - 1.0
    phase = n * n * 7 // 640 % 65_536 / 32_768.0 - 1.0
    sweep = 4.0 * phase * (1.0 - np.abs(phase))  # a parabola in place of a sine
    clicks = ((n % 8_000) < 24) * 0.9
    pulses = ((n // 32_000 % 2) == 0) * sweep
    rows = [
        0.5 * pulses + 0.001 * noise,
        0.2 * noise * ((n // 48_000 % 3) == 1) + 0.001 * sweep,
        clicks + 0.01 * noise,
        0.9 * sweep * ((n >= length // 2) & (n < length // 2 + 16_000)),
    ]
    samples = np.stack(rows).astype(np.float32)
    audible = np.ones((WINDOWS, sizes.frames), np.float32)
    audible[3, : sizes.frames // 3] = 0.0
    samples[3, : length // 3] = 0.0
    return samples, audible
