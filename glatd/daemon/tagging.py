"""The step of the loop: frames of all streams with new audio, then both looks at every window due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.features import look_at, look_globally
from glatd.daemon.looking import Everywhere, Looking, TopK
from glatd.daemon.stream import Stream, Window
from glatd.engines.engine import Engine, Glance, pool
from glatd.errors import ConfigError

Floats = NDArray[np.float32]
# Blocks in one run of the front end, at most: those of many streams are shared among the lanes. As many as any GPU's
# engine takes at once (`rows.BLOCKS`); on a CPU they run one by one, and no size is dearer than another.
FRONTEND_ROWS = 8


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
    classes: tuple[int, ...]  # K for which it was chosen; where every crop is looked at, what is heard most there
    activations: tuple[float, ...]  # K of that class in the crop, where it was chosen or is highest
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


def check_crops(engine: Engine, local: str, crops: int | None) -> None:
    """Refuse a number of crops that the engine does not select; "all" selects none. Arguments as of `looking`.

    Raises:
        ConfigError: naming K.
    """
    if local == "top-k" and crops is not None and not 1 <= crops <= engine.sizes.crops:
        raise ConfigError(f"crops = {crops} cannot be: this engine selects 1 to {engine.sizes.crops}")


def silence(engine: Engine) -> Floats:
    """[block, M] what the front end makes of digital silence."""
    frames: Floats = engine.frontend(np.zeros((1, engine.sizes.block_samples), np.float32))[0]
    return frames


def make_frames(engine: Engine, streams: Sequence[Stream]) -> None:
    """Compute the frames of every block that is complete, each once, in batches over all streams."""
    due = [stream.blocks_due() for stream in streams]
    blocks = [block for of_stream in due for block in of_stream]
    runs = [np.stack(blocks[at : at + FRONTEND_ROWS]) for at in range(0, len(blocks), FRONTEND_ROWS)]
    frames = [part for run in engine.lanes.each(engine.frontend, runs) for part in run]
    at = 0
    for stream, of_stream in zip(streams, due, strict=True):
        for part in frames[at : at + len(of_stream)]:
            stream.put_frames(part)
        at += len(of_stream)


def looking(engine: Engine, local: str, crops: int | None, hop: int) -> Looking:
    """Where the local stream looks, by the settings.

    Args:
        local: "top-k" or "all".
        crops: K of "top-k".
        hop: mel frames.

    Raises:
        ConfigError: a number of crops that the engine does not select.
    """
    check_crops(engine, local, crops)
    return Everywhere(hop) if local == "all" else TopK(crops)


def first_runs(engine: Engine, local: str, crops: int) -> Iterator[None]:
    """Everything that will be asked for run once, one at each step (`Engine.warm_up`); arguments as of `looking`.

    Of the front end a block is enough: no target makes anything for a number of them when it meets it.
    """
    return engine.warm_up([1], engine.sizes.crops if local == "all" else crops)


def see(engine: Engine, due: Sequence[tuple[Stream, Window]], looks: Looking) -> list[Seen]:
    """Both streams of the network on a batch of windows, one a stream."""
    frames = np.stack([stream.frames_of(window) for stream, window in due])
    audible = np.stack([stream.audible(window) for stream, window in due])
    firsts = [window.end_frame - engine.sizes.window for _, window in due]
    glance = look_globally(engine, due, frames, audible, looks.crops if isinstance(looks, TopK) else None)
    if isinstance(looks, Everywhere):
        places = [looks.places(engine.sizes, window, heard) for (_, window), heard in zip(due, audible, strict=True)]
    else:
        chosen = glance.starts.tolist()
        places = [[first + start for start in row] for first, row in zip(firsts, chosen, strict=True)]
    crops = look_at(engine, due, frames, places)
    local = np.stack([pool(of_crops, 0) for of_crops in crops])
    scores = pool(np.stack([glance.scores, local]), 0)
    framewise = glance.framewise * audible[:, None, :]
    seen = []
    for row, (stream, window) in enumerate(due):
        if isinstance(looks, Everywhere):
            starts = [place - firsts[row] for place in places[row]]
            classes, activations = _heard_most(engine, framewise[row], crops[row], starts)
        else:
            classes, activations = _chosen_for(glance, row)
        seen.append(
            Seen(
                stream=stream,
                window=window,
                level=stream.level(window),
                scores=scores[row],
                global_=glance.scores[row],
                local=local[row],
                starts=tuple(place * engine.sizes.hop for place in places[row]),
                classes=classes,
                activations=activations,
                audible=audible[row],
                framewise=framewise[row],
                of_crops=crops[row],
            )
        )
    return seen


def look(engine: Engine, due: Sequence[tuple[Stream, Window]], looks: Looking) -> Iterator[Seen]:
    """`see` of as many windows at a time as the engine likes, side by side where it has lanes; in order, each as soon
    as it is there. Of each stream there may be one."""
    most = engine.most_windows
    parts = [due[at : at + most] for at in range(0, len(due), most)]
    for seen in engine.lanes.each(lambda part: see(engine, part, looks), parts):
        yield from seen


def _chosen_for(glance: Glance, row: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The K classes that crops were chosen for, and how active each was where it was chosen."""
    classes, middles = glance.classes[row], glance.middles[row]
    return tuple(classes.tolist()), tuple(glance.framewise[row, classes, middles].tolist())


def _heard_most(
    engine: Engine, framewise: Floats, of_crops: Floats, starts: Sequence[int]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Of each of K crops the class with the highest local score, and how active it is in the crop at most."""
    sizes = engine.sizes
    classes = of_crops.argmax(1).tolist()
    inside = [slice(start // sizes.stride, -(-(start + sizes.crop) // sizes.stride)) for start in starts]
    return tuple(classes), tuple(
        float(framewise[index, part].max()) for index, part in zip(classes, inside, strict=True)
    )


def step(engine: Engine, streams: Sequence[Stream], looks: Looking | None = None) -> list[Seen]:
    """One window of every stream that has one due; empty when all need audio first."""
    make_frames(engine, streams)
    due = []
    for stream in streams:
        while (window := stream.window_due()) is not None:
            if stream.publishable(window):
                due.append((stream, window))
                break
    return see(engine, due, looks or TopK()) if due else []
