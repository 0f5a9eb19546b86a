"""What is kept of a stream gives what looking at the whole of every window gives, away from the edges; nothing is made
twice, and nothing is left out after gaps, starts afresh, hops that were passed over and a change of engines."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glatd.daemon.looking import Everywhere, Looking, TopK
from glatd.daemon.stream import Stream, Window
from glatd.daemon.tagger import Tagger
from glatd.daemon.tagging import Seen, make_frames, see, silence
from glatd.engines.engine import Engine, Floats
from glatd.engines.manifest import LabelEntry, Manifest, Runtime
from glatd.messages import Tags

torch = pytest.importorskip("torch")

RATE, HOP, CLASSES = 32_000, 96, 12
EDGE = 2  # output frames at the beginning of a window, and of a crop, that see what was before it
NEAR = 2e-5  # of scores, in float32
AFTER_GAP = 7  # s


def graph(module: Any) -> Callable[..., tuple[NDArray[Any], ...]]:
    """A graph of a bundle run by PyTorch, row by row, so that a row never depends on its companions."""

    def run(*inputs: Floats) -> tuple[NDArray[Any], ...]:
        rows = []
        with torch.no_grad():
            for row in zip(*inputs, strict=True):
                found = module(*(torch.from_numpy(np.ascontiguousarray(value))[None] for value in row))
                rows.append(found if isinstance(found, tuple) else (found,))
        return tuple(torch.cat(column).numpy() for column in zip(*rows, strict=True))

    return run


@pytest.fixture(scope="module")
def network() -> Any:
    """A small CNN10 in both streams, with different weights."""
    from glatd.trainer.glat import Glat, GlatSpec
    from tests.engines.tiny_cnn import TinyCNN

    torch.manual_seed(0)
    made = Glat(TinyCNN(CLASSES), GlatSpec()).eval()
    made.local_stream.load_state_dict(TinyCNN(CLASSES).state_dict())
    return made


@pytest.fixture(scope="module")
def engine_of(network: Any) -> Callable[..., Engine]:
    from glatd.trainer.export import geometry, graphs

    sizes = geometry(network, "stream")
    made = {name: graph(module.eval()) for name, (module, _) in graphs(network, "stream").items()}
    whole = made["global"]
    made["global"] = lambda *inputs: whole(*inputs)[:5]  # an engine does not give the feature

    def engine(trunks: bool, most_windows: int = 1) -> Engine:
        manifest = Manifest(
            version=2,
            model="tiny",
            geometry=sizes if trunks else replace(sizes, trunks=()),
            runtime=Runtime("cpu", "torch", "", "float32"),
            labels=tuple(LabelEntry(f"sound {number}", "") for number in range(CLASSES)),
            files=(),
            provenance={},
            licence="MIT",
            hash="0",
        )
        return Engine(manifest, made, most_windows)

    return engine


@pytest.fixture(scope="module")
def kept(engine_of: Callable[..., Engine]) -> Engine:
    return engine_of(trunks=True)


@pytest.fixture(scope="module")
def whole(engine_of: Callable[..., Engine]) -> Engine:
    return engine_of(trunks=False)


def sound(seconds: float, seed: int = 0) -> Floats:
    """Noise whose level changes from second to second."""
    draw = np.random.default_rng(seed)
    count = round(seconds * RATE)
    level = np.repeat(10 ** draw.uniform(-3, -0.5, count // RATE + 1), RATE)[:count]
    made: Floats = (level * draw.standard_normal(count)).astype(np.float32)
    return made


class Both:
    """The same audio behind an engine that keeps and one that does not, and what each sees of a window."""

    def __init__(self, kept: Engine, whole: Engine, hop: int = HOP, looks: Looking | None = None) -> None:
        self.engines = (kept, whole)
        self.streams = [Stream(engine.sizes, hop, silence(engine)) for engine in self.engines]
        self.looks = looks or TopK(5)
        self.passes: Callable[[], bool] = lambda: False  # whether a hop is passed over
        self.seen: list[tuple[Window, Seen, Seen]] = []

    def hear(self, samples: Floats) -> None:
        while len(samples):
            self._look()
            room = self.streams[0].wanted()
            for stream in self.streams:
                stream.append(samples[:room])
            samples = samples[room:]
        self._look()

    def lose(self, seconds: float) -> None:
        count = round(seconds * RATE)
        while count:
            self._look()
            room = min(count, self.streams[0].wanted())
            for stream in self.streams:
                stream.skip(room)
            count -= room

    def each(self, act: Callable[[Stream], object]) -> None:
        for stream in self.streams:
            act(stream)
        self._look()

    def _look(self) -> None:
        while True:
            for engine, stream in zip(self.engines, self.streams, strict=True):
                make_frames(engine, [stream])
            window, same = (stream.window_due() for stream in self.streams)
            assert window == same
            if window is None:
                return
            if self.streams[0].publishable(window) and not self.passes():
                pairs = zip(self.engines, self.streams, strict=True)
                a, b = (see(engine, [(stream, window)], self.looks)[0] for engine, stream in pairs)
                self.seen.append((window, a, b))


def agree(a: Seen, b: Seen) -> None:
    """All that is away from the edge of the window is the same."""
    np.testing.assert_allclose(a.framewise[:, EDGE:], b.framewise[:, EDGE:], atol=NEAR)


def test_as_the_whole_through_all_that_happens_to_a_stream(kept: Engine, whole: Engine) -> None:
    both = Both(kept, whole)
    draw = np.random.default_rng(0)
    both.passes = lambda: bool(draw.random() < 0.2)
    both.hear(sound(5.3))
    both.lose(AFTER_GAP)  # longer than a hop, shorter than what starts a stream afresh
    both.hear(sound(6, 1))
    both.each(lambda stream: stream.restart(round(11.37 * RATE)))
    both.hear(sound(4, 2))
    assert len(both.seen) > 12
    for _, a, b in both.seen:
        agree(a, b)
    moved = max(float(np.abs(a.framewise[:, :EDGE] - b.framewise[:, :EDGE]).max()) for _, a, b in both.seen)
    assert moved > 1e-3  # an edge is not the same: else this test would hold nothing against nothing


def test_crops_are_the_same_away_from_their_edges(kept: Engine, whole: Engine, network: Any) -> None:
    both = Both(kept, whole, looks=Everywhere(HOP))
    sizes, seen = kept.sizes, 0
    both.hear(sound(4))
    stream = both.streams[0]
    for samples in np.split(sound(4.8, 3), 5):
        both.hear(samples)
        window, a, _ = both.seen[-1]
        for start in a.starts:
            place = start // sizes.hop
            crop = torch.from_numpy(stream.frames.view(place, place + sizes.crop).copy())[None]
            with torch.no_grad():
                alone = network.local_stream.trunk(crop)[0].T.numpy()
            found = stream.features["local"].stretch(place + sizes.crop)
            newest = place + sizes.crop == window.end_frame  # it ends where the stream does, and sees zeros there, too
            inner = slice(EDGE, None if newest else -EDGE)
            np.testing.assert_allclose(found[inner], alone[inner], atol=1e-4)
            seen += 1
    # The head scores each of them in every window.
    assert seen > 10 and stream.local.known == 0 < seen < stream.local.computed


@pytest.mark.parametrize("hop", [16, 48, 192])
def test_any_hop(kept: Engine, whole: Engine, hop: int) -> None:
    both = Both(kept, whole, hop)
    both.hear(sound(2.5))
    assert both.seen
    for _, a, b in both.seen:
        agree(a, b)


def test_nothing_is_made_twice(kept: Engine) -> None:
    """One run of each trunk a hop; silence before the start is not computed, however much of it a window has."""
    stream = Stream(kept.sizes, HOP, silence(kept))
    counts = []
    samples = sound(6)
    while len(samples):
        room = stream.wanted()
        stream.append(samples[:room])
        samples = samples[room:]
        make_frames(kept, [stream])
        while (window := stream.window_due()) is not None:
            before = {of: features.runs for of, features in stream.features.items()}
            see(kept, [(stream, window)], TopK(5))
            counts.append({of: features.runs - before[of] for of, features in stream.features.items()})
    assert counts[0]["global"] <= 3 and counts[0]["local"] <= 3  # about a second is real
    assert set(map(tuple, (count.values() for count in counts[1:]))) == {(1, 1)}


def test_the_last_window_is_looked_at_as_a_whole(kept: Engine, whole: Engine) -> None:
    both = Both(kept, whole)
    both.hear(sound(2.0017))
    both.each(lambda stream: stream.finish())
    window, a, b = both.seen[-1]
    assert window.end_frame % kept.sizes.stride != 0  # or it would be on the grid
    np.testing.assert_array_equal(a.scores, b.scores)
    assert a.starts == b.starts and a.classes == b.classes


def test_streams_side_by_side_as_alone(kept: Engine, engine_of: Callable[..., Engine]) -> None:
    many = engine_of(trunks=True, most_windows=3)
    pairs = []
    for seed in range(3):
        stream = Stream(kept.sizes, HOP, silence(kept))
        stream.append(sound(1.5, seed)[: stream.wanted()])
        while (window := stream.window_due()) is None or not stream.publishable(window):
            stream.append(sound(1, seed + 9)[: stream.wanted()])
            make_frames(kept, [stream])
        pairs.append((stream, window))
    together = see(many, pairs, TopK(5))
    for (stream, window), found in zip(pairs, together, strict=True):
        for features in stream.features.values():
            features.reset(0)
        alone = see(kept, [(stream, window)], TopK(5))[0]
        np.testing.assert_array_equal(found.scores, alone.scores)


def test_a_stream_goes_on_behind_another_engine(kept: Engine, whole: Engine) -> None:
    """From one that keeps nothing, whose frames do not reach back far enough, and from one that does."""
    for before in (whole, kept):
        both = Both(kept, whole)
        both.hear(sound(5))
        old = both.streams[both.engines.index(before)]
        both.streams = [
            old.turned(kept.sizes, HOP, silence(kept), same_frames=True),
            # Another one of the same past: the two must not append to one ring.
            both.streams[1 - both.engines.index(before)].turned(whole.sizes, HOP, silence(whole), same_frames=False),
        ]
        both.seen.clear()
        both.hear(sound(1.2, 5))
        assert both.seen
        for _, a, b in both.seen:
            agree(a, b)


def test_in_blocks_as_in_one_piece(kept: Engine) -> None:
    samples = sound(4)
    said = []
    for block in (len(samples), 7_919):
        tagger = Tagger(kept, start=0.0, top=None)
        messages = [m for at in range(0, len(samples), block) for m in tagger.push(samples[at : at + block])]
        said.append([m for m in messages + tagger.finish() if isinstance(m, Tags)])
    one, parts = said
    assert len(one) == len(parts) > 3
    for a, b in zip(one, parts, strict=True):
        assert (a.tags, a.crops) == (b.tags, b.crops)
