"""What the networks say of a scene, kept on the disk if there is a folder for it: decisions change, scores do not."""

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.events.hearing import Hearing, Loudness
from glatd.daemon.looking import Everywhere, Looking
from glatd.daemon.stream import Stream, Window
from glatd.daemon.tagging import Seen, hop_frames, silence, step
from glatd.engines.engine import Engine
from glatd.engines.manifest import DEFAULT_HOP_SECONDS

Samples = NDArray[np.float32]
FLOOR = 0.03  # fused score; below it nothing is kept


def hop_of(engine: Engine) -> int:
    """Samples between looks."""
    return hop_frames(engine, DEFAULT_HOP_SECONDS) * engine.sizes.hop


def everywhere(engine: Engine) -> Looking:
    """As a daemon looks by default."""
    return Everywhere(hop_frames(engine, DEFAULT_HOP_SECONDS))


def looks(engine: Engine, samples: Samples, looking: Looking | None = None) -> Iterator[Seen]:
    """Every look at a recording, each to be used before the next; as a daemon looks by default when None."""
    looking = looking or everywhere(engine)
    stream = Stream(engine.sizes, hop_frames(engine, DEFAULT_HOP_SECONDS), silence(engine))
    at = 0
    while at < len(samples):
        piece = samples[at : at + stream.wanted()]
        stream.append(piece)
        at += len(piece)
        while seen := step(engine, [stream], looking):
            yield seen[0]
    stream.finish()
    while seen := step(engine, [stream], looking):
        yield seen[0]


def heard(engine: Engine, samples: Samples, folder: Path | None, looking: Looking | None = None) -> list[Hearing]:
    """What is kept of every look; from `folder` where it is there already."""
    if folder is None:
        return listen(engine, samples, looking)
    looking = looking or everywhere(engine)  # as a daemon does; asked for or not, it is kept once
    what = engine.manifest.hash + repr(looking)
    name = hashlib.sha256(what.encode() + samples.tobytes()).hexdigest()[:24]
    path = folder / f"{name}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        save(part, listen(engine, samples, looking))
        part.rename(path)
    return load(path, engine)


def listen(engine: Engine, samples: Samples, looking: Looking | None = None) -> list[Hearing]:
    """What is kept of every look."""
    loudness = Loudness()
    return [
        Hearing.of(seen, functools.partial(loudness.of, seen), engine.manifest).kept(FLOOR)
        for seen in looks(engine, samples, looking)
    ]


def save(path: Path, hearings: list[Hearing]) -> None:
    """All of them into one file of plain arrays."""
    windows = [h.window for h in hearings]
    rows = [h.rows or {} for h in hearings]
    np.savez(
        path,
        windows=np.array([(w.end_frame, w.start, w.end, w.real) for w in windows], np.int64),
        scores=np.stack([h.scores for h in hearings]),
        global_=np.stack([h.global_ for h in hearings]),
        local=np.stack([h.local for h in hearings]),
        framewise=np.concatenate([h.framewise for h in hearings]),
        of_crops=np.concatenate([h.of_crops.ravel() for h in hearings]),
        starts=np.concatenate([np.array(h.starts, np.int64) for h in hearings]),
        chosen_for=np.array([label for h in hearings for label in h.chosen_for]),
        crops=np.array([len(h.starts) for h in hearings], np.int64),  # not every window has as many
        real=np.array([h.real for h in hearings], np.int64),
        loud=np.stack([h.loud() for h in hearings]),
        counts=np.array([len(row) for row in rows], np.int64),
        classes=np.array([index for row in rows for index in row], np.int64),
    )


def load(path: Path, engine: Engine) -> list[Hearing]:
    """What `save` wrote."""
    with np.load(path) as file:
        of = {name: file[name] for name in file.files}
    ends = np.cumsum(of["counts"]).tolist()
    places = np.split(np.arange(len(of["starts"])), np.cumsum(of["crops"])[:-1])
    values = np.split(of["of_crops"], np.cumsum(of["crops"] * of["counts"])[:-1])
    found = []
    for number, (first, end) in enumerate(zip([0, *ends], ends, strict=False)):
        classes, of_crops = of["classes"][first:end].tolist(), places[number]
        found.append(
            Hearing(
                Window(*of["windows"][number].tolist()),
                of["scores"][number],
                of["global_"][number],
                of["local"][number],
                of["framewise"][first:end],
                values[number].reshape(end - first, len(of_crops)),
                tuple(of["starts"][of_crops].tolist()),
                tuple(of["chosen_for"][of_crops].tolist()),
                tuple(of["real"][number].tolist()),
                functools.partial(of["loud"].__getitem__, number),
                engine.sizes,
                {index: row for row, index in enumerate(classes)},
            )
        )
    return found
