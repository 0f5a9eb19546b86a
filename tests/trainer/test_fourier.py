"""Power spectra by factored matrices are those of a Fourier transform."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from glatd.trainer.fourier import COLUMNS, ConvolvedSpectrum, FactoredSpectrum
from glatd.trainer.frontend import MN_FRONTEND, PANNS_FRONTEND, Frontend, FrontendSpec, hann

SPECS = [MN_FRONTEND, PANNS_FRONTEND, replace(PANNS_FRONTEND, hop=800)]


def made(spec: FrontendSpec) -> FactoredSpectrum:
    return FactoredSpectrum(hann(spec), spec.n_fft, spec.hop)


@pytest.mark.parametrize("spec", SPECS, ids=["mn", "panns", "talnet"])
def test_every_bin_is_the_one_of_an_fft(spec: FrontendSpec) -> None:
    factored = made(spec)
    assert sorted(factored.bins[factored.bins >= 0]) == list(range(spec.n_fft // 2 + 1))
    some = np.arange(3, 500, 7)
    samples = np.random.default_rng(0).standard_normal((3, 8_000)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, spec.win_length, axis=1)[:, :: spec.hop]
    expected = np.abs(np.fft.rfft(frames * hann(spec), spec.n_fft)) ** 2
    for spectrum in (factored, ConvolvedSpectrum(hann(spec), spec.n_fft, spec.hop, some)):
        power = spectrum(torch.from_numpy(samples)).numpy()
        assert power.shape == (*expected.shape[:2], len(spectrum.bins))
        once = spectrum.bins >= 0
        np.testing.assert_allclose(power[..., once], expected[..., spectrum.bins[once]], atol=2e-4, rtol=1e-5)


def test_a_frame_does_not_depend_on_its_companions() -> None:
    frontend = Frontend(MN_FRONTEND)
    samples = torch.randn(4, 801 + 31 * 320, generator=torch.Generator().manual_seed(0))
    together = frontend(samples)
    for row in range(4):
        torch.testing.assert_close(frontend(samples[row : row + 1])[0], together[row], atol=1e-5, rtol=0)
    alone = frontend(samples[:, 320 * 7 : 320 * 7 + 801])
    torch.testing.assert_close(alone[:, 0], together[:, 7], atol=1e-5, rtol=0)


def test_what_cannot_be_factored_is_refused() -> None:
    for window, points, hop in ((800, 1000, 320), (810, 1024, 320), (800, 1024, 100), (1024, 512, 320)):
        with pytest.raises(AssertionError):
            FactoredSpectrum(np.ones(window), points, hop)


def test_its_tables_stay_in_a_cache() -> None:
    """As one matrix they would be 3 MB, which is read from memory for every block."""
    tables = sum(table.numel() * 4 for table in made(MN_FRONTEND).buffers())
    assert COLUMNS == 32 and tables < 512 * 1024
