"""Evaluation of a two-stream network on scenes: both grids, beside random crops and all windows."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glatd.trainer.glat import Glat, cut, fuse, pool
from glatd.trainer.sceneset import SceneSet
from glatd.trainer.selection import Selection

ALL_STEP = 100  # mel frames between the windows of "all": 1 s
BATCH = 16


@torch.no_grad()
def judge(
    model: Glat, scenes: SceneSet, seed: int = 0, progress: Callable[[int], None] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Scores [N, C] of every scene, by way of looking.

    Keys: `global`; `local` and `fused` of each grid (`clip/local`, ...); `random/...`: K crops
    at random places; `all/...`: every window of the crop's length at steps of 1 s; `oracle/...`
    is not offered: live use does not know the truth.
    """
    spec = model.spec
    frontend = model.global_stream.frontend
    selections = {name: Selection(model.grid(name), spec.crops) for name in ("clip", "stream")}
    generator = torch.Generator().manual_seed(seed)
    everywhere = torch.arange(0, spec.window - spec.crop + 1, ALL_STEP)
    parts: dict[str, list[Tensor]] = {}
    model.eval()
    for first in range(0, len(scenes), BATCH):
        frames = torch.from_numpy(np.array(scenes.frames[first : first + BATCH], np.float32))
        silent = torch.from_numpy(scenes.silent[first : first + BATCH])
        global_logits, frame_logits = model.global_stream(frames)
        scores = global_logits.sigmoid()
        parts.setdefault("global", []).append(scores)
        audible = model.audible(silent, frame_logits.shape[2])
        ways: dict[str, Tensor] = {}
        for name, select in selections.items():
            starts = select(global_logits, frame_logits, audible)[0]
            ways[name] = starts if select.grid.unit == "frame" else (starts + frontend.hop // 2) // frontend.hop
        shape = (len(frames), spec.crops)
        ways["random"] = torch.randint(0, spec.window - spec.crop + 1, shape, generator=generator)
        ways["all"] = everywhere.expand(len(frames), -1)
        for name, starts in ways.items():
            logits = model.local_stream.clip_logits(cut(frames, starts, spec.crop).flatten(0, 1))
            local = pool(logits.sigmoid().unflatten(0, starts.shape), 1)
            parts.setdefault(f"{name}/local", []).append(local)
            parts.setdefault(f"{name}/fused", []).append(fuse(scores, local))
        if progress is not None:
            progress(min(first + BATCH, len(scenes)))
    return {name: torch.cat(rows).numpy() for name, rows in parts.items()}
