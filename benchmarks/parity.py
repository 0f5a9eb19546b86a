"""How far each runtime's log-mel frames are from the front end in PyTorch, on real recordings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import Contender, load
from glatd.engines.manifest import Geometry

CLIPS = 60  # evenly over the corpus


def measure(listed: Sequence[Contender], sizes: Geometry, data: Path) -> list[dict[str, Any]]:
    """Largest difference to the float32 front end, and to the same in float64, by runtime."""
    import torch

    from glatd.trainer.backbones.mn import MN
    from glatd.trainer.corpus import load_clips, read_corpus
    from glatd.trainer.frontend import Frontend

    clips = read_corpus(data)
    clips = clips[:: max(1, len(clips) // CLIPS)]
    single, double = (Frontend(MN().frontend).to(kind) for kind in (torch.float32, torch.float64))
    runs = {contender.runtime: load(contender, 1).graphs["frontend"] for contender in listed}
    worst = {runtime: [0.0, 0.0] for runtime in (*runs, "PyTorch")}
    for samples in load_clips(clips, sizes.rate):
        blocks = in_blocks(samples, sizes)
        with torch.no_grad():
            ours = single(torch.from_numpy(blocks)).numpy()
            exact = double(torch.from_numpy(blocks).double()).numpy()
        for runtime in worst:
            frames = runs[runtime](blocks)[0] if runtime in runs else ours
            found = (float(np.abs(frames - ours).max()), float(np.abs(frames - exact).max()))
            worst[runtime] = [max(pair) for pair in zip(worst[runtime], found, strict=True)]
    return [
        {"runtime": runtime, "to_pytorch": pair[0], "to_float64": pair[1], "clips": len(clips)}
        for runtime, pair in worst.items()
    ]


def in_blocks(samples: np.ndarray, sizes: Geometry) -> np.ndarray:
    """Rows of `frontend`'s input; a short clip is padded to one row."""
    step = sizes.hop * sizes.block
    samples = np.pad(samples, (0, max(0, sizes.block_samples - len(samples))))
    starts = range(0, len(samples) - sizes.block_samples + 1, step)
    return np.stack([samples[start : start + sizes.block_samples] for start in starts])
