"""Where a training run is: weights, their running mean and the optimiser at one step, and how that gets to a disk."""

import math
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from glatd.errors import DataError
from glatd.trainer.identity import Identity, differences
from glatd.trainer.recipe import OptimSpec
from glatd.trainer.tensors import read_tensors, write_whole

Network = TypeVar("Network", bound=nn.Module)


def learning_rate(step: int, spec: OptimSpec) -> float:
    """Linear warm-up, then the recipe's schedule: half a cosine down to 0 at the last step, or none."""
    if step < spec.warmup:
        return spec.learning_rate * (step + 1) / spec.warmup
    if spec.schedule == "constant":
        return spec.learning_rate
    done = (step - spec.warmup) / max(1, spec.steps - spec.warmup)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class TrainState(Generic[Network]):
    """Weights, their running mean, and the optimiser, at one step."""

    def __init__(self, model: Network, spec: OptimSpec) -> None:
        self.model = model
        self.optimiser = torch.optim.Adam(model.parameters(), lr=spec.learning_rate, amsgrad=spec.amsgrad)
        self.mean = {name: value.detach().clone() for name, value in model.state_dict().items()} if spec.ema else {}
        self.step = 0

    @property
    def kept(self) -> dict[str, Tensor]:
        """The weights that training is for: the running mean, or the last ones where there is none."""
        return self.mean or self.model.state_dict()

    def save(self, path: Path, run: Identity, more: dict[str, Any] | None = None) -> None:
        """Write a checkpoint; the last good one stays until the new one is whole.

        Args:
            run: which it belongs to.
            more: plain values and tensors that belong to it.

        Raises:
            DataError: it cannot be written.
        """
        write_whole(
            path,
            {
                "run": dict(run),
                "step": self.step,
                "model": self.model.state_dict(),
                "mean": self.mean,
                "optimiser": self.optimiser.state_dict(),
                "torch_rng": torch.get_rng_state(),
                "more": more or {},
            },
        )

    def load(self, path: Path, run: Identity) -> dict[str, Any]:
        """Go on from a checkpoint of `save`, and return its `more`.

        Raises:
            DataError: it is damaged, no checkpoint, or that of another run.
        """
        try:
            state = read_tensors(path)
        except DataError as error:
            raise DataError(f"cannot go on: {error}; remove it to begin again") from error
        if not isinstance(state, dict) or not isinstance(state.get("run"), dict):
            raise DataError(f"{path} does not say of which run it is; choose another --work")
        if differs := differences(state["run"], run):
            raise DataError(f"{path} is of another run: {differs}; choose another --work")
        try:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"cannot go on from {path}: {reason}; remove it to begin again") from error
        self.step = state["step"]
        devices = {name: value.device for name, value in self.model.state_dict().items()}
        self.mean = {name: value.to(devices[name]) for name, value in state["mean"].items()}
        torch.set_rng_state(state["torch_rng"])
        more: dict[str, Any] = state["more"]
        return more

    def follow(self, decay: float) -> None:
        """Move the running mean towards the weights; young runs follow faster."""
        if not self.mean:
            return
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            mean = self.mean[name]
            if mean.is_floating_point():
                mean.lerp_(value.detach(), 1 - decay)
            else:
                mean.copy_(value)
