"""Whole engines with tiny networks, made of OpenVINO's operations in a second: neither torch nor a bundle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.manifest import VERSION, Geometry, LabelEntry, Manifest, file_entry, write_manifest
from glatd.engines.probe import FILE, probe_windows
from glatd.engines.targets.cpu import TARGET, runtime
from glatd.engines.verify import frames_in_blocks

RATE = 32_000  # Hz
FILES = tuple(f"{name}.{end}" for name in ("frontend", "global", "local") for end in ("xml", "bin"))


@dataclass(frozen=True, slots=True)
class Front:
    """A front end: M filters of a window, their power's logarithm."""

    hop: int  # samples
    reach: int  # samples on either side
    mels: int
    stride: int  # mel frames


# Another hop, another reach, other bands, another window and block.
FINE = Front(hop=320, reach=400, mels=24, stride=8)
COARSE = Front(hop=640, reach=1000, mels=16, stride=4)


def geometry(front: Front) -> Geometry:
    """Windows of 10 s and crops of 3 s."""
    window, crop = 10 * RATE // front.hop, 3 * RATE // front.hop // front.stride * front.stride
    frames = window // front.stride
    reach, stride = front.reach, front.stride
    return Geometry(RATE, front.hop, reach, reach, front.mels, stride, window, crop, 5, stride, frames, "stream")


def make(folder: Path, front: Front, labels: tuple[LabelEntry, ...], seed: int) -> Path:
    """An engine whose weights are drawn."""
    ov: Any = runtime()
    op = ov.opset13
    sizes, draw = geometry(front), np.random.default_rng(seed)
    folder.mkdir(parents=True)

    def save(name: str, outputs: list[Any], inputs: list[Any]) -> None:
        model = ov.Model([op.result(output) for output in outputs], inputs, name)
        ov.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)

    def numbers(*values: float) -> Any:
        return op.constant(np.array(values, np.float32))

    def whole(*values: int) -> Any:
        return op.constant(np.array(values, np.int64))

    samples = op.parameter([-1, sizes.block_samples], np.float32, name="samples")
    kernels = _kernels(front)
    line = op.unsqueeze(samples, whole(1))
    bands = [
        op.convolution(line, op.constant(kernel[:, None]), [front.hop], [0], [0], [1]) for kernel in kernels
    ]  # [B, M, block]
    power = op.add(*(op.multiply(band, band) for band in bands))
    save("frontend", [op.transpose(op.log(op.add(power, numbers(1e-5))), whole(0, 2, 1))], [samples])

    weights = draw.normal(0, 1.0, (front.mels, len(labels))).astype(np.float32)
    others = weights + draw.normal(0, 0.3, weights.shape).astype(np.float32)

    def felt(frames: Any) -> Any:
        return op.tanh(op.multiply(op.add(frames, numbers(5.0)), numbers(0.3)))

    frames = op.parameter([-1, sizes.window, front.mels], np.float32, name="frames")
    audible = op.parameter([-1, sizes.frames], np.float32, name="audible")
    pieces = op.reshape(felt(frames), whole(-1, sizes.frames, front.stride, front.mels), special_zero=False)
    logits = op.matmul(op.reduce_mean(pieces, whole(2)), op.constant(weights), False, False)  # [B, F, C]
    scores = op.sigmoid(op.reduce_mean(logits, whole(1)))
    framewise = op.transpose(op.sigmoid(logits), whole(0, 2, 1))
    best = op.topk(scores, op.constant(np.int64(sizes.crops)), 1, "max", "value", "i64").output(1)
    heard = op.multiply(framewise, op.unsqueeze(audible, whole(1)))
    rows = op.gather(heard, best, whole(1), 1)  # [B, K, F]
    peaks = op.topk(rows, op.constant(np.int64(1)), 2, "max", "value", "i64").output(1)
    middles = op.squeeze(peaks, whole(2))
    last = (sizes.window - sizes.crop) // front.stride
    back = op.subtract(whole(last + sizes.crop // 2 // front.stride), middles)
    steps = op.minimum(op.maximum(back, whole(0)), whole(last))
    starts = op.subtract(whole(sizes.window - sizes.crop), op.multiply(steps, whole(front.stride)))
    save("global", [scores, framewise, starts, best, middles], [frames, audible])

    crop = op.parameter([-1, sizes.crop, front.mels], np.float32, name="frames")
    of_crop = op.matmul(op.reduce_mean(felt(crop), whole(1)), op.constant(others), False, False)
    save("local", [op.sigmoid(of_crop)], [crop])

    seal(folder, Manifest(VERSION, folder.name, sizes, TARGET.runtime("float32"), labels, (), {}, "MIT", ""))
    return folder


def seal(folder: Path, manifest: Manifest) -> None:
    """Its probe, and the hashes, as a build would write them."""
    blank = Engine(manifest, TARGET.compile(folder, manifest, 1))
    samples, audible = probe_windows(manifest.geometry)
    frames = np.ascontiguousarray(frames_in_blocks(blank, samples))
    look = blank.look(frames, audible)
    answers = {"starts": look.starts, "classes": look.classes, "global": look.global_, "fused": look.scores}
    np.savez(folder / FILE, frames=frames[:, ::50], **answers)
    rehash(folder, manifest)
    load_engine(folder, 1)


def rehash(folder: Path, manifest: Manifest) -> None:
    """Hashes as they would be if the files had been built so."""
    entries = tuple(file_entry(folder / name) for name in (*FILES, FILE))
    write_manifest(folder, Manifest(**{**_fields(manifest), "files": entries}))


def _fields(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in manifest.__dataclass_fields__}


def _kernels(front: Front) -> tuple[Any, Any]:
    """[M, 2 reach] twice: windowed cosines and sines, from 60 Hz to 12 kHz."""
    at = np.arange(-front.reach, front.reach)
    hz = np.geomspace(60, 12_000, front.mels)[:, None]
    window = np.hanning(len(at)) / len(at)
    angle = 2 * np.pi * hz * at / RATE
    return tuple((window * wave(angle)).astype(np.float32) for wave in (np.cos, np.sin))  # type: ignore[return-value]
