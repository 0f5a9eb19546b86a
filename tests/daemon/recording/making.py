"""Recordings made for a test, and what is read from them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block, Missing
from glatd.daemon.outage import Outage
from glatd.daemon.recording.layout import Header
from glatd.daemon.recording.reader import RecordingSource, open_recording
from glatd.daemon.recording.writer import Recorder

Floats = NDArray[np.float32]

HEADER = Header("s1", "edge-1", "0" * 16, "a model", 0.0, {"hop": 0.96}, ())


def exact(count: int, channels: int, bits: int | None, seed: int = 0) -> Floats:
    """Samples [count, channels] over the whole range of so many bits; None: any float32, some of them far off."""
    generator = np.random.default_rng(seed)
    if bits is None:
        samples = generator.standard_normal((count, channels)).astype(np.float32)
        samples[:: max(1, count // 7)] = np.float32(np.nan)
        samples[1 :: max(1, count // 5)] = np.float32(-3e38)
        return samples
    full_scale = 1 << (bits - 1)
    whole = generator.integers(-full_scale, full_scale, (count, channels))
    # Both ends of the range, and something that compresses.
    whole[count // 2 :] //= max(1, full_scale // 64)
    whole[:1], whole[-1:] = -full_scale, full_scale - 1
    return (whole / full_scale).astype(np.float32)


def blocks(
    samples: Floats, sizes: Sequence[int], rate: int, bits: int | None, start: int = 0, came: float | None = None
) -> list[Block]:
    """Consecutive blocks of these sizes, over and over; `came` is the arrival of the first sample."""
    made: list[Block] = []
    at = 0
    while at < len(samples):
        piece = samples[at : at + sizes[len(made) % len(sizes)]]
        at += len(piece)
        arrival = None if came is None else came + at / rate
        made.append(Block(start + at - len(piece), piece, rate, arrival, bits))
    return made


def record(folder: Path, items: Iterable[Block | Missing | Outage], seconds: float = 600.0) -> RecordingSource:
    """Record one stream, named yard, and open it again."""
    recorder = Recorder(folder, HEADER, segment_seconds=seconds, reserve=0)
    stream = recorder.stream("yard", "tcp://127.0.0.1:1")
    for item in items:
        if isinstance(item, Missing):
            stream.gap(item)
        elif isinstance(item, Outage):
            stream.outage(item)
        else:
            stream.take(item)
    recorder.close()
    (source,) = open_recording(folder).streams
    return source


def joined(pieces: Iterable[Block | Missing]) -> list[tuple[int, Floats] | Missing]:
    """What was read, with consecutive blocks as one: (start, samples)."""
    found: list[tuple[int, Floats] | Missing] = []
    for piece in pieces:
        before = found[-1] if found else None
        if isinstance(piece, Missing):
            found.append(piece)
        elif isinstance(before, tuple) and before[0] + len(before[1]) == piece.start:
            found[-1] = before[0], np.concatenate([before[1], piece.samples])
        else:
            found.append((piece.start, piece.samples))
    return found


def same_bits(one: Floats, other: Floats) -> bool:
    """Whether samples are equal to the last bit, NaN too."""
    return one.shape == other.shape and bool((one.view(np.uint32) == other.view(np.uint32)).all())
