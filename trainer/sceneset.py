"""A rendered set of scenes: log-mel frames on disk, labels and the base model's opinions.

Rendering costs more than a training step, so scenes are rendered once into a folder and read
from there as a memory map. A folder that is already complete is used as it is.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from glatd.trainer.corpus import Clip
from glatd.trainer.frontend import Frontend
from glatd.trainer.scenes import MARGIN, MAX_EVENTS, SCENE, Pool, Scene, SceneSpec, mix

SLOTS = MAX_EVENTS + 1  # events and one lasting texture
WINDOW = 1000  # mel frames in a scene
CHUNK = 16  # scenes rendered at a time


@dataclass(frozen=True, slots=True)
class SceneSet:
    """N scenes. Event rows are padded with clip -1."""

    frames: NDArray[np.float16]  # [N, 1000, M] log-mel, a memory map
    clips: NDArray[np.int64]  # [N, SLOTS] index into the pool
    spans: NDArray[np.int64]  # [N, SLOTS, 2] samples of the scene
    silent: NDArray[np.int64]  # [N] mel frames of digital silence at the start

    def __len__(self) -> int:
        return len(self.silent)

    def batches(self, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Frames [B, 1000, M] float32 and silent mel frames [B] of all scenes in order."""
        for first in range(0, len(self), size):
            frames = torch.from_numpy(np.array(self.frames[first : first + size], np.float32))
            yield frames, torch.from_numpy(self.silent[first : first + size])

    def truth(self, clip_labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Weak labels [N, C], of the clips' labels [clips, C]."""
        padded = np.concatenate([clip_labels, np.zeros_like(clip_labels[:1])])  # row -1
        return np.asarray(padded[self.clips].any(axis=1), bool)


def scene_frames(frontend: Frontend, scenes: Sequence[Scene]) -> torch.Tensor:
    """Log-mel [B, 1000, M] of scenes, every frame with its real neighbours."""
    spec = frontend.spec
    samples = np.stack([scene.samples for scene in scenes])
    last = MARGIN + spec.hop * (WINDOW - 1) + spec.right
    frames: torch.Tensor = frontend(torch.from_numpy(samples[:, MARGIN - spec.left : last]))
    return frames


def fingerprint(clips: Sequence[Clip], seed: int, count: int, spec: SceneSpec) -> str:
    """Names a set by everything that it is made from."""
    text = json.dumps([[clip.path.name for clip in clips], seed, count, asdict(spec), SCENE])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def render(
    folder: Path,
    clips: Sequence[Clip],
    pool: Pool,
    frontend: Frontend,
    seed: int,
    count: int,
    spec: SceneSpec,
    progress: Callable[[int], None],
) -> SceneSet:
    """Render `count` scenes into `folder`, or take what stands there from an earlier run."""
    name = fingerprint(clips, seed, count, spec)
    frames_path, events_path = folder / f"{name}.frames.npy", folder / f"{name}.events.npz"
    if not events_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shape = (count, WINDOW, frontend.spec.n_mels)
        frames = np.lib.format.open_memmap(frames_path, "w+", np.float16, shape)
        members = np.full((count, SLOTS), -1)
        spans = np.zeros((count, SLOTS, 2), np.int64)
        silent = np.zeros(count, np.int64)
        for start in range(0, count, CHUNK):
            scenes = [mix(pool, seed, index, spec) for index in range(start, min(start + CHUNK, count))]
            with torch.no_grad():
                frames[start : start + len(scenes)] = scene_frames(frontend, scenes).numpy()
            for row, scene in enumerate(scenes, start):
                silent[row] = -(-scene.silent // frontend.spec.hop)
                for slot, event in enumerate(scene.events):
                    members[row, slot] = event.clip
                    spans[row, slot] = event.onset, event.offset
            progress(start + len(scenes))
        frames.flush()
        # Written last, under its final name only when whole: its presence says that all is there.
        partial = events_path.with_suffix(".partial.npz")
        np.savez(partial, clips=members, spans=spans, silent=silent)
        partial.rename(events_path)
    with np.load(events_path) as events:
        return SceneSet(np.load(frames_path, mmap_mode="r"), events["clips"], events["spans"], events["silent"])
