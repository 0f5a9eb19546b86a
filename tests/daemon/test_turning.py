"""A stream goes on behind another front end: no window missing, none twice, and each as if it had been there always."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glatd.daemon.stream import EVER, Stream, Window
from glatd.daemon.tagging import make_frames
from glatd.engines.engine import Engine, Floats
from glatd.engines.manifest import Geometry, LabelEntry, Manifest, Runtime
from tests.daemon.sounds import RATE, noise

SECOND = RATE
HOP = 48_000  # samples, 1.5 s


def sizes(hop: int, left: int, right: int, block: int, seconds: int = 10) -> Geometry:
    """A front end's; its networks are never run."""
    window = seconds * RATE // hop
    return Geometry(RATE, hop, left, right, 2, block, window, window // 3, 5, block, window // block, "stream")


FRONT_ENDS = {
    "mn": sizes(320, 400, 401, 30),
    "wider, coarser": sizes(800, 1024, 1024, 4),
    "narrow": sizes(160, 80, 80, 100),
    "short blocks": sizes(320, 512, 512, 2),
    "far ahead": sizes(320, 10, 3000, 10),
}


class Peaks:
    """A front end that any two samples tell apart: first and largest sample that a frame sees."""

    def __init__(self, of: Geometry) -> None:
        self._of = of

    def __call__(self, samples: Floats) -> tuple[Floats]:
        """[B, block_samples] -> [B, block, 2]."""
        of = self._of
        seen = np.stack([samples[:, of.hop * j : of.hop * j + of.left + of.right] for j in range(of.block)], axis=1)
        return (np.stack([seen[..., 0], seen.max(-1)], axis=-1).astype(np.float32),)


def engine(of: Geometry) -> Engine:
    """Of which only the front end is asked."""
    runtime = Runtime("cpu", "none", "0", "float32")
    manifest = Manifest(1, "test", of, runtime, (LabelEntry("Dog", "/m/0bt9lr"),), (), {}, "MIT", "0")
    return Engine(manifest, {"frontend": Peaks(of), "global": Peaks(of), "local": Peaks(of)})


def stream(of: Geometry) -> Stream:
    """At its start."""
    return Stream(of, HOP // of.hop, np.zeros((of.block, 2), np.float32))


Given = tuple[int, int, int, Floats, Floats]  # start, end and real samples of a window, its frames, what is audible


def feed(one: Stream, front_end: Engine, samples: Floats, gap: bool = False) -> list[Given]:
    """What windows come of audio, or of a gap as long."""
    found, at = [], 0
    while True:
        room = min(one.wanted(), len(samples) - at)
        if gap:
            one.skip(room)
        else:
            one.append(samples[at : at + room])
        at += room
        make_frames(front_end, [one])
        before = len(found)
        while (window := one.window_due()) is not None:
            found.append(shown(one, window))
        if at == len(samples) and len(found) == before:
            return found


def shown(one: Stream, window: Window) -> Given:
    return window.start, window.end, window.real, one.frames_of(window).copy(), one.audible(window)


def same(one: list[Given], other: list[Given]) -> None:
    assert [given[:3] for given in one] == [given[:3] for given in other]
    for (_, end, _, frames, audible), (_, _, _, expected, heard) in zip(one, other, strict=True):
        assert np.array_equal(frames, expected), end
        assert np.array_equal(audible, heard), end


@pytest.mark.parametrize("after", FRONT_ENDS)
@pytest.mark.parametrize(("before", "seconds"), [("mn", 0.3), ("wider, coarser", 9.99), ("far ahead", 23.123)])
def test_the_windows_after_it_are_those_of_a_stream_that_had_it_from_the_start(
    before: str, after: str, seconds: float
) -> None:
    first, second = FRONT_ENDS[before], FRONT_ENDS[after]
    at = int(seconds * RATE)
    sound = noise(at + 4 * SECOND)
    old, fresh = stream(first), stream(second)
    told = feed(old, engine(first), sound[:at])
    turned = old.turned(second, HOP // second.hop, np.zeros((second.block, 2), np.float32), same_frames=False)
    now = feed(turned, engine(second), sound[at:])
    expected = feed(fresh, engine(second), sound)
    ends = [given[1] for given in [*told, *now]]
    assert ends == [HOP * (number + 1) for number in range(len(ends))]  # none is missing, none comes twice
    same(now, expected[len(told) :])
    assert (turned.received, turned.position) == (len(sound), fresh.position)


@settings(max_examples=12)
@given(
    st.lists(st.tuples(st.integers(1, 6 * SECOND), st.booleans()), min_size=1, max_size=8),
    st.sampled_from(sorted(FRONT_ENDS)),
    st.sampled_from(sorted(FRONT_ENDS)),
    st.integers(0, 7),
)
def test_gaps_stand_where_they_were(parts: list[tuple[int, bool]], before: str, after: str, turn: int) -> None:
    first, second = FRONT_ENDS[before], FRONT_ENDS[after]
    one, fresh, front_end = stream(first), stream(second), engine(first)
    told: list[Given] = []
    expected: list[Given] = []
    since = 0
    for number, (length, gap) in enumerate(parts):
        if number == turn % len(parts):
            one, front_end, since = (
                one.turned(second, HOP // second.hop, np.zeros((second.block, 2), np.float32), False),
                engine(second),
                len(told),
            )
        sound = noise(length, seed=number)
        told += feed(one, front_end, sound, gap)
        expected += feed(fresh, engine(second), sound, gap)
    same(told[since:], expected[since:])


def test_a_fresh_start_after_a_long_gap_is_one_behind_the_other_too() -> None:
    first, second = FRONT_ENDS["mn"], FRONT_ENDS["wider, coarser"]
    one, fresh = stream(first), stream(second)
    for each, of in ((one, first), (fresh, second)):
        feed(each, engine(of), noise(20 * SECOND))
        each.restart(12 * SECOND + 77)
        feed(each, engine(of), noise(2 * SECOND, seed=1))
    turned = one.turned(second, HOP // second.hop, np.zeros((second.block, 2), np.float32), False)
    assert turned.gaps == [(-EVER, 32 * SECOND + 77)] and (turned.lost, turned.restarts) == (12 * SECOND + 77, 1)
    sound = noise(12 * SECOND, seed=2)
    same(feed(turned, engine(second), sound), feed(fresh, engine(second), sound))


def test_the_same_front_end_keeps_its_frames() -> None:
    first = FRONT_ENDS["mn"]
    other = replace(first, crop=first.crop - 3, crops=2)
    one = stream(first)
    sound = noise(30 * SECOND)
    told = feed(one, engine(first), sound[: 16 * SECOND])
    one.local.keep(0, np.zeros(1, np.float32))
    frames = one.frames
    turned = one.turned(other, one.hop, np.zeros((other.block, 2), np.float32), same_frames=True)
    assert turned.frames is frames and turned.sizes.crops == 2 and turned.local.missing([0], -1) == [0]
    same([*told, *feed(turned, engine(other), sound[16 * SECOND :])], feed(stream(first), engine(first), sound))


def test_a_longer_window_says_how_much_of_it_is_known() -> None:
    """The ring holds 10 s and a little; what a window of 20 s had before is not real, and that is told."""
    first, second = FRONT_ENDS["mn"], sizes(320, 400, 401, 30, seconds=20)
    one = stream(first)
    feed(one, engine(first), noise(60 * SECOND))
    turned = one.turned(second, HOP // second.hop, np.zeros((second.block, 2), np.float32), False)
    found = feed(turned, engine(second), noise(15 * SECOND, seed=1))
    assert found[0][1] - found[0][0] == 20 * SECOND
    assert 10 * SECOND < found[0][2] < 14 * SECOND and not found[0][4][0] and found[0][4][-1]
    assert found[-1][2] == 20 * SECOND


def test_a_stream_that_ends_on_a_window_gives_it_once() -> None:
    first, second = FRONT_ENDS["mn"], FRONT_ENDS["wider, coarser"]
    one = stream(first)
    feed(one, engine(first), noise(12 * SECOND + 401 - 320))
    ends = one.past().last_end
    turned = one.turned(second, HOP // second.hop, np.zeros((second.block, 2), np.float32), False)
    turned.finish()
    make_frames(engine(second), [turned])
    last = turned.window_due()
    assert ends == 12 * SECOND and last is not None and last.end == 12 * SECOND + 81 and turned.window_due() is None
