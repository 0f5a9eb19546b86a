"""The training loop: both streams together, resumable to the same state."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.dataset import TrainingData
from glatd.trainer.glat import Glat
from glatd.trainer.losses import losses
from glatd.trainer.recipe import OptimSpec, Recipe

CHECKPOINT_EVERY = 100  # steps
Report = Callable[[int, dict[str, float]], None]


def learning_rate(step: int, spec: OptimSpec) -> float:
    """Linear warm-up, then half a cosine down to 0 at the last step."""
    if step < spec.warmup:
        return spec.learning_rate * (step + 1) / spec.warmup
    done = (step - spec.warmup) / max(1, spec.steps - spec.warmup)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def batch_index(step: int, scenes: int, batch: int, seed: int) -> NDArray[np.int64]:
    """The scenes of one step: a pure function, so that a resumed run sees the same ones."""
    per_epoch = scenes // batch
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(scenes)
    return order[place * batch : (place + 1) * batch]


def only_dropout(model: nn.Module) -> None:
    """Training mode without BatchNorm updates is evaluation mode with dropout; MN has no other."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()


class Run:
    """Weights, their running mean, and the optimiser, at one step."""

    def __init__(self, model: Glat, spec: OptimSpec) -> None:
        self.model = model
        self.optimiser = torch.optim.Adam(model.parameters(), lr=spec.learning_rate)
        self.mean = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.step = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint; the last good one stays until the new one is whole."""
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "mean": self.mean,
            "optimiser": self.optimiser.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of `save`."""
        state = torch.load(path, weights_only=True)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.mean = state["mean"]
        torch.set_rng_state(state["torch_rng"])

    def follow(self, decay: float) -> None:
        """Move the running mean towards the weights; young runs follow faster."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            mean = self.mean[name]
            if mean.is_floating_point():
                mean.lerp_(value.detach(), 1 - decay)
            else:
                mean.copy_(value)


def fit(recipe: Recipe, model: Glat, teacher: Backbone, data: TrainingData, work: Path, report: Report) -> Glat:
    """Train `model` as the recipe says and return it with the running mean as its weights.

    Goes on from `work/checkpoint.pt` where one stands.
    """
    spec = recipe.optim
    torch.manual_seed(recipe.seed)
    run = Run(model, spec)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        run.load(checkpoint)
    teacher.eval().requires_grad_(False)
    while run.step < spec.steps:
        values = train_step(run, recipe, teacher, data)
        run.step += 1
        run.follow(spec.ema)
        if run.step % CHECKPOINT_EVERY == 0 or run.step == spec.steps:
            run.save(checkpoint)
        report(run.step, values)
    model.load_state_dict(run.mean)
    return model.eval()


def train_step(run: Run, recipe: Recipe, teacher: Backbone, data: TrainingData) -> dict[str, float]:
    """One step of Adam; returns the losses."""
    spec, model = recipe.optim, run.model
    only_dropout(model)
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate(run.step, spec)
    index = batch_index(run.step, len(data.scenes), spec.batch, recipe.seed)
    frames, silent, targets = data.batch(index)
    output = model(frames, silent)
    backbone = model.global_stream
    with torch.no_grad():
        opinion: Tensor = teacher.clip_logits(output.crops.flatten(0, 1)).sigmoid().unflatten(0, output.starts.shape)
    parts = losses(output, targets, opinion, recipe.loss, backbone.frontend.hop, backbone.stride)
    total = torch.stack(list(parts.values())).sum()
    run.optimiser.zero_grad(set_to_none=True)
    total.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), spec.clip_norm)
    run.optimiser.step()
    return {name: float(value.detach()) for name, value in parts.items()} | {"norm": float(norm)}
