"""GL-AT on CNN10 with what its trunks made of the past kept, and with every window anew, beside plain CNN10 in PyTorch.

What it costs does not depend on the weights, so without an engine it measures random ones. What the scores differ by
does: an engine of trained weights says more, or one at another precision (`--engine`).
"""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

from benchmarks.machine import described, load_average
from benchmarks.peers.cnn10 import Cnn10
from benchmarks.peers.contender import HOP_S, THREADS, WINDOW_S, Floats
from benchmarks.progress import say
from benchmarks.untrained import untrained_engine
from glatd.audio import read_mono
from glatd.daemon.features import Features
from glatd.daemon.tagger import Tagger
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.errors import DataError, EngineError
from glatd.messages import Tags

SOUND = Path(__file__).resolve().parent.parent / "demo" / "street.ogg"
TURNS = 24  # hops that count, at most, of what they cost
JUDGED = 24  # hops after the first window, in which scores are compared
PEER = "(a) CNN10, PyTorch"
TOP = 5
TAGS = 10  # a message, as by default


@dataclass
class Stream:
    """One way to hear the sound, hop by hop."""

    name: str
    push: Callable[[Floats], object]
    cpu: list[float] = field(default_factory=list)  # s a hop
    said: list[Tags] = field(default_factory=list)

    def hear(self, samples: Floats, counts: bool) -> None:
        """A hop; of CPU, all threads of the process."""
        began = time.process_time()
        answer = self.push(samples)
        if counts:
            self.cpu.append(time.process_time() - began)
        if isinstance(answer, list):
            self.said += [message for message in answer if isinstance(message, Tags)]


def measure(engine: Path | None, turns: int) -> dict[str, Any]:
    """Everything.

    Args:
        engine: folder of an engine of CNN10; one of random weights in float32 is made when None.
        turns: hops that count.
    """
    before = load_average()
    with tempfile.TemporaryDirectory() as folder:
        built = engine or untrained_engine("cnn10", Path(folder))
        kept, whole = load_engine(built, THREADS), load_engine(built, THREADS, incremental=False)
        if not kept.sizes.trunks:
            raise EngineError(f"{built} has no trunks: its networks look at the whole of every window")
        samples, hop = read_mono(SOUND, kept.sizes.rate), round(HOP_S * kept.sizes.rate)
        say(f"{kept.manifest.model}: what a hop costs")
        streams, judged = listeners(kept, whole, TAGS), listeners(kept, whole, None)[1:]
        play(streams, samples, hop, min(turns, TURNS))
        say("scores of the same windows")
        play(judged, samples, hop, JUDGED)
        peer = median(streams[0].cpu)
        command = "python -m benchmarks incremental" + (" --engine DIR" if engine else "")
        return described(command, before) | {
            "model": kept.manifest.model,
            "engine": kept.manifest.hash,
            "precision": kept.manifest.runtime.precision,
            "cost": [cost(stream, peer) for stream in streams],
            "graphs": graphs(kept),
            "differences": [
                {"local": local}
                | differences(find(judged, name(True, local)).said, find(judged, name(False, local)).said)
                for local in ("top-k", "all")
            ],
            "memory_mb": round(sum(memory(kept)), 2),
        }


def name(incremental: bool, local: str) -> str:
    """Of a row."""
    return f"GL-AT, {'incremental' if incremental else 'every window anew'}, local = {local}"


def listeners(kept: Engine, whole: Engine, tags: int | None) -> list[Stream]:
    """The peer first, then both engines with both ways to look twice.

    Args:
        tags: a message; all when None.
    """
    found = [Stream(PEER, Cnn10(None, "float32").listen())]
    ways: tuple[Literal["top-k", "all"], ...] = ("top-k", "all")
    for incremental, engine in ((True, kept), (False, whole)):
        for local in ways:
            tagger = Tagger(engine, engine.sizes.rate, HOP_S, top=tags, start=0.0, local=local)
            found.append(Stream(name(incremental, local), tagger.push))
    return found


def find(streams: Sequence[Stream], wanted: str) -> Stream:
    """By name."""
    return next(stream for stream in streams if stream.name == wanted)


def play(streams: Sequence[Stream], samples: Floats, hop: int, turns: int) -> None:
    """The same hops to all, each in turn, in another order every time; the first window's worth is not counted.

    Args:
        hop: samples, at the rate of the engine, which is PANNs' too.
    """
    warm = round(WINDOW_S / HOP_S) + 1
    shuffle = random.Random(3).shuffle
    order = list(streams)
    for number in range(warm + turns):
        if number % 8 == 7:
            say(f"hop {number + 1} of {warm + turns}")
        at = number * hop % (len(samples) - hop)
        shuffle(order)
        for stream in order:
            if number >= warm or stream.name != PEER:  # its first hops cost as much as any
                stream.hear(samples[at : at + hop], counts=number >= warm)


def cost(stream: Stream, peer: float) -> dict[str, Any]:
    """CPU of a hop, streams that a core holds, and how many times those of the peer."""
    spent = median(stream.cpu)
    return {
        "name": stream.name,
        "cpu_ms": round(1000 * spent, 2),
        "streams_per_core": round(HOP_S / spent, 1),
        "times_peer": round(peer / spent, 2),
    }


def graphs(engine: Engine, runs: int = 9) -> dict[str, float]:
    """CPU ms of one run of each graph that a hop needs."""
    sizes = engine.sizes
    blocks = np.zeros((round(HOP_S * sizes.rate / sizes.hop / sizes.block), sizes.block_samples), np.float32)
    audible = np.ones((1, sizes.frames), np.float32)
    asked: dict[str, Callable[[], object]] = {"frontend": lambda: engine.frontend(blocks)}
    for trunk in sizes.trunks:
        frames = np.zeros((1, trunk.run, sizes.mels), np.float32)
        asked[trunk.graph] = lambda trunk=trunk, frames=frames: engine.extend(trunk, frames)  # type: ignore[misc]
        rows = np.zeros((1 if trunk.of == "global" else sizes.crops, trunk.frames, trunk.size), np.float32)
        if trunk.of == "global":
            asked[trunk.head] = lambda rows=rows: engine.glance_at(rows, audible)  # type: ignore[misc]
        else:
            asked[trunk.head] = lambda rows=rows: engine.score_crops(rows)  # type: ignore[misc]
    found = {}
    for graph, run in asked.items():
        spent = []
        for _ in range(runs + 1):
            began = time.process_time()
            run()
            spent.append(time.process_time() - began)
        found[graph] = round(1000 * median(spent[1:]), 3)
    return found


def differences(kept: Sequence[Tags], whole: Sequence[Tags]) -> dict[str, Any]:
    """Of the same windows: how far scores lie apart, and whether the same classes come first and the same crops are
    chosen. Only of windows that are filled: before the stream there is silence, and what has silence before it does not
    see the edge that the two differ by."""
    ends = {message.end for message in kept if message.filled == 1} & {message.end for message in whole}
    if not ends:
        raise DataError("no window is filled; play more hops")
    pairs = [
        tuple(next(message for message in of if message.end == end) for of in (kept, whole)) for end in sorted(ends)
    ]
    apart: dict[str, list[float]] = {"score": [], "global_": [], "local": []}
    first, few, crops = [], [], []
    for a, b in pairs:
        by_label = [{tag.label: tag for tag in message.tags} for message in (a, b)]
        for key, found in apart.items():
            other = by_label[1]
            found.append(max(abs(getattr(tag, key) - getattr(other[label], key)) for label, tag in by_label[0].items()))
        best = [[tag.label for tag in message.tags[:TOP]] for message in (a, b)]
        first.append(best[0][0] == best[1][0])
        few.append(len(set(best[0]) & set(best[1])) / TOP)
        places = [{(crop.start, crop.label) for crop in message.crops} for message in (a, b)]
        crops.append(len(places[0] & places[1]) / max(1, len(places[1])))
    return {
        "windows": len(pairs),
        **{
            f"{key.rstrip('_')}_{what}": round(float(of(found)), 5)
            for key, found in apart.items()
            for what, of in (("max", max), ("median", median))
        },
        "same_first": round(sum(first) / len(first), 3),
        "same_top_5": round(sum(few) / len(few), 3),
        "same_crops": round(sum(crops) / len(crops), 3),
    }


def memory(engine: Engine) -> list[float]:
    """MB that a stream keeps for each trunk."""
    return [Features(trunk, engine.sizes).bytes / 1e6 for trunk in engine.sizes.trunks]
