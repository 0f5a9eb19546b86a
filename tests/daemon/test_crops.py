"""A crop that was looked at once is not looked at again, and nothing but the cost tells."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from glatd.daemon.crops import LocalScores
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.looking import Everywhere, Looking, TopK
from glatd.daemon.sources.file import FileSource
from glatd.daemon.stream import Stream
from glatd.daemon.tagger import Tagger
from glatd.daemon.tagging import hop_frames, make_frames, see, silence
from glatd.engines.engine import Engine, Floats, pool
from glatd.messages import Event, Tags, pack
from tests.conftest import ROOT, SHARED, needs_shared

HOP_S = 0.96
Mode = Literal["top-k", "all"]
MODES: tuple[Mode, ...] = ("top-k", "all")


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
            (seen,) = see(engine, [(stream, window)], TopK())
            windows += 1
            np.testing.assert_array_equal(seen.of_crops, plain.of_crops[0])
            np.testing.assert_array_equal(seen.scores, plain.scores[0])
            assert seen.classes == tuple(plain.classes[0])
            assert seen.activations == tuple(plain.activations[0].tolist())
        if stream.finished:
            assert windows * engine.sizes.crops == stream.local.computed + stream.local.known
            return stream
        piece = sound[at : at + stream.wanted()]
        if len(piece):
            stream.append(piece)
            at += len(piece)
        else:
            stream.finish()


def said(engine: Engine, sound: Floats, local: Mode, keeps: bool) -> tuple[list[bytes], list[bytes], LocalScores]:
    """A digest of every window's message, with the scores of all classes, and of every event's."""
    tagger = Tagger(engine, top=None, start=0.0, events=EventSettings(), local=local)
    scores = tagger._channel.stream.local = LocalScores(keeps)
    pieces = (tagger.push(sound[at : at + 48_000]) for at in range(0, len(sound), 48_000))
    tags, events = [], []
    for message in (message for piece in (*pieces, tagger.finish()) for message in piece):
        # What is different in every run: its session, and the ids of events, which are made of it.
        if isinstance(message, Event):
            events.append(hashlib.sha256(b"".join(pack(replace(message, session="", id="")))).digest())
        else:
            assert isinstance(message, Tags)
            tags.append(hashlib.sha256(b"".join(pack(replace(message, session="")))).digest())
    return tags, events, scores


def check_both_ways(engine: Engine, sound: Floats, local: Mode) -> None:
    """That the messages of a run with the cache and of one without are equal, to the last digit that they have."""
    tags, events, kept = said(engine, sound, local, keeps=True)
    tags_anew, events_anew, anew = said(engine, sound, local, keeps=False)
    assert tags == tags_anew and events == events_anew and events
    assert kept.computed + kept.known == anew.computed + anew.known
    if local == "all":
        # One a hop; the first window that is looked at brings those of the hop before it, the last one another.
        assert len(tags) <= kept.computed <= len(tags) + 2 and anew.known == 0
    else:
        assert kept.known > kept.computed and anew.known < kept.known


def sound_of(engine: Engine, *paths: Path) -> Floats:
    """Recordings at the engine's rate, end to end, mono."""
    import soxr

    blocks = [block for path in paths for block in FileSource(path, path.stem).blocks()]
    parts = [soxr.resample(block.samples.mean(1), block.rate, engine.sizes.rate) for block in blocks]
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture(scope="module")
def street(engine: Engine) -> Floats:
    """The demo recording, 30 s."""
    return sound_of(engine, next((ROOT / "demo").glob("*.ogg")))


def test_scores_are_those_of_looking_at_everything_to_the_last_bit(engine: Engine, street: Floats) -> None:
    stream = play(engine, street, hop_frames(engine, HOP_S))
    assert stream.local.known > stream.local.computed  # a sound is chosen again as long as it is in the window


@pytest.mark.parametrize("local", MODES)
def test_what_is_told_is_the_same_without_the_cache(engine: Engine, street: Floats, local: Mode) -> None:
    check_both_ways(engine, street, local)


@needs_shared
@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("local", MODES)
def test_an_hour_of_real_sounds_is_told_the_same_without_the_cache(engine: Engine, local: Mode) -> None:
    clips = sorted((SHARED / "audio" / "clips").rglob("*.ogg"))
    sound = sound_of(engine, *clips[::2])[: 3600 * engine.sizes.rate]
    assert len(sound) > 3000 * engine.sizes.rate
    check_both_ways(engine, sound, local)


@pytest.mark.parametrize("hop", [HOP_S, 0.64, 2.88])
def test_everywhere_is_every_crop_of_its_grid_pooled(engine: Engine, street: Floats, hop: float) -> None:
    """By hand: cut from the frames of the window, looked at in one run, pooled by the paper's equation 3."""
    sizes, frames = engine.sizes, hop_frames(engine, hop)
    looks: Looking = Everywhere(frames)
    stream, at = Stream(sizes, frames, silence(engine)), 0
    while at < 16 * sizes.rate:
        stream.append(piece := street[at : at + stream.wanted()])
        at += len(piece)
        make_frames(engine, [stream])
        window = stream.window_due()
        if window is None or not stream.publishable(window):
            continue
        (seen,) = see(engine, [(stream, window)], looks)
        places = [start // sizes.hop for start in seen.starts]
        assert places == looks.places(sizes, window, stream.audible(window))
        cut = np.stack([stream.frames.view(place, place + sizes.crop) for place in places])
        of_crops = engine.look_locally(cut)
        np.testing.assert_array_equal(seen.of_crops, of_crops)
        np.testing.assert_array_equal(seen.local, pool(of_crops, 0))
        np.testing.assert_array_equal(seen.scores, pool(np.stack([seen.global_, seen.local]), 0))
        assert seen.classes == tuple(of_crops.argmax(1).tolist())
        for place, index, activation in zip(places, seen.classes, seen.activations, strict=True):
            first = (place - window.end_frame + sizes.window) // sizes.stride
            assert activation == seen.framewise[index, first : first + sizes.crop // sizes.stride + 2].max()


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
