"""The network that a run begins with: at random, or with what a bundle knows."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from glatd.errors import ConfigError
from glatd.trainer.bundle import read_bundle
from glatd.trainer.glat import Glat
from glatd.trainer.weak.recipe import ClipRecipe


def make_network(
    recipe: ClipRecipe,
    classes: Sequence[str],
    init: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Glat:
    """The network of a recipe, at random or as in a bundle.

    Args:
        classes: names of the C classes.
        init: folder of the bundle. Of one with other classes everything but the last layer is taken.
        say: told what was not taken.

    Raises:
        ConfigError: a bundle of another network.
    """
    torch.manual_seed(recipe.seed)
    model = Glat(recipe.backbone.make(len(classes)), recipe.glat)
    if init is None:
        return model
    known, described = read_bundle(init)
    state = known.state_dict()
    left_out = set[str]()
    if described.labels != tuple(classes):
        left_out = last_layer(known)
        say(f"{init} has other classes: the last layer of each stream begins at random")
    shapes = {name: value.shape for name, value in model.state_dict().items() if name not in left_out}
    if shapes != {name: value.shape for name, value in state.items() if name not in left_out}:
        raise ConfigError(f"{init} holds {described.backbone}, the recipe wants {model.global_stream.config}")
    model.load_state_dict({name: state[name] for name in shapes}, strict=False)
    return model


def last_layer(model: Glat) -> set[str]:
    """Names of the weights that have a row for each class."""
    outputs = (model.global_stream.output, model.local_stream.output)
    modules = [name for name, module in model.named_modules(remove_duplicate=False) if module in outputs]
    return {f"{module}.{name}" for module in modules for name in ("weight", "bias")}
