"""Where the band of a sound ends: the sharp edges that filters leave, and natural sounds do not."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# A sharp edge: 30 dB within three bands (0.6 kHz) and nothing louder above. No sound falls so fast by
# itself; the filters of telephones, of 8 and 16 kHz sampling and of low-rate codecs do.
FRAME = 4096  # samples of a spectrum
BAND_HZ = 187.5  # 16 bins at 48 kHz
EDGE_DB, NO_EDGE_DB = 30.0, 22.0
EDGE_BANDS = 3
EDGE_LOWEST_HZ = 3_000.0  # the narrowest telephone ends at 3.4 kHz; single low notes end below
# MP3 and AAC cut at 11 to 16 kHz, where hardly any class has its marks; 8 kHz of telephony is what hurts.
EDGE_HIGHEST_HZ = 10_000.0
# A tone has an edge too: the octave below must be full of sound for it to count.
OCCUPIED, OCCUPIED_DB = 0.8, 20.0
FLOOR_DB = -150.0  # of a band: less is rounding


@cache
def hann() -> Floats:
    """The window of a spectrum, [FRAME], of mean square 1."""
    window = np.hanning(FRAME)
    scaled: Floats = (window / np.sqrt(np.mean(window**2))).astype(np.float32)
    return scaled


def band_levels(frame: Floats, rate: int) -> Floats:
    """Mean power a bin of bands of BAND_HZ, in dB, of FRAME samples."""
    spectrum = np.fft.rfft(frame * hann())[1:]
    power = (spectrum.real**2 + spectrum.imag**2) * np.float32(2 / FRAME**2)
    width = max(1, round(BAND_HZ * FRAME / rate))
    bands = len(power) // width
    levels: Floats = 10 * np.log10(power[: bands * width].reshape(bands, width).mean(1) + np.float32(1e-30))
    return np.maximum(levels, np.float32(FLOOR_DB))


def edge(levels: Floats, rate: int, drop: float) -> float | None:
    """The frequency in Hz above which bands of BAND_HZ hold nothing, by a fall of `drop` dB; None without one."""
    above = np.maximum.accumulate(levels[::-1])[::-1]  # the loudest band from here on
    falls = np.flatnonzero(levels[:-EDGE_BANDS] >= above[EDGE_BANDS:] + drop)
    if not len(falls):
        return None
    last = int(falls[-1])
    width = max(1, round(BAND_HZ * FRAME / rate)) * rate / FRAME
    floor = float(above[last + EDGE_BANDS])
    # Half way down is where the band ends.
    while last + 1 < len(levels) and levels[last + 1] > floor + drop / 2:
        last += 1
    frequency = (last + 1) * width
    octave = levels[(last + 1) // 2 : last + 1]
    occupied = float(np.mean(octave >= floor + OCCUPIED_DB))
    if not EDGE_LOWEST_HZ <= frequency <= EDGE_HIGHEST_HZ or occupied < OCCUPIED:
        return None
    return frequency
