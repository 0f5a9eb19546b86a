"""What `python -m benchmarks incremental` compares."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import incremental
from benchmarks.incremental import Stream, differences, play
from benchmarks.peers.contender import HOP_S, WINDOW_S
from glatd.daemon.tagger import Tagger
from glatd.engines.load import load_engine
from glatd.errors import DataError
from glatd.messages import Tags

RATE = 32_000


def test_every_hop_after_the_first_window_is_judged() -> None:
    """And all that was said in it is kept, so that windows which begin in the stream are among it."""
    heard: list[int] = []
    stream = Stream("one", lambda samples: heard.append(len(samples)))
    hop = round(HOP_S * RATE)
    play([stream], np.zeros(40 * RATE, np.float32), hop, incremental.JUDGED)
    assert sum(heard) / RATE > WINDOW_S + (incremental.JUDGED - 1) * HOP_S and len(stream.cpu) == incremental.JUDGED


@pytest.fixture(scope="module")
def said() -> list[Tags]:
    """Of 12 s of noise, by the default engine."""
    samples = np.random.default_rng(1).standard_normal(12 * RATE).astype(np.float32) * 0.1
    messages = Tagger(load_engine(threads=1), RATE, top=None, start=0.0).push(samples)
    return [message for message in messages if isinstance(message, Tags)]


def test_only_filled_windows_are_compared(said: list[Tags]) -> None:
    filled = [message for message in said if message.filled == 1]
    assert 0 < len(filled) < len(said)
    found = differences(said, said)
    assert found["windows"] == len(filled) and found["score_max"] == 0 and found["same_crops"] == 1.0
    worse = [replace(m, tags=tuple(replace(tag, score=0.0) for tag in m.tags)) if m.filled < 1 else m for m in said]
    assert differences(worse, said) == found
    with pytest.raises(DataError, match="more hops"):
        differences([message for message in said if message.filled < 1], said)
