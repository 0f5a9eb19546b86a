"""YAMNet in TFLite, as home cameras' software runs it: 0.975 s after 0.975 s, an interpreter for each stream."""

import csv
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.contender import THREADS, Floats, Parts

MODEL, CLASSES = "yamnet.tflite", "yamnet_class_map.csv"
RATE, SAMPLES = 16_000, 15_600  # Hz; samples of a window


class Yamnet:
    """See `contender.Network`."""

    rate, hop, trained = RATE, SAMPLES, True

    def __init__(self, model: Path, classes: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter, self._model = Interpreter, str(model)
        with classes.open(newline="", encoding="utf-8") as file:
            self.mids = [row["mid"] for row in csv.DictReader(file)]

    def listen(self) -> Callable[[Floats], Floats]:
        interpreter: Any = self._interpreter(model_path=self._model, num_threads=THREADS)
        interpreter.allocate_tensors()
        (given,), (said,) = interpreter.get_input_details(), interpreter.get_output_details()

        def hear(samples: Floats) -> Floats:
            interpreter.set_tensor(given["index"], samples)
            interpreter.invoke()
            scores: Floats = interpreter.get_tensor(said["index"])[0]
            return scores

        return hear

    def clip(self, samples: Floats) -> Floats:
        hear = self.listen()
        whole = len(samples) // SAMPLES * SAMPLES
        # What is left at the end is heard too, in a window that ends there.
        windows = [*samples[:whole].reshape(-1, SAMPLES), samples[-SAMPLES:]]
        return np.stack([hear(np.ascontiguousarray(window)) for window in windows])


def obstacle(parts: Parts) -> str:
    """Why it cannot run here."""
    if parts.models is None or not all((parts.models / name).is_file() for name in (MODEL, CLASSES)):
        return f"it needs {MODEL} and {CLASSES}; give their folder with --models"
    if find_spec("ai_edge_litert") is None:
        return "it needs the package ai-edge-litert (the extra bench)"
    return ""


def make(parts: Parts) -> Yamnet:
    """Load it."""
    assert parts.models is not None
    return Yamnet(parts.models / MODEL, parts.models / CLASSES)
