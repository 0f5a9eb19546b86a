"""A window of 10 s slid over the stream, CNN10 in PyTorch on all of it at every hop.

As PANNs' own inference code: waveform -> log-mel -> CNN10. What it costs does not depend on its weights; where a
checkpoint `Cnn10*.pth` lies among the others' files it is used, and the scores are judged.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.machine import instruction_sets
from benchmarks.peers.contender import HOP_S, THREADS, WINDOW_S, Floats, Parts, Sliding
from benchmarks.untrained import DECIBELS_MEAN, DECIBELS_VARIANCE

SEED = 0


def checkpoint(parts: Parts) -> Path | None:
    """The published weights, where they are."""
    found = sorted(parts.models.glob("Cnn10*.pth")) if parts.models else []
    return found[0] if found else None


class Cnn10:
    """See `contender.Network`."""

    def __init__(self, weights: Path | None, precision: str) -> None:
        import torch

        from glatd.labels import audioset
        from glatd.trainer.backbones.cnn10 import CNN10
        from glatd.trainer.checkpoint import fill, load_state
        from glatd.trainer.frontend import Frontend

        torch.set_num_threads(THREADS)
        torch.manual_seed(SEED)
        self._torch, self._precision = torch, precision
        self._network: Any = CNN10().eval()
        self._network.bn0.running_mean.fill_(DECIBELS_MEAN)
        self._network.bn0.running_var.fill_(DECIBELS_VARIANCE)
        if weights is not None:
            fill(self._network, load_state(weights), str(weights), "PANNs' CNN10")
        self._frontend = Frontend(self._network.frontend)
        self.trained = weights is not None
        self.rate = self._network.frontend.rate
        self.hop = round(HOP_S * self.rate)
        self.mids = [label.mid for label in audioset()]

    def listen(self) -> Callable[[Floats], object]:
        return Sliding(round(WINDOW_S * self.rate), self.clip)

    def clip(self, samples: Floats) -> Floats:
        with self._torch.inference_mode(), self._mode():
            frames = self._frontend.clip(self._torch.from_numpy(samples)[None])
        with self._torch.inference_mode(), self._mode(self._precision == "bfloat16"):
            scores: Floats = self._network.clip_logits(frames).float().sigmoid().numpy()
        return scores

    def _mode(self, low: bool = False) -> AbstractContextManager[None]:
        mode: AbstractContextManager[None] = self._torch.autocast("cpu", self._torch.bfloat16, enabled=low)
        return mode


def obstacle(parts: Parts, precision: str = "float32") -> str:
    """Why it cannot run here."""
    if precision == "bfloat16" and not {"avx512_bf16", "amx_bf16"} & set(instruction_sets()):
        return "this CPU does not compute in bfloat16"
    try:
        import torch  # noqa: F401
    except ImportError:
        return "it needs PyTorch (the extra train)"
    return ""


def make(parts: Parts, precision: str) -> Cnn10:
    """Load it."""
    return Cnn10(checkpoint(parts), precision)
