"""A recipe: everything that a training run is made of, from a TOML file. No hidden defaults."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glatd.config import build, read_toml
from glatd.trainer.glat import GlatSpec
from glatd.trainer.scenes import SceneSpec


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Which clips are used for what."""

    train_folds: tuple[int, ...]
    test_folds: tuple[int, ...]
    kept_out: tuple[str, ...]  # labels that no training clip may carry
    train_scenes: int  # rendered once; epochs go over them
    test_scenes: int


@dataclass(frozen=True, slots=True)
class LossSpec:
    """Weights of the losses beside the paper's two, which have weight 1."""

    fused: float  # BCE of the fused scores, so that each stream yields where the other knows
    frame: float  # frame scores against when each sound is active
    crop: float  # each crop against what sounds in it, and the teacher's opinion of it
    positive: float  # target of a true label


@dataclass(frozen=True, slots=True)
class OptimSpec:
    """Adam with linear warm-up and, by default, cosine decay to zero; the weights kept are a running mean."""

    steps: int
    batch: int  # scenes or clips of a batch; a step has `accumulate` of them
    learning_rate: float
    warmup: int  # steps
    clip_norm: float  # of the gradient
    ema: float  # decay a step; 0 keeps the weights themselves
    schedule: Literal["cosine", "constant"] = "cosine"  # of the learning rate, after the warm-up
    amsgrad: bool = False
    accumulate: int = 1  # batches whose gradients are added up before a step


@dataclass(frozen=True, slots=True)
class BlendSpec:
    """How much of the training the final weights hold; the rest is the base model (see `blend`)."""

    global_stream: float  # 0 to 1
    local_stream: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run."""

    name: str
    seed: int
    backbone: str
    width: float
    glat: GlatSpec
    data: DataSpec
    scenes: SceneSpec
    test_scenes: SceneSpec
    loss: LossSpec
    optim: OptimSpec
    blend: BlendSpec


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ConfigError: not there, not TOML, an unknown or missing key, or a value of another type.
    """
    return build(Recipe, read_toml(path, "the recipe"), str(path))
