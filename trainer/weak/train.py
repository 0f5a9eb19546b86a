"""`glatd train fit` by labelled clips: from a recipe to a bundle with its report; a run goes on where it was.

Nothing random is kept: what a step draws, hides, mixes and drops is a function of the seed, the step and the process,
so weights, running mean, optimiser and the number of the step are all of its state.
"""

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import glatd
from glatd.errors import ConfigError, DataError
from glatd.trainer.bundle import read_bundle, write_bundle
from glatd.trainer.data.clips import Clips
from glatd.trainer.data.draws import DRAWS
from glatd.trainer.data.examples import Example, Examples, Shares, loader
from glatd.trainer.evaluation import Evaluation, evaluate_clips
from glatd.trainer.glat import Glat
from glatd.trainer.looker import Network
from glatd.trainer.progress import Progress
from glatd.trainer.state import TrainState, learning_rate, write_whole
from glatd.trainer.weak.history import History
from glatd.trainer.weak.launch import make_fabric
from glatd.trainer.weak.material import Material, SomeClips, open_material, tell_material
from glatd.trainer.weak.objective import Alone, Frames, Joint
from glatd.trainer.weak.recipe import ClipRecipe

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"
LICENCE = "that of the clips it was trained by"


@dataclass
class Watch:
    """The judgements so far: step and mAP of each."""

    patience: int
    judged: list[tuple[int, float]] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The highest mAP."""
        return max((value for _, value in self.judged), default=-1.0)

    @property
    def stops(self) -> bool:
        """Whether enough judgements brought nothing better."""
        if not self.patience or not self.judged:
            return False
        values = [value for _, value in self.judged]
        return len(values) - 1 - values.index(max(values)) >= self.patience


def make_network(recipe: ClipRecipe, classes: int, init: Path | None) -> Glat:
    """The network of a recipe, at random or as in a bundle.

    Raises:
        ConfigError: a bundle of another network.
    """
    torch.manual_seed(recipe.seed)
    model = Glat(recipe.backbone.make(classes), recipe.glat)
    if init is None:
        return model
    known, described = read_bundle(init)
    try:
        model.load_state_dict(known.state_dict())
    except RuntimeError as error:
        wanted = f"{recipe.backbone.name} of {classes} classes"
        raise ConfigError(f"{init} holds {described.backbone}, the recipe wants {wanted}") from error
    return model


class ClipRun:
    """A run of one process."""

    def __init__(
        self,
        recipe: ClipRecipe,
        material: Material,
        model: Glat,
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
        # Before the optimiser is made, which goes where the weights are.
        model.to(fabric.device)
        trained = model.global_stream if alone else model
        self.state: TrainState[nn.Module] = TrainState(trained, recipe.optim)
        self.watch = Watch(recipe.watch.patience)
        objective = Alone(model.global_stream) if alone else Joint(model)
        self._fingerprint = recipe.fingerprint(len(material.train))
        if (work / CHECKPOINT).exists():
            self._load(work / CHECKPOINT)
        self._objective, self._optimiser = fabric.setup(objective, self.state.optimiser)
        self._frames = Frames(model.global_stream, recipe.glat.window, bool(recipe.augment.mixup)).to(fabric.device)
        self._history = History(work, self.state.step) if fabric.is_global_zero else None

    def _load(self, path: Path) -> None:
        more = self.state.load(path)
        if more.get("recipe") != self._fingerprint:
            raise DataError(f"{path} is of another recipe, or of other clips; choose another --work")
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
        return iter(loader(examples, shares, self._workers, self._fabric.device.type == "cuda"))

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
        return self._judged_network(torch.load(best, weights_only=True, map_location=self._fabric.device))

    def _save(self) -> None:
        if self._history is not None:
            more = {
                "recipe": self._fingerprint,
                "judged": [list(entry) for entry in self.watch.judged],
                "scaler": self._fabric.strategy.precision.state_dict(),
                "world": self._fabric.world_size,
            }
            self.state.save(self._work / CHECKPOINT, more)
        self._fabric.barrier()


def train_bundle(
    recipe: ClipRecipe,
    folder: Path,
    out: Path,
    work: Path,
    init: Path | None,
    workers: int,
    fabric: Any,
    progress: Progress,
) -> Material:
    """Train, and in the first process write the bundle; returns the data."""
    material = open_material(recipe, folder)
    if fabric.is_global_zero:
        tell_material(material, progress)
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make the folder {work}: {error.strerror}") from error
    fabric.barrier()
    model = make_network(recipe, len(material.vocabulary), init)
    run = ClipRun(recipe, material, model, work, workers, fabric, progress)
    trained = run.train()
    if fabric.is_global_zero:
        provenance = {
            "recipe": recipe.name,
            "method": "GL-AT" if recipe.method == "glat" else "the backbone alone, in both streams",
            "base": init.name if init else "random",
            "steps": str(run.state.step),
            "clips": str(len(material.train)),
            "glatd": glatd.__version__,
        }
        write_bundle(out, trained.cpu(), recipe.name, provenance, LICENCE, labels=material.vocabulary.names)
    return material


def fit_clips(
    recipe: ClipRecipe,
    folder: Path,
    out: Path,
    work: Path,
    init: Path | None = None,
    workers: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Evaluation | None:
    """Train, write the bundle, judge it by all test clips, and write its report beside it.

    Returns:
        What the first process found; None in the others.
    """
    from glatd.trainer.weak.report import write_report

    progress = progress or Progress()
    fabric = make_fabric(recipe.precision, device)
    material = train_bundle(recipe, folder, out, work, init, workers, fabric, progress)
    if not fabric.is_global_zero:
        fabric.barrier()
        return None
    stored, described = read_bundle(out)
    test = material.test
    found = evaluate_clips(
        Network(stored, described.labels, fabric.device),
        test,
        workers=workers,
        progress=lambda done: progress("judging", done, len(test)),
    )
    write_report(out, work, recipe, found)
    fabric.barrier()
    return found


def threads(count: int) -> None:
    """CPU threads of this process; 0 shares the cores among torchrun's."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(count or max(1, (os.cpu_count() or 1) // here))
