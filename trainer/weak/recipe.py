"""A recipe of a training by labelled clips: any backbone, alone or with GL-AT, from a TOML file."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from glatd.config import build, read_toml
from glatd.errors import ConfigError
from glatd.trainer.backbones import BACKBONES, make_backbone
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.data.augment import AugmentSpec
from glatd.trainer.glat import GlatSpec
from glatd.trainer.identity import flat
from glatd.trainer.recipe import OptimSpec
from glatd.trainer.scenes import SceneSpec

KIND = "clips"


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Which network."""

    name: str
    width: float | None = None  # by which numbers of channels are multiplied; as published when None

    def make(self, classes: int) -> Backbone:
        """It, with weights drawn at random.

        Raises:
            ConfigError: no such backbone, or a width that it cannot have.
        """
        if self.name not in BACKBONES:
            raise ConfigError(f"unknown backbone {self.name!r}; known: {', '.join(BACKBONES)}")
        config: dict[str, int | float | str | bool] = {"name": self.name, "classes": classes}
        try:
            return make_backbone(config if self.width is None else config | {"width": self.width})
        except TypeError as error:
            raise ConfigError(f"backbone {self.name!r} has no width; leave it out") from error


@dataclass(frozen=True, slots=True)
class ClipDataSpec:
    """Packs (files or folders of them) and CSVs, relative to the folder that --data names."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    audio: str  # folder of the audio that CSVs name; "": each CSV's own
    classes: str  # file of class names, one a line; "": AudioSet's 527
    backgrounds: tuple[str, ...]  # to lay clips over; none: coloured noise
    sampler: Literal["balanced", "uniform"]


@dataclass(frozen=True, slots=True)
class WatchSpec:
    """What is looked at while it trains."""

    checkpoint: int  # steps between checkpoints
    judge: int  # steps between judgements
    clips: int  # of the test data, for a judgement; 0: all
    patience: int  # judgements without a better one, after which it stops; 0: never
    keep: Literal["best", "last"]  # which weights the bundle gets


@dataclass(frozen=True, slots=True)
class ClipRecipe:
    """One training run."""

    name: str
    kind: Literal["clips"]
    seed: int
    method: Literal["glat", "alone"]  # alone: the backbone without GL-AT, the paper's baseline
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    backbone: BackboneSpec
    glat: GlatSpec
    data: ClipDataSpec
    augment: AugmentSpec
    scenes: SceneSpec
    optim: OptimSpec
    watch: WatchSpec

    @property
    def judged_by(self) -> str:
        """The way of looking that judgements compare."""
        return "global" if self.method == "alone" else f"{self.glat.grid}/fused"

    @property
    def draws(self) -> int:
        """Clips that a batch draws: mixup makes one of two."""
        return self.optim.batch * (2 if self.augment.mixup else 1)

    @property
    def identity(self) -> dict[str, str]:
        """Everything in it that decides what a run computes, by name."""
        return flat(asdict(self) | {"watch": {"judge": self.watch.judge}})


def is_clip_recipe(path: Path) -> bool:
    """Whether the recipe says `kind = "clips"`; one without a kind is of scenes.

    Raises:
        ConfigError: not there, not TOML, or of a kind that is not known.
    """
    kind = read_toml(path, "the recipe").get("kind", "scenes")
    if kind not in (KIND, "scenes"):
        raise ConfigError(f"{path}: kind = {kind!r} must be 'clips' or 'scenes'")
    return bool(kind == KIND)


def read_clip_recipe(path: Path, seed: int | None = None) -> ClipRecipe:
    """Read a recipe.

    Args:
        seed: in place of the recipe's.

    Raises:
        ConfigError: not there, not TOML, an unknown or missing key, or a value that cannot be.
    """
    recipe = build(ClipRecipe, read_toml(path, "the recipe"), str(path))
    recipe = recipe if seed is None else replace(recipe, seed=seed)
    for key, value in (
        ("optim.batch", recipe.optim.batch),
        ("optim.steps", recipe.optim.steps),
        ("optim.accumulate", recipe.optim.accumulate),
        ("watch.checkpoint", recipe.watch.checkpoint),
        ("watch.judge", recipe.watch.judge),
        ("glat.crops", recipe.glat.crops),
    ):
        if value < 1:
            raise ConfigError(f"{path}: {key} = {value} must be 1 or more")
    if not 0 < recipe.glat.crop <= recipe.glat.window:
        raise ConfigError(
            f"{path}: glat.crop = {recipe.glat.crop} must lie in the window of {recipe.glat.window} frames"
        )
    return recipe
