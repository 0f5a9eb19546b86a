"""Evaluation of whatever looks twice: on its grids, beside random crops and all windows."""

from collections.abc import Callable, Collection, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glatd.trainer.glat import cut, fuse, pool
from glatd.trainer.looker import Looker

BATCH = 16
Batch = tuple[Tensor, Tensor]  # frames [B, window, M], mel frames of silence at the start [B]


def judge(
    looker: Looker,
    batches: Iterable[Batch],
    seed: int = 0,
    random: int | None = None,
    places: Collection[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Scores [N, C] of every window, by way of looking.

    Keys: `global`; `local` and `fused` of each grid (`clip/local`, ...); `sounds/...` (or `classes/...`):
    crops by the rule that is not the network's own; `even/...`: K crops spread evenly; `random/...`: crops
    at random places; `all/...`: every window of the crop's length at steps of 1 s; `oracle/...` is not
    offered: live use does not know the truth.

    Args:
        random: how many random crops; K when None.
        places: where to look a second time: grids, `sounds`, `even`, `random`, `all`; everywhere when None.
    """
    generator = torch.Generator().manual_seed(seed)
    last = looker.window - looker.crop
    everywhere = torch.arange(0, last + 1, looker.second)
    spread = torch.linspace(0, last, looker.crops).round().long()
    parts: dict[str, list[Tensor]] = {}
    done = 0
    for frames, silent in batches:
        scores, chosen = looker.look_globally(frames, silent)
        parts.setdefault("global", []).append(scores)
        ways = dict(chosen)
        ways["even"] = spread.expand(len(frames), -1)
        shape = (len(frames), looker.crops if random is None else random)
        ways["random"] = torch.randint(0, last + 1, shape, generator=generator)
        ways["all"] = everywhere.expand(len(frames), -1)
        for name, starts in ways.items():
            if places is not None and name not in places:
                continue
            found = looker.look_locally(cut(frames, starts, looker.crop).flatten(0, 1))
            local = pool(found.unflatten(0, starts.shape), 1)
            parts.setdefault(f"{name}/local", []).append(local)
            parts.setdefault(f"{name}/fused", []).append(fuse(scores, local))
        done += len(frames)
        if progress is not None:
            progress(done)
    return {name: torch.cat(rows).float().numpy() for name, rows in parts.items()}
