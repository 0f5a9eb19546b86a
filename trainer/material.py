"""The material that engines are held against: labelled clips and scenes, and the float32 network's answers to them.

Every second clip is judged, alone in a window and mixed into scenes, beside a window with a tone at -60 dBFS under a
loud one; out of the others come the windows that an int8 build takes its ranges from. Rendered clips are left out.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glatd.engines.manifest import Geometry
from glatd.engines.material import EVERY, FULL_SCALE, TONE, VERSION, About, write_material
from glatd.errors import DataError
from glatd.trainer.corpus import Clip, load_clips, read_corpus
from glatd.trainer.glat import cut, fuse, pool
from glatd.trainer.scenes import MARGIN, Pool, SceneSpec, mix

CLIPS, SCENES, SEEN = 120, 100, 48  # windows
SEED = 2_021
LOUD, QUIET = (1_000.0, -6.0), (5_000.0, -60.0)  # Hz, dBFS
BATCH = 8


@dataclass(frozen=True, slots=True)
class Window:
    """A window of sound and its labels."""

    name: str  # see `glatd.engines.material.About`
    samples: NDArray[np.int16]  # [left + hop * (window - 1) + right]
    silent: int  # samples of digital silence at the start, as of a new stream
    labels: frozenset[str]


def make_material(
    folder: Path,
    modules: dict[str, nn.Module],
    sizes: Geometry,
    weights_sha256: str,
    labels: Sequence[str],
    data: Path,
    progress: Callable[[str, int, int], None],
    counts: tuple[int, int, int] = (CLIPS, SCENES, SEEN),
) -> Path:
    """Write material.npz into the bundle in `folder`.

    Args:
        modules: `frontend`, `global` and `local`, as they are exported.
        labels: of the classes.
        data: folder with corpus.csv and clips/.
        counts: clips and scenes that are judged, and windows to take ranges from.

    Raises:
        DataError: no clips, or none with a label of this network.
    """
    clips = real_clips(data, frozenset(labels))
    judged, seen = spread(clips[::2], counts[0]), spread(clips[1::2] or clips, counts[0])
    sounds = load_clips(judged, sizes.rate, lambda done: progress("decoding clips", done, len(judged)))
    others = load_clips(seen, sizes.rate, lambda done: progress("decoding others", done, len(seen)))
    windows = [alone(clip, sound, sizes, n) for n, (clip, sound) in enumerate(zip(judged, sounds, strict=True))]
    windows += [*scenes(judged, sounds, sizes, counts[1]), tone(sizes)]
    ranged = zip(seen[: counts[2] // 2], others, strict=False)  # silence around a clip has ranges of its own
    for_ranges = [alone(clip, sound, sizes, n) for n, (clip, sound) in enumerate(ranged)]
    for_ranges += scenes(seen, others, sizes, counts[2] - len(for_ranges))
    found = answers(modules, sizes, windows, lambda done: progress("asking the network", done, len(windows)))
    heard = answers(modules, sizes, for_ranges, lambda done: progress("asking for ranges", done, len(for_ranges)))
    columns = {name: number for number, name in enumerate(labels)}
    truth = np.zeros((len(windows), len(labels)), bool)
    for row, window in enumerate(windows):
        truth[row, [columns[name] for name in window.labels if name in columns]] = True
    frames = found.pop("all_frames")
    arrays = found | {
        "samples": np.stack([window.samples for window in windows]),
        "audible": audible(windows, sizes),
        "truth": truth,
        "frames": frames[:, ::EVERY].copy(),
        "seen_frames": heard["all_frames"].astype(np.float16),
        "seen_audible": audible(for_ranges, sizes),
        "seen_starts": heard["starts"],
    }
    about = About(VERSION, weights_sha256, sizes, tuple(window.name for window in windows))
    return write_material(folder, about, arrays)


def real_clips(data: Path, labels: frozenset[str]) -> list[Clip]:
    """Recordings of the corpus with a label of this network; a column `synthetic` tells renderings.

    Raises:
        DataError: there are none.
    """
    clips = read_corpus(data)
    with (data / "corpus.csv").open(newline="", encoding="utf-8") as file:
        rendered = {data / row["file"] for row in csv.DictReader(file) if row.get("synthetic") == "1"}
    found = [clip for clip in clips if clip.path not in rendered and labels & set(clip.labels)]
    if not found:
        raise DataError(f"no recording in {data} has a label of this network; give --data with clips that have one")
    return found


def spread(clips: list[Clip], count: int) -> list[Clip]:
    """At most `count` of them, evenly over the list."""
    return [clips[n] for n in np.unique(np.linspace(0, len(clips) - 1, count).astype(int))]


def length_of(sizes: Geometry) -> int:
    """Samples of a window with the neighbours that its first and last frame see."""
    return sizes.left + sizes.hop * (sizes.window - 1) + sizes.right


def quantised(samples: NDArray[np.floating], sizes: Geometry) -> NDArray[np.int16]:
    """16 bits of a window, filled up with silence."""
    cut = samples[: length_of(sizes)]
    whole = np.pad(cut, (0, length_of(sizes) - len(cut)))
    return np.clip(np.rint(whole * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def alone(clip: Clip, sound: NDArray[np.float32], sizes: Geometry, number: int) -> Window:
    """A clip somewhere in silence."""
    rng = np.random.default_rng([SEED, number])
    room = max(length_of(sizes) - len(sound), 0)
    samples = np.pad(sound, (int(rng.integers(0, room + 1)), 0))
    return Window(f"clip {clip.path.name}", quantised(samples, sizes), 0, frozenset(clip.labels))


def scenes(clips: list[Clip], sounds: list[NDArray[np.float32]], sizes: Geometry, count: int) -> list[Window]:
    """Scenes of these clips, as those that a network is trained on."""
    pool_of = Pool(sounds, [clip.labels[0] for clip in clips])
    found = []
    for index in range(count):
        scene = mix(pool_of, SEED, index, SceneSpec())
        labels = frozenset[str]().union(*(clips[event.clip].labels for event in scene.events))
        # The first frame sees `left` samples before the scene.
        samples = scene.samples[MARGIN - sizes.left :]
        found.append(Window(f"scene {index}", quantised(samples, sizes), scene.silent, labels))
    return found


def tone(sizes: Geometry) -> Window:
    """A quiet tone beside a loud one: a front end that computes in too few digits loses it."""
    n = np.arange(length_of(sizes))
    samples = sum(10 ** (level / 20) * np.sin(2 * np.pi * hertz * n / sizes.rate) for hertz, level in (LOUD, QUIET))
    return Window(TONE, quantised(np.asarray(samples), sizes), 0, frozenset())


def audible(windows: Sequence[Window], sizes: Geometry) -> NDArray[np.float32]:
    """[N, F]: 1.0 where the middle of an output frame is real audio."""
    middles = (np.arange(sizes.frames) * sizes.stride + sizes.stride // 2) * sizes.hop
    return (middles >= np.array([window.silent for window in windows])[:, None]).astype(np.float32)


@torch.no_grad()
def answers(
    modules: dict[str, nn.Module], sizes: Geometry, windows: Sequence[Window], progress: Callable[[int], None]
) -> dict[str, NDArray[np.generic]]:
    """What the network says: the fields of `glatd.engines.material.Material`, and all frames."""
    parts: dict[str, list[torch.Tensor]] = {}
    heard = torch.from_numpy(audible(windows, sizes))
    for first in range(0, len(windows), BATCH):
        rows = slice(first, first + BATCH)
        samples = np.stack([window.samples for window in windows[rows]]) / np.float32(FULL_SCALE)
        frames = modules["frontend"](torch.from_numpy(samples))
        scores, activations, starts, classes, *_ = modules["global"](frames, heard[rows])
        crops = cut(frames, starts, sizes.crop)
        of_crops = modules["local"](crops.flatten(0, 1))[0].unflatten(0, starts.shape)
        said = {
            "all_frames": frames,
            "global": scores,
            "activations": activations[torch.arange(len(frames))[:, None], classes],
            "starts": starts,
            "classes": classes,
            "of_crops": of_crops,
            "fused": fuse(scores, pool(of_crops, 1)),
        }
        for name, value in said.items():
            parts.setdefault(name, []).append(value)
        progress(min(first + BATCH, len(windows)))
    return {name: torch.cat(values).numpy() for name, values in parts.items()}
