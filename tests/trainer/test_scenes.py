"""Scenes: what their labels say is what can be heard in them."""

import numpy as np
import pytest

from glatd.trainer.scenes import MARGIN, RATE, SCENE, Pool, SceneSpec, active_part, mix


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Four kinds of sound, one of them a texture."""
    rng = np.random.default_rng(0)
    n = np.arange(3 * RATE)
    sounds = [np.sin(n * f).astype(np.float32) * 0.3 for f in (0.1, 0.4, 1.1)] + [
        rng.normal(0, 0.1, 3 * RATE).astype(np.float32)
    ]
    return Pool(sounds, ["Dog", "Siren", "Cat", "Rain"])


def test_a_scene_is_a_function_of_its_number(pool: Pool) -> None:
    first, again, other = (mix(pool, 1, index, SceneSpec()) for index in (5, 5, 6))
    assert np.array_equal(first.samples, again.samples)
    assert first.events == again.events
    assert not np.array_equal(first.samples, other.samples)


def test_scenes_are_whole(pool: Pool) -> None:
    for index in range(60):
        scene = mix(pool, 2, index, SceneSpec())
        assert scene.samples.shape == (SCENE + 2 * MARGIN,)
        assert np.isfinite(scene.samples).all() and np.abs(scene.samples).max() <= 1.0
        assert len(scene.events) <= 4
        for event in scene.events:
            assert scene.silent <= event.onset < event.offset <= SCENE
        assert not scene.samples[: MARGIN + scene.silent].any() or scene.silent == 0


def test_an_event_is_louder_than_what_is_around_it(pool: Pool) -> None:
    spec = SceneSpec(texture=0.0, late_start=0.0, snr=(20.0, 30.0))
    checked = 0
    for index in range(40):
        scene = mix(pool, 3, index, spec)
        if len(scene.events) != 1:
            continue
        (event,) = scene.events
        body = scene.samples[MARGIN : MARGIN + SCENE]
        inside = body[event.onset + 400 : event.offset - 400]
        outside = np.concatenate([body[: event.onset], body[event.offset :]])
        assert (inside**2).mean() > 30 * (outside**2).mean()
        checked += 1
    assert checked > 5


def test_silent_ends_of_a_clip_are_not_used() -> None:
    clip = np.zeros(5 * RATE, np.float32)
    clip[RATE : 2 * RATE] = 0.5
    start, stop = active_part(clip)
    assert start == RATE and stop == 2 * RATE
    assert active_part(np.zeros(100, np.float32)) == (0, 100)
