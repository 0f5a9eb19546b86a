"""The front end: waveform -> log-mel frames, as matrix products that every target can run.

The short-time Fourier transform is a convolution or factors of one (see `fourier.py`). A filter in front of it (MN's
pre-emphasis) needs one sample more, so a frame is a pure function of a fixed stretch of samples around its centre, the
same offline and live.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from glatd.trainer.fourier import ConvolvedSpectrum, FactoredSpectrum


@dataclass(frozen=True, slots=True)
class FrontendSpec:
    """Constants of a log-mel front end.

    Frame j is centred on sample `hop * j` and sees samples
    [hop * j - left, hop * j + right) of the signal.
    """

    name: str
    rate: int  # Hz
    n_fft: int  # samples
    win_length: int  # samples, centred in n_fft
    hop: int  # samples
    n_mels: int
    fmin: float  # Hz
    fmax: float  # Hz
    preemphasis: float  # y[i] = x[i + 1] - preemphasis * x[i]
    log_offset: float  # ln(power + log_offset), or 10 log10(max(power, log_offset)) in decibels
    mel: str = "kaldi"  # or "slaney"
    periodic: bool = False  # the window, a Hann one: as a part of an endless cosine, or symmetric
    decibels: bool = False
    factored: bool = False  # the transform; decibels down to the floor of float32 want it as published, convolved

    @property
    def left(self) -> int:
        """Samples that a frame sees before its centre."""
        return self.win_length // 2

    @property
    def right(self) -> int:
        """Samples that a frame sees from its centre on."""
        return self.win_length // 2 + (1 if self.preemphasis else 0)

    @property
    def silence(self) -> float:
        """The value of every bin of a frame of digital silence."""
        if self.decibels:
            return float(10 * np.log10(np.float32(self.log_offset)))
        return float(np.log(np.float32(self.log_offset)))


# EfficientAT `models/preprocess.py` (AugmentMelSTFT), in evaluation mode. fmax is rate / 2 less
# half of the published fmax_aug_range of 2000 Hz.
MN_FRONTEND = FrontendSpec(
    name="mn",
    rate=32_000,
    n_fft=1024,
    win_length=800,
    hop=320,
    n_mels=128,
    fmin=0.0,
    fmax=15_000.0,
    preemphasis=0.97,
    log_offset=1e-5,
    factored=True,
)

# PANNs `pytorch/models.py` (Spectrogram and LogmelFilterBank of torchlibrosa, which follow librosa), for
# CNN10 and ResNet38: no top_db, ref 1.
PANNS_FRONTEND = FrontendSpec(
    name="panns",
    rate=32_000,
    n_fft=1024,
    win_length=1024,
    hop=320,
    n_mels=64,
    fmin=50.0,
    fmax=14_000.0,
    preemphasis=0.0,
    log_offset=1e-10,
    mel="slaney",
    periodic=True,
    decibels=True,
)


def kaldi_mel(spec: FrontendSpec) -> NDArray[np.float64]:
    """Triangular filters, equally spaced and triangular in Kaldi's mel 1127 ln(1 + f / 700).

    Shape [n_mels, n_fft // 2 + 1]; the Nyquist bin has weight 0 (Kaldi `mel-computations.cc`).
    """
    bins = spec.n_fft // 2
    mel = 1127.0 * np.log1p(np.arange(bins) * (spec.rate / spec.n_fft) / 700.0)
    low, high = (1127.0 * np.log1p(f / 700.0) for f in (spec.fmin, spec.fmax))
    edges = low + (high - low) / (spec.n_mels + 1) * np.arange(spec.n_mels + 2)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = np.minimum((mel - left) / (centre - left), (right - mel) / (right - centre))
    return np.pad(np.maximum(weights, 0.0), ((0, 0), (0, 1)))


def slaney_mel(spec: FrontendSpec) -> NDArray[np.float64]:
    """Triangular filters in Hz, equally spaced in Slaney's mel, each of area 2 / width (librosa `filters.mel`).

    Shape [n_mels, n_fft // 2 + 1]. Slaney's mel is linear, 200/3 Hz each, up to 1 kHz, and above it
    logarithmic, 27 of them for a factor of 6.4.
    """
    linear, corner, step = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
    low, high = (
        f / linear if f < corner else corner / linear + np.log(f / corner) / step for f in (spec.fmin, spec.fmax)
    )
    mel = np.linspace(low, high, spec.n_mels + 2)
    above = corner * np.exp(step * (mel - corner / linear))
    edges = np.where(mel < corner / linear, linear * mel, above)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    frequency = np.arange(spec.n_fft // 2 + 1) * (spec.rate / spec.n_fft)
    weights = np.minimum((frequency - left) / (centre - left), (right - frequency) / (right - centre))
    area: NDArray[np.float64] = np.maximum(weights, 0.0) * (2.0 / (right - left))
    return area


MEL = {"kaldi": kaldi_mel, "slaney": slaney_mel}


def hann(spec: FrontendSpec) -> NDArray[np.float64]:
    """The window [win_length]."""
    # np.hanning is symmetric; a periodic window is one sample of it short.
    return np.hanning(spec.win_length + 1)[:-1] if spec.periodic else np.hanning(spec.win_length)


class Frontend(nn.Module):
    """Log-mel frames; has no trained parameters. All arithmetic is float32."""

    mel: Tensor

    def __init__(self, spec: FrontendSpec) -> None:
        super().__init__()
        self.spec = spec
        weights = MEL[spec.mel](spec)
        self.spectrum: ConvolvedSpectrum | FactoredSpectrum
        if spec.factored:
            self.spectrum = FactoredSpectrum(hann(spec), spec.n_fft, spec.hop)
        else:
            self.spectrum = ConvolvedSpectrum(hann(spec), spec.n_fft, spec.hop, np.flatnonzero(weights.any(axis=0)))
        bins = self.spectrum.bins
        mel = np.where(bins >= 0, weights[:, bins], 0.0)
        self.register_buffer("mel", torch.from_numpy(mel.T.astype(np.float32)), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Frames of a stretch of a stream, with real neighbours on both sides.

        Args:
            samples: [B, left + hop * (T - 1) + right] float32, from `left` samples before the
                centre of the first frame.

        Returns:
            [B, T, n_mels] float32, natural logarithm of power, or decibels.
        """
        return self._log_mel(self._filtered(samples))

    def clip(self, samples: Tensor) -> Tensor:
        """Frames of a clip that stands alone: filtered, then padded by reflection, as published.

        Args:
            samples: [B, N] float32.

        Returns:
            [B, 1 + (N - 1) // hop, n_mels] with pre-emphasis, else [B, 1 + N // hop, n_mels].
        """
        samples = self._filtered(samples)
        frames = 1 + samples.shape[1] // self.spec.hop
        padded = F.pad(samples[:, None], (self.spec.left, self.spec.left), mode="reflect")[:, 0]
        needed = self.spec.hop * (frames - 1) + self.spec.win_length
        return self._log_mel(padded[:, :needed])

    def _filtered(self, samples: Tensor) -> Tensor:
        if self.spec.preemphasis:
            return samples[:, 1:] - self.spec.preemphasis * samples[:, :-1]
        return samples

    def _log_mel(self, samples: Tensor) -> Tensor:
        mel = torch.matmul(self.spectrum(samples), self.mel)
        if self.spec.decibels:
            return 10.0 / math.log(10.0) * torch.log(mel.clamp(min=self.spec.log_offset))
        return torch.log(mel + self.spec.log_offset)
