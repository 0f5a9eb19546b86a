"""Published checkpoints -> a backbone. Only tensors are read: a pickle that wants more is refused."""

from pathlib import Path

import torch
from torch import Tensor

from glatd.errors import DataError
from glatd.trainer.backbones.folding import fold_batchnorm
from glatd.trainer.backbones.mn import MN
from glatd.trainer.backbones.spec import Backbone
from glatd.trainer.tensors import read_tensors

# Of PANNs' checkpoints: the front end is computed, not learned. Older ones do not count BatchNorm's batches.
COMPUTED = ("spectrogram_extractor.", "logmel_extractor.")
COUNTER = "num_batches_tracked"


def load_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint file: the file itself, or what it holds under `model`, as PANNs' do.

    Raises:
        DataError: not there, not a checkpoint, or one that holds more than tensors and plain values.
    """
    state = read_tensors(path)
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path} is no state dict (names to tensors); give the file as published")
    return {key: value for key, value in state.items() if not key.startswith(COMPUTED)}


def fill(network: Backbone, state: dict[str, Tensor], where: str, what: str) -> None:
    """Give a network the weights of a checkpoint.

    Args:
        where: the file.
        what: the network, as in "is it CNN10?".

    Raises:
        DataError: a missing, extra or misshapen key, by name.
    """
    wanted = network.state_dict()
    for problem, keys in (
        ("lacks", {key for key in wanted.keys() - state.keys() if not key.endswith(COUNTER)}),
        ("has the unknown key", state.keys() - wanted.keys()),
        (
            "has another shape at",
            {key for key in wanted.keys() & state.keys() if wanted[key].shape != state[key].shape},
        ),
    ):
        if keys:
            raise DataError(f"{where} {problem} {sorted(keys)[0]!r} ({len(keys)} in all); is it {what}?")
    network.load_state_dict(state, strict=False)


def published_mn(path: Path, width: float) -> MN:
    """An MN of EfficientAT's checkpoint, as it was published.

    Raises:
        DataError: a missing, extra or misshapen key, by name.
    """
    network = MN(width=width)
    fill(network, load_state(path), str(path), f"an MN of width {width:g}")
    return network.eval()


def load_mn(path: Path, width: float) -> MN:
    """`published_mn`, with its BatchNorm folded into the convolutions."""
    network = published_mn(path, width)
    folded = MN(width=width, folded=True)
    fold_batchnorm(network)
    folded.load_state_dict(network.state_dict())
    return folded.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]
