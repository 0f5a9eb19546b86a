"""The front end equals a short-time Fourier transform, and needs no clip around it."""

import numpy as np
import pytest
import torch

from glatd.trainer.frontend import MN_FRONTEND, PANNS_FRONTEND, Frontend, kaldi_mel
from glatd.trainer.looker import find_device


def by_fourier(samples: torch.Tensor) -> torch.Tensor:
    """Log-mel of clips [B, N] by `torch.stft`, in float64."""
    y = samples[:, 1:].double() - 0.97 * samples[:, :-1].double()
    window = torch.hann_window(800, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(y, 1024, 320, 800, window, center=True, pad_mode="reflect", return_complex=True)
    mel = torch.from_numpy(kaldi_mel(MN_FRONTEND)) @ spectrum.abs() ** 2
    return torch.log(mel + 1e-5).transpose(1, 2)


@pytest.fixture(scope="module")
def sound() -> torch.Tensor:
    """A loud tone, a quiet one, noise and silence: [2, 64000]."""
    n = torch.arange(64_000)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(64_000, generator=generator) * 0.05
    tones = 0.9 * torch.sin(n * 0.3) + 0.001 * torch.sin(n * 1.9)
    return torch.stack([noise * (n > 20_000), tones]).float()


def test_clip_equals_the_fourier_transform(sound: torch.Tensor) -> None:
    frames = Frontend(MN_FRONTEND).clip(sound)
    expected = by_fourier(sound)
    assert frames.shape == expected.shape == (2, 200, 128)
    torch.testing.assert_close(frames.double(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("length", [320_000, 96_000, 32_001, 801])
def test_a_clip_has_the_published_number_of_frames(length: int) -> None:
    assert Frontend(MN_FRONTEND).clip(torch.zeros(1, length)).shape[1] == 1 + (length - 1) // 320


def test_a_stream_equals_the_clip_away_from_its_edges(sound: torch.Tensor) -> None:
    frontend = Frontend(MN_FRONTEND)
    offline = frontend.clip(sound)
    first = 2  # the first frame whose samples all exist
    streamed = frontend(sound[:, 320 * first - frontend.spec.left :])
    count = min(streamed.shape[1], offline.shape[1] - first - 2)
    difference = (streamed[:, :count] - offline[:, first : first + count]).abs().amax((1, 2))
    assert difference[0] <= 1e-4
    # Between a full-scale tone and one 60 dB below it float32 ends: 4.9e-4 was measured.
    assert difference[1] <= 1e-3


def test_a_frame_sees_exactly_its_samples() -> None:
    frontend = Frontend(MN_FRONTEND)
    spec = frontend.spec
    length = spec.left + spec.right
    assert (spec.left, spec.right) == (400, 401)
    assert frontend(torch.zeros(1, length)).shape == (1, 1, 128)
    assert torch.allclose(frontend(torch.zeros(1, length)), torch.tensor(spec.silence))
    impulse = torch.zeros(1, length)
    impulse[0, spec.left] = 1.0
    assert frontend(impulse).max() > spec.silence + 5


def test_mel_filters_are_triangles_of_kaldi() -> None:
    mel = kaldi_mel(MN_FRONTEND)
    assert mel.shape == (128, 513)
    assert mel[:, 0].max() == 0.0 == mel[:, 512].max()
    assert mel.max() <= 1.0 and (mel >= 0).all()
    peaks = np.argmax(mel, axis=1)
    assert (np.diff(peaks) >= 0).all()
    assert peaks[-1] * 31.25 < 15_000


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_what_is_far_below_the_loudest_is_no_rounding_noise(device: str) -> None:
    """A loud tone over noise 70 dB below it: with TF32, PyTorch's default on a GPU, that noise would be of rounding."""
    torch.backends.cudnn.allow_tf32 = True
    where = find_device(device)
    assert not torch.backends.cudnn.allow_tf32
    generator = torch.Generator().manual_seed(0)
    samples = 0.5 * torch.sin(torch.arange(32_000) * 0.2) + 1e-4 * torch.randn(32_000, generator=generator)
    for spec in (PANNS_FRONTEND, MN_FRONTEND):
        frontend = Frontend(spec)
        expected = frontend.double().clip(samples[None].double())
        found = Frontend(spec).to(where).clip(samples[None].to(where)).cpu()
        assert expected.max() - expected.min() > (70 if spec.decibels else 8)
        torch.testing.assert_close(found.double(), expected, atol=0.05 if spec.decibels else 0.01, rtol=0)
