"""What may be written where somebody speaks: by made looks, to the sample."""

from dataclasses import replace

import numpy as np
import pytest

from glatd.daemon.privacy.veil import (
    LAG_SECONDS,
    SETTLE_SECONDS,
    Blank,
    Span,
    Veil,
    clipped,
    merged,
    outside,
    spoken,
    without,
)
from glatd.daemon.recording.layout import BLANKED, UNSEEN
from glatd.daemon.stream import Stream, Window
from glatd.daemon.tagging import Seen
from glatd.engines.engine import Engine
from glatd.labels import class_index
from tests.daemon.driver import HOP
from tests.daemon.sounds import RATE, Floats

SPEECH_CLASS, DOG = class_index("Speech"), class_index("Dog")
PIECE, STEP, WINDOW = 10_240, 30_720, 320_000  # samples
RULE = Blank((SPEECH_CLASS,), 0.1, RATE // 2)


@pytest.fixture(scope="module")
def looked(engine: Engine, silent: Floats) -> Seen:
    """A look that hears nothing at all, at [0, 10 s)."""
    sizes, count = engine.sizes, len(engine.manifest.labels)
    nothing = np.zeros(count, np.float32)
    return Seen(
        stream=Stream(sizes, HOP, silent),
        window=Window(1000, 0, WINDOW, WINDOW),
        level=-50.0,
        scores=nothing,
        global_=nothing,
        local=nothing,
        starts=(0, 2 * RATE, 4 * RATE, 6 * RATE, 7 * RATE),
        classes=(DOG,) * 5,
        activations=(0.0,) * 5,
        audible=np.ones(sizes.frames, np.float32),
        framewise=np.zeros((count, sizes.frames), np.float32),
        of_crops=np.zeros((5, count), np.float32),
    )


def at(seen: Seen, end: int, **change: object) -> Seen:
    """The look at the window that ends there."""
    return replace(seen, window=replace(seen.window, start=end - WINDOW, end=end), **change)


def scored(seen: Seen, of: int, window: float = 0.0, pieces: dict[int, float] | None = None, crop: float = 0.0) -> Seen:
    """With these scores of a class: of the window, of its pieces, and of the last crop."""
    scores, framewise, of_crops = seen.scores.copy(), seen.framewise.copy(), seen.of_crops.copy()
    scores[of], of_crops[4, of] = window, crop
    for piece, value in (pieces or {}).items():
        framewise[of, piece] = value
    return replace(seen, scores=scores, framewise=framewise, of_crops=of_crops)


def heard(seen: Seen, engine: Engine) -> list[tuple[int, int]]:
    return spoken(seen, np.array(RULE.classes), RULE, engine.sizes)


def test_speech_is_where_its_activation_is_with_the_margin_on_either_side(looked: Seen, engine: Engine) -> None:
    assert heard(looked, engine) == []
    assert heard(scored(looked, DOG, 0.9, {4: 0.9}), engine) == []
    margin = RULE.margin
    assert heard(scored(looked, SPEECH_CLASS, 0.05, {9: 0.2, 10: 0.11, 20: 0.09}), engine) == [
        (9 * PIECE - margin, 11 * PIECE + margin)
    ]


def test_a_window_that_scores_is_searched_for_the_place(looked: Seen, engine: Engine) -> None:
    """Each of the three scores is enough, and none of them lets anything through that another one hears."""
    faint = {9: 0.06, 20: 0.04, 30: 0.01}
    found = heard(scored(looked, SPEECH_CLASS, 0.2, faint), engine)
    assert [(start + RULE.margin, end - RULE.margin) for start, end in found] == [
        (9 * PIECE, 10 * PIECE),
        (20 * PIECE, 21 * PIECE),
    ]
    crop = heard(scored(looked, SPEECH_CLASS, 0.02, crop=0.5), engine)
    assert crop == [(7 * RATE - RULE.margin, 10 * RATE + RULE.margin)]
    assert heard(scored(looked, SPEECH_CLASS, 0.2), engine) == [(-RULE.margin, WINDOW + RULE.margin)]


def test_nothing_is_decided_before_it_was_looked_at_with_what_follows_it(looked: Seen, engine: Engine) -> None:
    """Speech begins in the last 0.1 s of a look, which does not hear it; the next one does."""
    veil = Veil(RULE, engine.sizes)
    start = WINDOW - RATE // 10
    veil.looked(at(looked, WINDOW))
    assert veil.decided == WINDOW - round(LAG_SECONDS * RATE) < start
    assert veil.spans(start, WINDOW) == [Span(start, WINDOW, UNSEEN)]
    veil.looked(at(scored(looked, SPEECH_CLASS, 0.9, {28: 0.9}), WINDOW + STEP))
    for turn in range(2, 10):
        veil.looked(at(looked, WINDOW + turn * STEP))  # later looks that do not hear it change nothing
    assert veil.decided > WINDOW
    found = WINDOW + STEP - WINDOW + 28 * PIECE
    assert [span for span in veil.spans(0, veil.decided) if span.cause == BLANKED] == [
        Span(found - RULE.margin, found + PIECE + RULE.margin, BLANKED)
    ]
    assert found - RULE.margin < start


@pytest.mark.parametrize("every", [2, 4])
def test_at_the_longer_hops_of_overload_everything_is_still_decided(looked: Seen, engine: Engine, every: int) -> None:
    veil = Veil(RULE, engine.sizes)
    for turn in range(40):
        end = WINDOW + turn * STEP
        if turn % every:
            veil.passed(end)
        else:
            veil.looked(at(looked, end))
        assert veil.spans(max(0, veil.decided - STEP), veil.decided) == []


def test_what_was_not_looked_at_in_time_is_not_known(looked: Seen, engine: Engine) -> None:
    veil = Veil(RULE, engine.sizes)
    veil.looked(at(looked, WINDOW))
    for turn in range(1, 15):
        veil.passed(WINDOW + turn * STEP)
    settled = WINDOW - round(SETTLE_SECONDS * RATE)
    assert veil.spans(RATE, veil.decided) == [Span(settled, veil.decided, UNSEEN)]


def test_lost_audio_is_not_known_though_windows_hold_its_silence(looked: Seen, engine: Engine) -> None:
    veil = Veil(RULE, engine.sizes)
    veil.lost(3 * RATE, 4 * RATE)
    for turn in range(8):
        veil.looked(at(looked, WINDOW + turn * STEP))
    assert veil.spans(0, 6 * RATE) == [Span(3 * RATE, 4 * RATE, UNSEEN)]


def test_a_stream_that_has_ended_is_decided_to_its_end_if_that_was_looked_at(looked: Seen, engine: Engine) -> None:
    for last, left in ((True, []), (False, [Span(WINDOW - 2 * RATE, WINDOW, UNSEEN)])):
        veil = Veil(RULE, engine.sizes)
        veil.looked(at(looked, WINDOW))
        if not last:
            veil.passed(WINDOW + STEP)
        veil.finish()
        assert veil.spans(0, WINDOW) == left


def test_what_is_long_ago_is_forgotten(looked: Seen, engine: Engine) -> None:
    veil = Veil(RULE, engine.sizes)
    for turn in range(200):
        spoke = turn % 20 == 0
        veil.looked(at(scored(looked, SPEECH_CLASS, 0.9, {15: 0.9}) if spoke else looked, WINDOW + turn * STEP))
        veil.lost(turn * STEP, turn * STEP + 1)
    assert len(veil._voiced) <= 3 and len(veil._settled) == 1 and len(veil._lost) <= 30


def test_spans() -> None:
    assert merged([(5, 7), (1, 2), (2, 3), (6, 6)]) == [(1, 3), (5, 7)]
    assert clipped([(0, 5), (8, 9)], 3, 8) == [(3, 5)]
    assert outside([(2, 3), (5, 20)], 0, 10) == [(0, 2), (3, 5)]
    assert without([(0, 10)], [(2, 3), (9, 12)]) == [(0, 2), (3, 9)]
