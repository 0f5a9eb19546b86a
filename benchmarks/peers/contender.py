"""What a contender is, and who they are. Each is made in a process of its own, which imports nothing for the others."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
WINDOW_S, HOP_S = 10.0, 0.96
THREADS = 1


class Network(Protocol):
    """A loaded contender.

    Attributes:
        rate: Hz of the samples that it takes.
        hop: samples between its answers.
        mids: of its classes, in the order of its scores.
        trained: whether its weights are real ones, so that its scores say something.
    """

    rate: int
    hop: int
    mids: Sequence[str]
    trained: bool

    def listen(self) -> Callable[[Floats], object]:
        """A new stream: a function that takes `hop` samples and does all that is due then."""

    def clip(self, samples: Floats) -> Floats:
        """Scores [n, C] of the n windows of a clip of 10 s."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the contenders' files are."""

    work: Path  # what the suite prepared
    bundle: Path  # weights of GL-AT
    engine: Path  # folder of an engine for glatd
    models: Path | None  # folder with the others' published files

    def as_plain(self) -> dict[str, str | None]:
        """For a command line."""
        return {key: None if value is None else str(value) for key, value in asdict(self).items()}


def parts_of(tree: dict[str, str | None]) -> Parts:
    """What `as_plain` gave."""
    given: dict[str, Any] = {key: None if value is None else Path(value) for key, value in tree.items()}
    return Parts(**given)


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to tag streams."""

    key: str
    title: str  # in the tables
    module: str  # of `benchmarks.peers`, with `make(parts, **options)` and `obstacle(parts, **options)`
    options: dict[str, str]
    what: str  # it does at every hop

    def make(self, parts: Parts) -> Network:
        """Load it."""
        network: Network = import_module(f"benchmarks.peers.{self.module}").make(parts, **self.options)
        return network

    def obstacle(self, parts: Parts) -> str:
        """Why it cannot run here; empty where it can."""
        said: str = import_module(f"benchmarks.peers.{self.module}").obstacle(parts, **self.options)
        return said


OURS = "glatd"
CONTENDERS = (
    Contender(
        "cnn10", "(a) CNN10, PyTorch", "cnn10", {"precision": "float32"},
        "the last 10 s, from the waveform on, as PANNs' inference code does",
    ),
    Contender(
        "cnn10-bfloat16", "(a) CNN10, PyTorch, bfloat16", "cnn10", {"precision": "bfloat16"}, "the same, in bfloat16",
    ),
    Contender(
        "yamnet", "(b) YAMNet, TFLite", "yamnet", {},
        "the newest 0.975 s at 16 kHz, an interpreter a stream, as home cameras' software does",
    ),
    Contender(
        "mn04", "(c) MN04 alone, the engine's runtime", "mn04", {},
        "the last 10 s, from the waveform on, in one network with published weights",
    ),
    Contender(
        "glat-pytorch", "(d) plain GL-AT, PyTorch", "plain", {"runtime": "pytorch"},
        "the last 10 s and five crops of 3 s, all from the waveform on",
    ),
    Contender(
        "glat-engine", "(d) plain GL-AT, the engine's runtime", "plain", {"runtime": "engine"},
        "the same, by the graphs that glatd runs",
    ),
    Contender(OURS, "(e) glatd", "ours", {}, "`Tagger`: what is new, and messages"),
)  # fmt: skip


class Sliding:
    """The last so many samples of a stream, zeros before its start; every hop is handed to `look`."""

    def __init__(self, length: int, look: Callable[[Floats], object]) -> None:
        self._window, self._look = np.zeros(length, np.float32), look

    def __call__(self, samples: Floats) -> object:
        """Take a hop."""
        self._window = np.concatenate([self._window[len(samples) :], samples])
        return self._look(self._window)
