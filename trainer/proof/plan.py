"""A plan: which runs a proof is made of, in the order in which they tell most, from a TOML file."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from glatd.config import build, read_toml
from glatd.errors import ConfigError
from glatd.trainer.backbones import BACKBONES
from glatd.trainer.frontend import FrontendSpec
from glatd.trainer.proof.scenes import ProofScenes
from glatd.trainer.weak.recipe import ClipRecipe, read_clip_recipe
from glatd.trainer.weak.sweep import at, settings

VERSION = 1  # of what a result holds and of how it is come by
# Rows of a table: what is trained. Each network is judged by every way of looking besides.
ALONE, GLAT, LONG, SHARED, RANDOM, SOUNDS = "alone", "glat", "long", "shared", "random", "sounds"
ROWS = (ALONE, GLAT, LONG, SHARED, RANDOM, SOUNDS)
SWEEP, JUDGED = "sweep", "judged"
STAGES = ((ALONE, GLAT, LONG), (SHARED, RANDOM), (SOUNDS,))


# Where second looks go, keys of `judge`, with `MORE` for more random crops than a network chooses. To judge a row by
# what no table asks of it would take as long as to train it.
MORE = "more"
EVERYWHERE = ("clip", "sounds", "even", "random", "all", MORE)
PLACES = {
    ALONE: ("all", MORE),
    GLAT: EVERYWHERE,
    LONG: ("all", MORE),
    SHARED: ("clip",),
    RANDOM: ("clip", "random"),
    SOUNDS: ("clip", "classes"),
    SWEEP: ("clip",),
    JUDGED: EVERYWHERE,
}
# The way of looking that a row is trained for.
OWN = {row: "global" if row in (ALONE, LONG) else "random/fused" if row == RANDOM else "clip/fused" for row in PLACES}


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """The paper's Fig. 2, of one network."""

    recipe: str  # one of the plan's
    seed: int
    crops: tuple[int, ...]  # N
    seconds: tuple[float, ...]  # tau


@dataclass(frozen=True, slots=True)
class SizeSpec:
    """Other sizes for every recipe of a plan, such as those of a GPU."""

    width: float  # of every network
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    steps: int
    batch: int
    learning_rate: float
    warmup: int  # steps

    def of(self, recipe: ClipRecipe) -> ClipRecipe:
        """The recipe in these sizes."""
        optim = replace(
            recipe.optim, steps=self.steps, batch=self.batch, learning_rate=self.learning_rate, warmup=self.warmup
        )
        backbone = replace(recipe.backbone, width=self.width)
        return replace(recipe, backbone=backbone, precision=self.precision, optim=optim)


@dataclass(frozen=True, slots=True)
class PlanFile:
    """As it stands in the file; paths are relative to it."""

    name: str
    recipes: tuple[str, ...]  # with GL-AT, separate classifiers, the published selection
    seeds: tuple[int, ...]
    random: int  # random crops, beside as many as the network chooses
    bundles: tuple[str, ...]  # trained elsewhere, judged on the same scenes
    scenes: ProofScenes
    sweep: SweepSpec
    size: SizeSpec | None = None  # of all recipes, in the place of their own


@dataclass(frozen=True, slots=True)
class Run:
    """One training, or where `bundle` is given none, and its judgement."""

    name: str
    network: str  # name of its recipe
    row: str  # a key of `PLACES`
    seed: int
    recipe: ClipRecipe | None
    bundle: Path | None = None

    @property
    def heard(self) -> float:
        """Seconds of sound that a step of training hears, forward and backward."""
        if self.recipe is None:
            return 0.0
        return self.recipe.optim.batch * self.recipe.optim.accumulate * heard(self.recipe)

    def fingerprint(self, scenes: str) -> str:
        """Names everything that decides what comes of it; `scenes` is that of the scenes."""
        of = [asdict(self.recipe)] if self.recipe is not None else [_weights(self.bundle)]
        text = json.dumps([VERSION, self.name, of, scenes])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with its recipes read."""

    file: PlanFile
    recipes: tuple[ClipRecipe, ...]
    runs: tuple[Run, ...]

    def run(self, name: str) -> Run:
        """A run by name.

        Raises:
            ConfigError: there is none.
        """
        for run in self.runs:
            if run.name == name:
                return run
        raise ConfigError(f"the plan {self.file.name} has no run {name!r}; such as {self.runs[0].name!r}")


def frontend(recipe: ClipRecipe) -> FrontendSpec:
    """That of the recipe's network, which need not be made for it.

    Raises:
        ConfigError: no such network.
    """
    if recipe.backbone.name not in BACKBONES:
        raise ConfigError(f"unknown backbone {recipe.backbone.name!r}; known: {', '.join(BACKBONES)}")
    return BACKBONES[recipe.backbone.name].frontend


def heard(recipe: ClipRecipe) -> float:
    """Seconds that a network hears of a clip: all of it, and with GL-AT its crops besides."""
    front = frontend(recipe)
    frames = recipe.glat.window
    if recipe.method == "glat":
        frames += recipe.glat.crops * recipe.glat.crop
    return frames * front.hop / front.rate


def read_plan(path: Path) -> Plan:
    """Read a plan and its recipes.

    Raises:
        ConfigError: not there, not TOML, an unknown or missing key, or a recipe that is not of GL-AT.
    """
    file = build(PlanFile, read_toml(path, "the plan"), str(path))
    if not file.recipes or not file.seeds:
        raise ConfigError(f"{path}: recipes and seeds must each name one at least")
    recipes = tuple(read_clip_recipe(path.parent / name) for name in file.recipes)
    for name, recipe in zip(file.recipes, recipes, strict=True):
        plain = recipe.method == "glat" and recipe.glat.classifier == "separate" and recipe.glat.choose == "classes"
        if not plain:
            raise ConfigError(
                f'{name}: a plan\'s recipe has method = "glat", classifier = "separate" and choose = "classes"; '
                "the other rows are made of it"
            )
    if file.size is not None:
        recipes = tuple(file.size.of(recipe) for recipe in recipes)
    if len({recipe.name for recipe in recipes}) < len(recipes):
        raise ConfigError(f"{path}: two recipes have the same name")
    return Plan(file, recipes, tuple(_runs(file, recipes, path.parent)))


def row_of(recipe: ClipRecipe, row: str) -> ClipRecipe:
    """The recipe of a row, made of the one with GL-AT.

    "long" trains the network alone for so many steps that it hears as many seconds as GL-AT does.
    """
    alone = replace(recipe, method="alone")
    glat = recipe.glat
    steps = round(recipe.optim.steps * heard(recipe) / heard(alone))
    changed = {
        ALONE: alone,
        GLAT: recipe,
        LONG: replace(
            alone,
            optim=replace(recipe.optim, steps=steps),
            watch=replace(recipe.watch, judge=max(steps, recipe.watch.judge)),
        ),
        SHARED: replace(recipe, glat=replace(glat, classifier="shared")),
        RANDOM: replace(recipe, glat=replace(glat, choose="random")),
        SOUNDS: replace(recipe, glat=replace(glat, choose="sounds")),
    }
    return changed[row]


def _runs(file: PlanFile, recipes: tuple[ClipRecipe, ...], folder: Path) -> Iterator[Run]:
    """Bundles, then every network by the first seed, the figure, and the other seeds; what matters least at the end."""
    for name in file.bundles:
        bundle = (folder / name).resolve()
        yield Run(f"{bundle.name}-judged", bundle.name, JUDGED, 0, None, bundle)
    first, others = file.seeds[:1], file.seeds[1:]
    yield from _trained(recipes, first, STAGES[0] + STAGES[1])
    yield from _sweep(file, recipes)
    yield from _trained(recipes, others, STAGES[0])
    yield from _trained(recipes, others, STAGES[1])
    yield from _trained(recipes, first, STAGES[2])


def _trained(recipes: tuple[ClipRecipe, ...], seeds: tuple[int, ...], rows: tuple[str, ...]) -> Iterator[Run]:
    for seed in seeds:
        for recipe in recipes:
            for row in rows:
                yield Run(
                    f"{recipe.name}-{row}-s{seed}", recipe.name, row, seed, replace(row_of(recipe, row), seed=seed)
                )


def _sweep(file: PlanFile, recipes: tuple[ClipRecipe, ...]) -> Iterator[Run]:
    spec = file.sweep
    if not spec.crops and not spec.seconds:
        return
    known = {recipe.name: recipe for recipe in recipes}
    if spec.recipe not in known:
        raise ConfigError(f"sweep.recipe = {spec.recipe!r} is none of the plan's: {', '.join(known)}")
    recipe = known[spec.recipe]
    front = frontend(recipe)
    for setting in settings(recipe, front, spec.crops, spec.seconds):
        made = replace(at(recipe, front, setting), seed=spec.seed)
        if made == replace(recipe, seed=spec.seed) and spec.seed in file.seeds:
            continue  # a row has it
        yield Run(f"{recipe.name}-{setting.name}-s{spec.seed}", recipe.name, SWEEP, spec.seed, made)


def _weights(bundle: Path | None) -> str:
    from glatd.trainer.bundle import read_model

    assert bundle is not None
    return read_model(bundle).weights_sha256
