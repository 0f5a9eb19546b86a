"""How fast clips are read for training, a worker, and how fast a training step takes them: what a GPU needs."""

import os
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import described, load_average
from benchmarks.progress import say
from glatd.audio import read_mono
from glatd.trainer.backbones.cnn10 import CNN10
from glatd.trainer.data.augment import AugmentSpec
from glatd.trainer.data.clips import Clips, open_clips
from glatd.trainer.data.draws import BalancedDraws
from glatd.trainer.data.examples import Example, Examples, Shares, loader
from glatd.trainer.data.listing import read_listing
from glatd.trainer.data.packing import pack
from glatd.trainer.data.vocabulary import audioset_vocabulary
from glatd.trainer.glat import Glat, GlatSpec
from glatd.trainer.looker import find_device
from glatd.trainer.scenes import SceneSpec
from glatd.trainer.weak.launch import make_fabric
from glatd.trainer.weak.objective import Frames, Joint

RATE, SECONDS = 32_000, 10
CLIPS = 64  # files of each kind; a pack of them is read again and again, from memory
BATCH = 32
LABELS = ("Speech", "Dog", "Music", "Engine")
PUBLISHED = AugmentSpec(1.0, 2, 64, 2, 8, 0.0, 0.0, (10.0, 30.0), 0.0)
EVERYTHING = AugmentSpec(1.0, 2, 64, 2, 8, 6.0, 0.5, (10.0, 30.0), 0.5)
FORMATS = {"wav": "pcm_s16le", "flac": "flac", "m4a": "aac"}


def write(path: Path, samples: NDArray[np.float32], codec: str) -> None:
    """A recording in one of `FORMATS`."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        kind = "fltp" if codec == "aac" else "s16"
        data = np.rint(samples * 32_767).astype(np.int16) if kind == "s16" else samples
        for first in range(0, len(data), RATE):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data[None, first : first + RATE]), kind, "mono")
            frame.rate = RATE
            frame.pts = first
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def data(folder: Path, demo: Path) -> dict[str, Clips]:
    """Clips of the demo recording in every form."""
    street, known = read_mono(demo, RATE), audioset_vocabulary()
    found: dict[str, Clips] = {}
    for suffix, codec in FORMATS.items():
        place = folder / suffix
        place.mkdir()
        rows = ["file,labels"]
        for number in range(CLIPS):
            first = number * (len(street) - SECONDS * RATE) // CLIPS
            write(place / f"{number}.{suffix}", street[first : first + SECONDS * RATE], codec)
            rows.append(f"{number}.{suffix},{LABELS[number % len(LABELS)]}")
        (place / "list.csv").write_text("\n".join(rows) + "\n")
        found[suffix] = open_clips([place / "list.csv"], None, known)
    listed = read_listing(folder / "flac" / "list.csv", None, known)
    pack(listed, folder / "packs", "train", known, os.cpu_count() or 1, lambda *_: None)
    return {"pack": open_clips([folder / "packs"], None, known)} | found


def examples(clips: Clips, spec: AugmentSpec) -> Examples:
    """As training reads them."""
    draws, names = BalancedDraws(clips.labels, 1), audioset_vocabulary().names
    return Examples(clips, draws, spec, SceneSpec(), names, None, 1, SECONDS * RATE, 1000, 64)


def speed(clips: Clips, spec: AugmentSpec, workers: int, batches: int) -> float:
    """Clips a second, once the workers are up."""
    given = iter(loader(examples(clips, spec), Shares(0, BATCH, 0, 1), workers, False))
    for _ in range(workers * 3):  # what was read ahead is no speed
        next(given)
    began = time.perf_counter()
    for _ in islice(given, batches):
        pass
    return batches * BATCH / (time.perf_counter() - began)


def training(clips: Clips, device: str, batch: int, steps: int) -> float:
    """Clips a second of the published training of CNN10 with GL-AT, on examples that are there already."""
    kind = find_device(device).type
    fabric = make_fabric("bf16-mixed" if kind == "cuda" else "32-true", kind)
    model = Glat(CNN10(), GlatSpec()).to(fabric.device)
    optimiser = torch.optim.Adam(model.parameters(), amsgrad=True)
    objective, optimiser = fabric.setup(Joint(model), optimiser)
    frames = Frames(model.global_stream, 1000, True).to(fabric.device)
    ready = next(iter(loader(examples(clips, PUBLISHED), Shares(0, 2 * batch, 0, 1), 0, False)))
    example = Example(*(value.to(fabric.device) for value in ready))
    began = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first one sets things up
            began = finished(kind)
        losses = objective(*frames(example))
        fabric.backward(torch.stack(list(losses.values())).sum())
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return 2 * batch * steps / (finished(kind) - began)


def finished(kind: str) -> float:
    """The time at which all that was asked for is done."""
    if kind == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(demo: Path, device: str = "auto", batches: int = 20) -> dict[str, Any]:
    """Everything, in a minute or two."""
    before = load_average()
    torch.set_num_threads(max(1, (os.cpu_count() or 1)))
    say(f"writing {CLIPS} clips of each kind")
    with tempfile.TemporaryDirectory() as folder:
        given = data(Path(folder), demo)
        workers = {}
        for name, clips in given.items():
            say(f"one worker reads: {name}")
            workers[name] = speed(clips, PUBLISHED, 1, batches)
        workers["pack, every augmentation"] = speed(given["pack"], EVERYTHING, 1, max(1, batches // 4))
        say("training steps")
        kind = find_device(device).type
        batch, steps = (BATCH, 20) if kind == "cuda" else (2, 2)
        step = training(given["pack"], device, batch, steps)
    rows = [{"data": name, "clips_s": one, "workers": step / one} for name, one in workers.items()]
    return described("python -m benchmarks loader", before) | {
        "device": torch.cuda.get_device_name() if kind == "cuda" else "CPU",
        "training_clips_s": step,
        "batch": batch,
        "clips": CLIPS,
        "workers": rows,
    }
