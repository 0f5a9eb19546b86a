"""The training loop: both streams together, resumable to the same state."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.dataset import TrainingData
from glatd.trainer.glat import Glat
from glatd.trainer.identity import flat
from glatd.trainer.losses import losses
from glatd.trainer.recipe import Recipe
from glatd.trainer.state import TrainState, learning_rate

CHECKPOINT_EVERY = 100  # steps
Report = Callable[[int, dict[str, float]], None]


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


def fit(recipe: Recipe, model: Glat, teacher: Backbone, data: TrainingData, work: Path, report: Report) -> Glat:
    """Train `model` as the recipe says and return it with the running mean as its weights.

    Goes on from `work/checkpoint.pt` where one stands.

    Raises:
        DataError: that checkpoint is of another recipe, or of another number of clips.
    """
    spec = recipe.optim
    torch.manual_seed(recipe.seed)
    run = TrainState(model, spec)
    identity = flat(asdict(recipe)) | {"clips": str(len(data.events) - 1)}
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        run.load(checkpoint, identity)
    teacher.eval().requires_grad_(False)
    while run.step < spec.steps:
        values = train_step(run, recipe, teacher, data)
        run.step += 1
        run.follow(spec.ema)
        if run.step % CHECKPOINT_EVERY == 0 or run.step == spec.steps:
            run.save(checkpoint, identity)
        report(run.step, values)
    model.load_state_dict(run.kept)
    return model.eval()


def train_step(run: TrainState[Glat], recipe: Recipe, teacher: Backbone, data: TrainingData) -> dict[str, float]:
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
