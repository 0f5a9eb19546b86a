"""A crop that was looked at once is not looked at again, and nothing but the cost tells."""

from pathlib import Path

import numpy as np
import pytest

from glatd.daemon.crops import LocalScores
from glatd.daemon.sources.file import FileSource
from glatd.daemon.stream import Stream
from glatd.daemon.tagging import hop_frames, make_frames, see, silence
from glatd.engines.engine import Engine, Floats
from tests.conftest import ROOT, SHARED, needs_shared

HOP_S = 0.96


def play(engine: Engine, sound: Floats, hop: int) -> Stream:
    """Look at every window of a recording, and compare each with a look that knows nothing of the others."""
    stream = Stream(engine.sizes, hop, silence(engine))
    at, windows = 0, 0
    while True:
        make_frames(engine, [stream])
        while (window := stream.window_due()) is not None:
            if not stream.publishable(window):
                continue
            plain = engine.look(stream.frames_of(window)[None].copy(), stream.audible(window)[None])
            (seen,) = see(engine, [(stream, window)], None)
            windows += 1
            np.testing.assert_array_equal(seen.of_crops, plain.of_crops[0])
            np.testing.assert_array_equal(seen.scores, plain.scores[0])
            assert seen.classes == tuple(plain.classes[0])
        if stream.finished:
            assert windows * engine.sizes.crops == stream.local.computed + stream.local.known
            return stream
        piece = sound[at : at + stream.wanted()]
        if len(piece):
            stream.append(piece)
            at += len(piece)
        else:
            stream.finish()


def sound_of(engine: Engine, *paths: Path) -> Floats:
    """Recordings at the engine's rate, end to end, mono."""
    import soxr

    blocks = [block for path in paths for block in FileSource(path, path.stem).blocks()]
    parts = [soxr.resample(block.samples.mean(1), block.rate, engine.sizes.rate) for block in blocks]
    return np.concatenate(parts).astype(np.float32)


def test_scores_are_those_of_looking_at_everything_to_the_last_bit(engine: Engine) -> None:
    sound = sound_of(engine, next((ROOT / "demo").glob("*.ogg")))
    stream = play(engine, sound, hop_frames(engine, HOP_S))
    assert stream.local.known > stream.local.computed  # a sound is chosen again as long as it is in the window


@needs_shared
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_minutes_of_real_sounds_are_the_same_to_the_last_bit(engine: Engine) -> None:
    clips = sorted((SHARED / "audio" / "clips").rglob("*.ogg"))[::7][:200]
    play(engine, sound_of(engine, *clips)[: 600 * engine.sizes.rate], hop_frames(engine, HOP_S))


def test_what_has_left_the_window_is_forgotten() -> None:
    known = LocalScores()
    assert known.missing([10, 20, 10], oldest=0) == [10, 20]
    for place in (10, 20):
        known.keep(place, np.full(3, place, np.float32))
    assert known.missing([20, 30], oldest=15) == [30]
    known.keep(30, np.full(3, 30, np.float32))
    assert known.of([30, 20, 30])[:, 0].tolist() == [30, 20, 30]
    assert (known.computed, known.known) == (3, 2)
    assert known.missing([10], oldest=15) == [10]


def test_a_stream_that_starts_afresh_knows_nothing(engine: Engine) -> None:
    stream = Stream(engine.sizes, hop_frames(engine, HOP_S), silence(engine))
    stream.local.missing([0], oldest=0)
    stream.local.keep(0, np.zeros(3, np.float32))
    stream.restart(20 * engine.sizes.rate)
    assert stream.local.missing([0], oldest=0) == [0]
