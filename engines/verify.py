"""Ask an engine about the probe and hold its answers against the float32 network's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.probe import FILE, probe_windows
from glatd.errors import EngineError

# Largest score difference allowed by precision.
TOLERANCE = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.1}


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
    """Judge an engine that was loaded from `folder`.

    Raises:
        EngineError: its probe is unreadable.
    """
    try:
        with np.load(folder / FILE) as stored:
            expected = dict(stored)
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"cannot read {folder / FILE}: {error}; build the engine again") from error
    samples, audible = probe_windows(engine.sizes)
    frames = frames_in_blocks(engine, samples)
    look = engine.look(np.ascontiguousarray(frames), audible)
    same = (look.starts == expected["starts"]) & (look.classes == expected["classes"])
    return Verdict(
        frames=float(np.abs(frames[:, ::50] - expected["frames"]).max()),
        global_=float(np.abs(look.global_ - expected["global"]).max()),
        fused=float(np.abs(look.scores - expected["fused"]).max()),
        crops=float(same.mean()),
        tolerance=TOLERANCE.get(engine.manifest.runtime.precision, 0.1),
    )
