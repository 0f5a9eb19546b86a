"""What is done to a clip while training: to its waveform by whoever reads it, to its frames where the network runs.

Every draw is made where the clip is read, from a generator of the clip's own, so it does not matter who reads it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glatd.trainer.scenes import coloured_noise


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """What a recipe asks for; each 0 is a thing that is not done.

    PANNs has mixup of 1 and two stripes of up to 64 frames and 8 mel bins, and nothing else.
    """

    mixup: float  # alpha of the beta distribution that shares are drawn from
    time_stripes: int
    time_width: int  # mel frames at most
    mel_stripes: int
    mel_width: int  # mel bins at most
    gain: float  # dB, up or down, at most
    background: float  # share of clips that are laid over a background
    background_snr: tuple[float, float]  # dB, of the clip over the background
    scenes: float  # share of clips that are mixed with up to three others into a scene


def gained(samples: NDArray[np.float32], most: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Louder or softer by up to `most` dB; never beyond full scale."""
    peak = float(np.abs(samples).max(initial=0.0))
    gain = 10 ** (rng.uniform(-most, most) / 20)
    return samples * np.float32(min(gain, 1.0 / peak) if peak > 0 and peak * gain > 1.0 else gain)


def over_background(
    samples: NDArray[np.float32],
    background: NDArray[np.float32] | None,
    snr: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """The clip, over a recording (of the same length) or, where there is none, over coloured noise."""
    noise = coloured_noise(rng, len(samples)) if background is None else background
    power, under = (float((signal.astype(np.float64) ** 2).mean()) for signal in (samples, noise))
    ratio = 10 ** (rng.uniform(*snr) / 10)
    if power == 0 or under == 0:  # silence has no ratio to anything
        return samples
    return samples + noise * np.float32(np.sqrt(power / under / ratio))


def stripes(count: int, width: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Begin and end [count, 2] of stripes of 0 to `width` - 1 out of `size`, as SpecAugment draws them for PANNs."""
    widths = rng.integers(0, max(1, width), count)
    begins = rng.integers(0, np.maximum(1, size - widths))
    return np.stack([begins, begins + widths], 1)


def masked(frames: Tensor, time_stripes: Tensor, mel_stripes: Tensor) -> Tensor:
    """Frames [B, T, M] whose stripes hold what their mel bin has on average in the batch.

    PANNs puts 0 there behind its BatchNorm, of which that average is the 0.

    Args:
        time_stripes, mel_stripes: [B, n, 2] begin and end.
    """

    def inside(bounds: Tensor, size: int) -> Tensor:
        places = torch.arange(size, device=bounds.device)
        return ((places >= bounds[..., :1]) & (places < bounds[..., 1:])).any(1)

    hidden = inside(time_stripes, frames.shape[1])[:, :, None] | inside(mel_stripes, frames.shape[2])[:, None, :]
    return torch.where(hidden, frames.mean((0, 1)), frames)


def mixed_pairs(values: Tensor, share: Tensor) -> Tensor:
    """Mixup: rows 0 and 1, 2 and 3 ... of [2 B, ...] in one, the first by `share` [2 B] of its own row.

    Targets are mixed in the same way (Zhang et al., mixup, ICLR 2018; PANNs mixes log-mel frames).
    """
    weight = share[::2].view(-1, *[1] * (values.dim() - 1))
    return weight * values[::2] + (1 - weight) * values[1::2]
