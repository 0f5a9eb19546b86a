"""GL-AT as the paper has it, every hop from scratch: 10 s from the waveform on, then five crops of the waveform."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.contender import HOP_S, THREADS, Floats, Parts, Sliding
from benchmarks.peers.frames import Frames
from glatd.engines.engine import pool
from glatd.engines.load import load_engine
from glatd.engines.manifest import read_manifest


def fuse(global_: Floats, crops: Floats) -> Floats:
    """Scores [1, C] of the global stream's [1, C] and those of the crops [K, C]."""
    return pool(np.concatenate([global_, pool(crops, 0)[None]]), 0)[None]


class ByEngine:
    """See `contender.Network`: on the runtime of an engine, by its graphs."""

    trained = True

    def __init__(self, engine: Path) -> None:
        self._engine = load_engine(engine, THREADS, incremental=False)  # its trunks are glatd's alone
        sizes = self._engine.sizes
        self._window, self._crop = (Frames(self._engine.frontend, sizes, count) for count in (sizes.window, sizes.crop))
        self._audible = np.ones((1, sizes.frames), np.float32)
        self.rate = sizes.rate
        self.hop = round(HOP_S * self.rate)
        self.mids = [label.mid for label in self._engine.manifest.labels]

    def listen(self) -> Callable[[Floats], object]:
        return Sliding(self._window.samples, self.look)

    def clip(self, samples: Floats) -> Floats:
        return self.look(self._window.around(samples))

    def look(self, samples: Floats) -> Floats:
        """Fused scores [1, C] of the samples of a window's frames."""
        glance = self._engine.look_globally(self._window(samples[None]), self._audible)
        starts = self._engine.sizes.hop * glance.starts[0]
        crops = np.stack([samples[start : start + self._crop.samples] for start in starts])
        return fuse(glance.scores, self._engine.look_locally(self._crop(crops)))


class ByTorch:
    """The same in PyTorch, by the network that the engine was built from."""

    trained = True

    def __init__(self, bundle: Path) -> None:
        import torch

        from glatd.trainer.bundle import read_bundle
        from glatd.trainer.export import geometry, graphs

        torch.set_num_threads(THREADS)
        network, described = read_bundle(bundle)
        self._torch = torch
        built = graphs(network, "stream")
        self._frontend, self._global, self._local = (built[name][0].eval() for name in ("frontend", "global", "local"))
        self._sizes = geometry(network, "stream")
        self._audible: Any = torch.ones(1, self._sizes.frames)
        self.rate = self._sizes.rate
        self.hop = round(HOP_S * self.rate)
        self.labels = described.labels

    @property
    def mids(self) -> list[str]:
        """Of its classes."""
        from glatd.labels import audioset

        by_name = {label.name: label.mid for label in audioset()}
        return [by_name[name] for name in self.labels]

    def _samples(self, frames: int) -> int:
        return self._sizes.left + self._sizes.hop * (frames - 1) + self._sizes.right

    def listen(self) -> Callable[[Floats], object]:
        return Sliding(self._samples(self._sizes.window), self.look)

    def clip(self, samples: Floats) -> Floats:
        length = self._samples(self._sizes.window)
        return self.look(np.pad(samples, (self._sizes.left, length))[:length])

    def look(self, samples: Floats) -> Floats:
        """Fused scores [1, C] of the samples of a window's frames."""
        with self._torch.inference_mode():
            frames = self._frontend(self._torch.from_numpy(samples)[None])
            scores, _, starts, *_ = self._global(frames, self._audible)
            length = self._samples(self._sizes.crop)
            firsts = (self._sizes.hop * starts[0]).tolist()
            crops = np.stack([samples[first : first + length] for first in firsts])
            local = self._local(self._frontend(self._torch.from_numpy(crops)))
            local = local[0] if isinstance(local, tuple) else local
        return fuse(scores.numpy(), local.numpy())


def obstacle(parts: Parts, runtime: str = "engine") -> str:
    """Why it cannot run here."""
    if runtime == "engine":
        return ""
    try:
        import torch  # noqa: F401
    except ImportError:
        return "it needs PyTorch (the extra train)"
    if not (parts.bundle / "model.json").is_file():
        return f"{parts.bundle} is no weights bundle"
    described = json.loads((parts.bundle / "model.json").read_text(encoding="utf-8"))
    manifest = read_manifest(parts.engine)
    if described["weights_sha256"] != manifest.provenance.get("weights_sha256"):
        return f"{parts.bundle} has other weights than the engine, which is of {manifest.model}; give that one's bundle"
    return ""


def make(parts: Parts, runtime: str) -> ByEngine | ByTorch:
    """Load it."""
    return ByEngine(parts.engine) if runtime == "engine" else ByTorch(parts.bundle)
