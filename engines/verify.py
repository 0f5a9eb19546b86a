"""Ask an engine about the probe and hold its answers against the float32 network's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glatd.engines.certificate import tolerance
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.probe import FILE, probe_windows
from glatd.errors import EngineError


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far an engine is from the network that it was built from."""

    frames: float  # largest log-mel difference
    global_: float  # largest score difference
    fused: float  # largest score difference
    crops: float  # share of crops at the same place for the same class
    tolerance: float

    @property
    def good(self) -> bool:
        """Within the tolerance of its precision."""
        return max(self.global_, self.fused) <= self.tolerance


def frames_in_blocks(engine: Engine, samples: np.ndarray) -> np.ndarray:
    """Log-mel [P, window, M] of samples [P, n], block by block as the daemon does."""
    sizes = engine.sizes
    step = sizes.hop * sizes.block
    blocks = -(-sizes.window // sizes.block)
    padded = np.pad(samples, ((0, 0), (0, step * (blocks - 1) + sizes.block_samples - samples.shape[1])))
    parts = [engine.frontend(padded[:, step * b : step * b + sizes.block_samples]) for b in range(blocks)]
    return np.concatenate(parts, axis=1)[:, : sizes.window]


def verify_engine(folder: Path) -> Verdict:
    """Load the engine in `folder` and judge it.

    Raises:
        EngineError: it does not load, or its probe is unreadable.
    """
    return judge(load_engine(folder), folder)


def judge(engine: Engine, folder: Path) -> Verdict:
    """Judge an engine that was loaded from `folder`: a window at a time, the sizes in which a daemon asks it.

    Raises:
        EngineError: its probe is unreadable.
    """
    try:
        with np.load(folder / FILE) as stored:
            expected = dict(stored)
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"cannot read {folder / FILE}: {error}; build the engine again") from error
    samples, audible = probe_windows(engine.sizes)
    frames = np.concatenate([frames_in_blocks(engine, row[None]) for row in samples])
    looks = [engine.look(frames[row : row + 1], audible[row : row + 1]) for row in range(len(frames))]
    starts, classes, global_, fused = (
        np.concatenate([getattr(look, name) for look in looks]) for name in ("starts", "classes", "global_", "scores")
    )
    same = (starts == expected["starts"]) & (classes == expected["classes"])
    return Verdict(
        frames=float(np.abs(frames[:, ::50] - expected["frames"]).max()),
        global_=float(np.abs(global_ - expected["global"]).max()),
        fused=float(np.abs(fused - expected["fused"]).max()),
        crops=float(same.mean()),
        tolerance=tolerance(engine.manifest.runtime.precision).max,
    )
