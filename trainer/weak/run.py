"""The loop of a training by labelled clips, which goes on where it was.

Nothing random is kept: what a step draws, hides, mixes and drops is a function of the seed, the step and the process,
so weights, running mean, optimiser and the number of the step are all of its state.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glatd.errors import ConfigError, DataError
from glatd.trainer.data.clips import Clips
from glatd.trainer.data.draws import DRAWS
from glatd.trainer.data.examples import Example, Examples, Shares, loader
from glatd.trainer.evaluation import Evaluation, evaluate_clips
from glatd.trainer.glat import Glat
from glatd.trainer.looker import Network
from glatd.trainer.progress import Progress
from glatd.trainer.state import TrainState, learning_rate
from glatd.trainer.tensors import read_tensors, write_whole
from glatd.trainer.weak.history import History
from glatd.trainer.weak.material import Material, SomeClips
from glatd.trainer.weak.objective import Alone, Frames, Joint
from glatd.trainer.weak.recipe import ClipRecipe
from glatd.trainer.weak.watch import Watch

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"


class ClipRun:
    """A run of one process.

    Args:
        model: what it begins with.
        base: names the weights that `model` has, those of a bundle.
        work: folder of its checkpoint; it goes on from one that stands there.
    """

    def __init__(
        self,
        recipe: ClipRecipe,
        material: Material,
        model: Glat,
        base: str,
        work: Path,
        workers: int,
        fabric: Any,
        progress: Progress,
    ) -> None:
        self.recipe, self.material, self.model = recipe, material, model
        self._work, self._workers, self._fabric, self._progress = work, workers, fabric, progress
        if recipe.draws % (2 * fabric.world_size if recipe.augment.mixup else fabric.world_size):
            raise ConfigError(
                f"optim.batch = {recipe.optim.batch} must be a multiple of the {fabric.world_size} processes"
            )
        alone = recipe.method == "alone"
        # Before the optimiser is made, which goes where the weights are. Channels last: a step of GL-AT on a CPU takes
        # two thirds of the time, or less.
        model.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        trained = model.global_stream if alone else model
        self.state: TrainState[nn.Module] = TrainState(trained, recipe.optim)
        self.watch = Watch(recipe.watch.patience)
        objective = Alone(model.global_stream) if alone else Joint(model)
        self._identity = recipe.identity | material.identity | {"--init": base}
        if recipe.watch.patience or recipe.watch.keep == "best":  # then judgements decide
            self._identity["test clips"] = material.test.fingerprint()
        if (work / CHECKPOINT).exists():
            self._load(work / CHECKPOINT)
        self._objective, self._optimiser = fabric.setup(objective, self.state.optimiser)
        self._frames = Frames(model.global_stream, recipe.glat.window, bool(recipe.augment.mixup)).to(fabric.device)
        self._history = History(work, self.state.step) if fabric.is_global_zero else None

    def _load(self, path: Path) -> None:
        more = self.state.load(path, self._identity)
        self.watch.judged = [(int(step), float(value)) for step, value in more["judged"]]
        if more["scaler"]:
            self._fabric.strategy.precision.load_state_dict(more["scaler"])
        if more["world"] != self._fabric.world_size and self._fabric.is_global_zero:
            self._progress.say(f"it goes on with {self._fabric.world_size} processes, not {more['world']}")

    def train(self) -> Glat:
        """Go on until the last step, or until nothing gets better; the network with the weights that are kept."""
        recipe, spec = self.recipe, self.recipe.optim
        batches = self._batches()
        while self.state.step < spec.steps and not self.watch.stops:
            values = self._step(batches)
            step = self.state.step
            last = step == spec.steps
            if self._history is not None:
                self._history.losses(step, values)
                best = f", mAP {self.watch.judged[-1][1]:.4f}" if self.watch.judged else ""
                told = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
                self._progress(f"training: {told}{best}", step, spec.steps)
            if step % recipe.watch.judge == 0 or last:
                self._judge()
            if step % recipe.watch.checkpoint == 0 or last or self.watch.stops:
                self._save()
        if self._history is not None:
            self._history.close()
        self._fabric.barrier()
        return self.final()

    def _batches(self) -> Iterator[Example]:
        recipe, front = self.recipe, self.model.global_stream.frontend
        window = recipe.glat.window
        examples = Examples(
            self.material.train,
            DRAWS[recipe.data.sampler](self.material.train.labels, recipe.seed),
            recipe.augment,
            recipe.scenes,
            self.material.vocabulary.names,
            self.material.backgrounds,
            recipe.seed,
            window * front.hop,
            window,
            front.n_mels,
        )
        first = self.state.step * recipe.optim.accumulate
        shares = Shares(first, recipe.draws, self._fabric.global_rank, self._fabric.world_size)
        return loader(examples, shares, self._workers, self._fabric.device.type == "cuda")

    def _step(self, batches: Iterator[Example]) -> dict[str, float]:
        """One step of Adam; the losses of this process."""
        spec, state, fabric = self.recipe.optim, self.state, self._fabric
        # What dropout drops is a function of the step, too.
        seed = np.random.SeedSequence([self.recipe.seed, state.step, fabric.global_rank]).generate_state(1, np.uint64)
        torch.manual_seed(int(seed[0]) >> 1)
        self._objective.train()
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(state.step, spec)
        totals: dict[str, Tensor] = {}
        for part in range(spec.accumulate):
            batch = Example(*(value.to(fabric.device, non_blocking=True) for value in next(batches)))
            frames, target = self._frames(batch)
            with fabric.no_backward_sync(self._objective, enabled=part < spec.accumulate - 1):
                losses = self._objective(frames, target)
                fabric.backward(torch.stack(list(losses.values())).sum() / spec.accumulate)
            for name, value in losses.items():
                totals[name] = totals.get(name, 0.0) + value.detach() / spec.accumulate
        if spec.clip_norm:
            fabric.clip_gradients(self._objective, self._optimiser, max_norm=spec.clip_norm, error_if_nonfinite=False)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        values = dict(zip(totals, torch.stack(list(totals.values())).tolist(), strict=True))
        if not all(np.isfinite(value) for value in values.values()):
            raise DataError(
                f"the loss at step {state.step} is {values}: no number; take a lower optim.learning_rate, or clip_norm"
            )
        state.step += 1
        state.follow(spec.ema)
        return values

    def _judge(self) -> None:
        """By the weights that are kept, in the first process; all of them hear of it."""
        value = 0.0
        if self._history is not None:
            found = self._evaluate(SomeClips(self.material.test, self.recipe.watch.clips), self._judged_network())
            report = found.reports[self.recipe.judged_by]
            value = report.map
            self._history.add(self.state.step, {"map": value, "mauc": report.mauc, "d_prime": report.d_prime})
            if value > self.watch.best:
                write_whole(self._work / BEST, self.state.kept)
            self._progress.say(f"step {self.state.step}: mAP {value:.4f} ({self.recipe.judged_by})")
        value = float(self._fabric.broadcast(value))
        self.watch.judged.append((self.state.step, value))

    def _evaluate(self, clips: Clips, model: Glat) -> Evaluation:
        looker = Network(model, self.material.vocabulary.names, self._fabric.device)
        where, _, _ = self.recipe.judged_by.rpartition("/")
        return evaluate_clips(looker, clips, workers=self._workers, places=[where])

    def _judged_network(self, weights: dict[str, Tensor] | None = None) -> Glat:
        """A copy of the network with the weights that are kept, or others; alone, both streams are the backbone."""
        weights = self.state.kept if weights is None else weights
        model = copy.deepcopy(self.model).requires_grad_(False)
        if self.recipe.method == "alone":
            for stream in (model.global_stream, model.local_stream):
                stream.load_state_dict(weights)
        else:
            model.load_state_dict(weights)
        return model.eval()

    def final(self) -> Glat:
        """The network that the bundle gets."""
        best = self._work / BEST
        if self.recipe.watch.keep == "last" or not best.exists():
            return self._judged_network()
        try:
            return self._judged_network(read_tensors(best))
        except (DataError, RuntimeError, TypeError) as error:
            reason = str(error).splitlines()[0]
            remedy = f'remove {self._work} to begin again, or take keep = "last"'
            raise DataError(f"the best weights cannot be read: {reason}; {remedy}") from error

    def _save(self) -> None:
        if self._history is not None:
            more = {
                "judged": [list(entry) for entry in self.watch.judged],
                "scaler": self._fabric.strategy.precision.state_dict(),
                "world": self._fabric.world_size,
            }
            self.state.save(self._work / CHECKPOINT, self._identity, more)
        self._fabric.barrier()
