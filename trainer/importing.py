"""`glatd train import`: a published checkpoint -> a bundle in which both streams start from it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from glatd.errors import ConfigError, DataError
from glatd.labels import audioset
from glatd.trainer.backbones.cnn10 import CNN10
from glatd.trainer.backbones.mn import HEAD_UNITS
from glatd.trainer.backbones.resnet38 import ResNet38
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.bundle import write_bundle
from glatd.trainer.checkpoint import fill, load_state, published_mn
from glatd.trainer.glat import Glat, GlatSpec

WINDOW_S, CROP_S = 10, 3  # of the paper
MN_HIDDEN = "classifier.2.weight"  # [hidden units, feature]
LICENCE = "that of the imported checkpoint"


def _panns(make: Callable[[], Backbone], what: str) -> Callable[[Path, dict[str, Tensor]], Backbone]:
    def made(path: Path, state: dict[str, Tensor]) -> Backbone:
        network = make()
        fill(network, state, str(path), what)
        return network.eval()

    return made


def _mn(path: Path, state: dict[str, Tensor]) -> Backbone:
    if MN_HIDDEN not in state:
        raise DataError(f"{path} lacks {MN_HIDDEN!r}; is it an MN of EfficientAT?")
    return published_mn(path, len(state[MN_HIDDEN]) / HEAD_UNITS)


# TALNet and AT-SCA have no published weights in a safe format.
PUBLISHED: dict[str, Callable[[Path, dict[str, Tensor]], Backbone]] = {
    "cnn10": _panns(CNN10, "PANNs' CNN10"),
    "mn": _mn,
    "resnet38": _panns(ResNet38, "PANNs' ResNet38"),
}


def import_checkpoint(checkpoint: Path, backbone: str, out: Path) -> Glat:
    """Write a bundle of the weights of `checkpoint`, in float32.

    Args:
        checkpoint: PANNs' `{"model": state dict, ...}`, or a state dict of EfficientAT.
        backbone: one of `PUBLISHED`.
        out: folder of the bundle.

    Raises:
        ConfigError: a backbone without published weights.
        DataError: no such file, one that holds more than tensors, or a key that is missing, unknown or misshapen.
    """
    if backbone not in PUBLISHED:
        raise ConfigError(f"no published weights of {backbone!r} are known; there are {', '.join(PUBLISHED)}")
    network = PUBLISHED[backbone](checkpoint, load_state(checkpoint))
    classes, labels = int(network.config["classes"]), len(audioset())
    if classes != labels:
        raise DataError(f"{checkpoint} has {classes} classes; the labels of AudioSet are {labels}")
    front = network.frontend
    window, crop = (round(seconds * front.rate / front.hop) for seconds in (WINDOW_S, CROP_S))
    model = Glat(network, GlatSpec(window, crop)).eval()
    said = {
        "imported": checkpoint.name,
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "streams": "both as published: the local stream was not trained on crops",
    }
    write_bundle(out, model, f"imported-{backbone}", said, LICENCE, half=False)
    return model
