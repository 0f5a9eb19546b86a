"""Streamed frames against the front end as published, written here a second time: an FFT in float64."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glatd.audio import read_mono
from glatd.engines.engine import Engine, Floats
from tests.conftest import needs_shared
from tests.daemon.driver import Driver
from tests.daemon.sounds import ODD_SIZES, RATE, noise, pieces

FFT, WINDOW, HOP, MELS = 1024, 800, 320, 128  # samples, samples, samples, bins
HIGHEST = 15_000.0  # Hz
OFFSET = 1e-5  # added to the power before the logarithm
EDGE = 2  # frames at either end of a clip that see beyond it
CLIPS = ("dog", "rain", "piano", "gunshots")


def kaldi_filters() -> NDArray[np.float64]:
    """[513, 128]: triangles in Kaldi's mel from 0 to 15 kHz; the Nyquist bin is left out."""

    def mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log(1.0 + np.asarray(hz) / 700.0))

    edges = np.linspace(0.0, mel(HIGHEST), MELS + 2)
    bins = mel(np.arange(FFT // 2) * RATE / FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.vstack([np.maximum(0.0, np.minimum(rising, falling)), np.zeros(MELS)])


def published_frames(samples: Floats) -> NDArray[np.float64]:
    """Log-mel [T, 128] of a clip that stands alone: pre-emphasis, reflected ends, a centred FFT."""
    x = samples.astype(np.float64)
    y = np.pad(x[1:] - 0.97 * x[:-1], FFT // 2, mode="reflect")
    window = np.zeros(FFT)
    window[(FFT - WINDOW) // 2 :][:WINDOW] = np.hanning(WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(y, FFT)[::HOP]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return np.asarray(np.log(power @ kaldi_filters() + OFFSET))


def streamed_frames(engine: Engine, silent: Floats, samples: Floats) -> Floats:
    """What the frame ring holds, for clips of up to 10 s, from the frame at sample 0 on."""
    driver = Driver(engine, silent).push(pieces(samples, ODD_SIZES)).finish()
    frames = driver.stream.frames
    return frames.view(0, len(samples) // HOP).copy()


def assert_same(streamed: Floats, offline: NDArray[np.floating]) -> None:
    """To 0.001 dB, away from the ends of the clip."""
    inner = slice(EDGE, len(streamed) - EDGE)
    np.testing.assert_allclose(streamed[inner], offline[: len(streamed)][inner], rtol=0, atol=0.001 * np.log(10) / 10)


@needs_shared
@pytest.mark.parametrize("clip", CLIPS)
def test_streamed_frames_of_a_recording_are_the_published_ones(
    engine: Engine, silent: Floats, shared: Path, clip: str
) -> None:
    samples = read_mono(shared / "audio" / "clips" / "ibm" / f"{clip}.ogg", RATE)[: 9 * RATE]
    assert_same(streamed_frames(engine, silent, samples), published_frames(samples))


def test_streamed_frames_of_noise_are_the_published_ones(engine: Engine, silent: Floats) -> None:
    samples = noise(5 * RATE + 11)
    assert_same(streamed_frames(engine, silent, samples), published_frames(samples))


def test_silence_is_the_offset_alone(silent: Floats) -> None:
    np.testing.assert_allclose(silent, np.log(OFFSET), atol=1e-5)


@needs_shared
@pytest.mark.parametrize("clip", CLIPS)
def test_streamed_frames_are_those_that_training_sees(engine: Engine, silent: Floats, shared: Path, clip: str) -> None:
    torch = pytest.importorskip("torch")
    frontend = pytest.importorskip("glatd.trainer.frontend")
    samples = read_mono(shared / "audio" / "clips" / "ibm" / f"{clip}.ogg", RATE)[: 9 * RATE]
    streamed = streamed_frames(engine, silent, samples)
    with torch.no_grad():
        offline = frontend.Frontend(frontend.MN_FRONTEND).clip(torch.from_numpy(samples)[None])[0].numpy()
    assert_same(streamed, offline)
