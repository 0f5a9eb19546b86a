"""CNN10 goes the whole way: bundle, graphs, engine, `Tagger`; with random weights, which is enough for that."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.untrained import untrained_engine
from glatd.daemon.tagger import Tagger
from glatd.engines.load import load_engine
from glatd.engines.verify import verify_engine
from glatd.messages import Tags
from glatd.trainer.backbones.cnn10 import CNN10
from glatd.trainer.export import geometry
from glatd.trainer.glat import Glat, GlatSpec
from tests.daemon.sounds import RATE, noise, pieces

FRAMES = 62  # of 1000 mel frames: poolings drop a rest


def test_the_sizes_of_cnn10() -> None:
    sizes = geometry(Glat(CNN10(), GlatSpec()), "stream")
    assert (sizes.frames, sizes.stride, sizes.block, sizes.mels) == (FRAMES, 16, 16, 64)
    assert (sizes.left, sizes.right) == (512, 512)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_cnn10_becomes_an_engine_that_tags(tmp_path: Path) -> None:
    folder = untrained_engine("cnn10", tmp_path)
    assert verify_engine(folder).good
    engine = load_engine(folder)
    assert engine.sizes.frames == FRAMES
    samples = noise(4 * RATE + 777)
    told = []
    for sizes in ((10**9,), (321, 4096)):
        tagger = Tagger(engine, start=0.0)
        messages = [message for piece in pieces(samples, sizes) for message in tagger.push(piece)] + tagger.finish()
        tags = [message for message in messages if isinstance(message, Tags)]
        assert [message.end for message in tags][-1] == len(samples)
        assert all(np.isfinite([tag.score for tag in message.tags]).all() for message in tags)
        told.append([(message.end, message.tags, message.crops) for message in tags])
    assert told[0] == told[1]
