"""A window of 10 s slid over the stream, MN04 as published on all of it at every hop, on the engine's runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers.contender import HOP_S, THREADS, Floats, Parts, Sliding
from benchmarks.peers.frames import Frames
from glatd.engines.manifest import read_manifest
from glatd.engines.targets.cpu import compile_graph

CHECKPOINT = "mn04_as_mAP_432.pt"
WIDTH = 0.4
GRAPH = "mn04.onnx"
RATE, WINDOW, MELS = 32_000, 1000, 128  # Hz, frames, bins that it was trained on


def prepare(parts: Parts) -> None:
    """Export the published network for the engine's runtime, in the parent: contenders need no torch for it."""
    import logging
    import warnings

    import torch

    from glatd.trainer.checkpoint import load_mn

    assert parts.models is not None

    class Scores(torch.nn.Module):
        """Frames [1, T, M] -> scores [1, C]."""

        def __init__(self) -> None:
            super().__init__()
            self.network = load_mn(parts.models / CHECKPOINT, WIDTH)

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return self.network.clip_logits(frames).sigmoid()

    example = torch.zeros(1, WINDOW, MELS)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes of the exporter on its own deprecations
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            Scores().eval(), (example,), parts.work / GRAPH, dynamo=True, external_data=False, verbose=False,
            input_names=["frames"], output_names=["scores"],
        )  # fmt: skip


class Mn04:
    """See `contender.Network`."""

    trained = True

    def __init__(self, graph: Path, engine: Path) -> None:
        manifest = read_manifest(engine)
        sizes = manifest.geometry
        # Of the engine its front end alone: the rest of GL-AT is not MN04's to load.
        frontend: Any = compile_graph(engine / "frontend.xml", manifest.inputs["frontend"], "float32", THREADS)
        self._frames = Frames(lambda blocks: frontend(blocks)[0], sizes, sizes.window)
        self._scores = compile_graph(graph, [(sizes.window, sizes.mels)], "float32", THREADS)
        self.rate = sizes.rate
        self.hop = round(HOP_S * self.rate)
        self.mids = [label.mid for label in manifest.labels]

    def listen(self) -> Callable[[Floats], object]:
        return Sliding(self._frames.samples, self._look)

    def clip(self, samples: Floats) -> Floats:
        return self._look(self._frames.around(samples))

    def _look(self, samples: Floats) -> Floats:
        scores: Floats = self._scores(self._frames(samples[None]))[0]
        return scores


def obstacle(parts: Parts) -> str:
    """Why it cannot run here."""
    if parts.models is None or not (parts.models / CHECKPOINT).is_file():
        return f"it needs {CHECKPOINT}; give its folder with --models"
    manifest = read_manifest(parts.engine)
    sizes = manifest.geometry
    if (sizes.rate, sizes.window, sizes.mels) != (RATE, WINDOW, MELS) or manifest.runtime.target != "cpu":
        return (
            f"it needs the front end of an engine for the CPU that gives {WINDOW} frames of {MELS} bins at {RATE} Hz; "
            f"that of {manifest.model} ({manifest.runtime.target}) gives {sizes.window} of {sizes.mels} at {sizes.rate}"
        )
    return ""


def make(parts: Parts) -> Mn04:
    """Load it."""
    return Mn04(parts.work / GRAPH, parts.engine)
