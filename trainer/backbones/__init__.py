"""Backbones by name. GL-AT, export and training know them only through `spec.Backbone`."""

from glatd.errors import ConfigError
from glatd.trainer.backbones.at_sca import ATSCA
from glatd.trainer.backbones.cnn10 import CNN10
from glatd.trainer.backbones.mn import MN
from glatd.trainer.backbones.resnet38 import ResNet38
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.backbones.talnet import TALNet

BACKBONES: dict[str, type[Backbone]] = {
    "at_sca": ATSCA,
    "cnn10": CNN10,
    "mn": MN,
    "resnet38": ResNet38,
    "talnet": TALNet,
}


def make_backbone(config: dict[str, int | float | str | bool]) -> Backbone:
    """The backbone that `Backbone.config` describes.

    Raises:
        ConfigError: an unknown name.
    """
    arguments = dict(config)
    name = arguments.pop("name")
    maker = BACKBONES.get(str(name))
    if maker is None:
        raise ConfigError(f"unknown backbone {name!r}; known: {', '.join(BACKBONES)}")
    return maker(**arguments)
