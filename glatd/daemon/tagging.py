"""The step of the loop: frames of all streams with new audio, then both looks at every window due."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.crops import look_once
from glatd.daemon.stream import Stream, Window
from glatd.engines.engine import Engine
from glatd.errors import ConfigError

Floats = NDArray[np.float32]
DEFAULT_HOP_SECONDS = 0.96
# Blocks in one run of the front end. OpenVINO builds every other size anew, for 16 ms, and keeps it.
FRONTEND_ROWS = (8, 4, 2, 1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in one window of one stream."""

    stream: Stream
    window: Window
    level: float  # dBFS
    scores: Floats  # [C] fused
    global_: Floats  # [C]
    local: Floats  # [C]
    starts: tuple[int, ...]  # K samples of the stream
    classes: tuple[int, ...]  # K
    activations: tuple[float, ...]  # K
    audible: Floats  # [F] 1.0 where the middle of an output frame is real audio
    framewise: Floats  # [C, F] class-wise activations; 0 where an output frame is no real audio
    of_crops: Floats  # [K, C] what the local stream says of each crop


def hop_frames(engine: Engine, seconds: float) -> int:
    """A hop in mel frames.

    Raises:
        ConfigError: no multiple of the engine's stride, or longer than its window, which would leave audio unheard;
            the nearest that can be is in the message.
    """
    sizes = engine.sizes
    unit = sizes.stride * sizes.hop / sizes.rate  # s
    most = sizes.window // sizes.stride
    # max and min also turn infinity, and NaN, into something that can be told.
    count = round(max(1.0, min(seconds / unit, most)))
    if not abs(count * unit - seconds) <= 1e-9:
        raise ConfigError(
            f"hop {seconds:g} s is no multiple of {unit:g} s, the engine's stride, up to {most * unit:g} s; "
            f"the nearest is {count * unit:g}"
        )
    return count * sizes.stride


def check_crops(engine: Engine, crops: int | None) -> None:
    """Refuse a number of crops that the engine does not select.

    Raises:
        ConfigError: naming K.
    """
    if crops is not None and not 1 <= crops <= engine.sizes.crops:
        raise ConfigError(f"crops = {crops} cannot be: this engine selects 1 to {engine.sizes.crops}")


def silence(engine: Engine) -> Floats:
    """[block, M] what the front end makes of digital silence."""
    frames: Floats = engine.frontend(np.zeros((1, engine.sizes.block_samples), np.float32))[0]
    return frames


def make_frames(engine: Engine, streams: Sequence[Stream]) -> None:
    """Compute the frames of every block that is complete, each once, in batches over all streams."""
    due = [stream.blocks_due() for stream in streams]
    blocks = [block for of_stream in due for block in of_stream]
    frames: list[Floats] = []
    while len(frames) < len(blocks):
        rows = next(rows for rows in FRONTEND_ROWS if rows <= len(blocks) - len(frames))
        frames += list(engine.frontend(np.stack(blocks[len(frames) : len(frames) + rows])))
    at = 0
    for stream, of_stream in zip(streams, due, strict=True):
        for part in frames[at : at + len(of_stream)]:
            stream.put_frames(part)
        at += len(of_stream)


def see(engine: Engine, due: Sequence[tuple[Stream, Window]], crops: int | None) -> list[Seen]:
    """Both streams of the network on a batch of windows, one a stream."""
    frames = np.stack([stream.frames_of(window) for stream, window in due])
    audible = np.stack([stream.audible(window) for stream, window in due])
    glance = engine.look_globally(frames, audible, crops)
    look = engine.fuse(glance, look_once(engine, due, frames, glance.starts))
    framewise = look.framewise * audible[:, None, :]
    hop = engine.sizes.hop
    return [
        Seen(
            stream=stream,
            window=window,
            level=stream.level(window),
            scores=look.scores[row],
            global_=look.global_[row],
            local=look.local[row],
            starts=tuple(window.start + hop * int(start) for start in look.starts[row]),
            classes=tuple(int(index) for index in look.classes[row]),
            activations=tuple(float(value) for value in look.activations[row]),
            audible=audible[row],
            framewise=framewise[row],
            of_crops=look.of_crops[row],
        )
        for row, (stream, window) in enumerate(due)
    ]


def step(engine: Engine, streams: Sequence[Stream], crops: int | None) -> list[Seen]:
    """One window of every stream that has one due; empty when all need audio first."""
    make_frames(engine, streams)
    due = []
    for stream in streams:
        while (window := stream.window_due()) is not None:
            if stream.publishable(window):
                due.append((stream, window))
                break
    return see(engine, due, crops) if due else []
