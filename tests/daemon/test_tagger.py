"""`Tagger`: the daemon's way of a block, the same to the last bit however the audio comes."""

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest

from glatd.daemon.announce import Announcer
from glatd.daemon.channel import Channel
from glatd.daemon.clock import WallClock
from glatd.daemon.ingest import Chunk
from glatd.daemon.stream import Stream
from glatd.daemon.tagger import Tagger
from glatd.daemon.tagging import step
from glatd.engines.engine import Engine
from glatd.errors import ConfigError, DataError
from glatd.messages import Gap, Message, Tags
from tests.daemon.driver import HOP
from tests.daemon.sounds import ODD_SIZES, RATE, Floats, noise, pieces


def tagged(
    engine: Engine, samples: Floats, sizes: tuple[int, ...] = (10**9,), rate: int = RATE, **options: object
) -> list[Message]:
    """All messages of a recording in blocks of these sizes, without the id of the run."""
    tagger = Tagger(engine, rate=rate, start=0.0, **options)  # type: ignore[arg-type]
    messages = [message for piece in pieces(samples, sizes) for message in tagger.push(piece)] + tagger.finish()
    return [dataclasses.replace(message, session="") for message in messages]


@pytest.fixture(scope="module")
def recording() -> Floats:
    """12.3 s with 2 s of NaN inside."""
    samples = noise(12 * RATE + 9_777)
    samples[4 * RATE : 6 * RATE + 17] = np.nan
    return samples


@pytest.fixture(scope="module")
def whole(engine: Engine, recording: Floats) -> list[Message]:
    return tagged(engine, recording)


@pytest.mark.parametrize("sizes", [*((size,) for size in ODD_SIZES if size > 1), ODD_SIZES, (50_001,)], ids=str)
def test_blocks_of_odd_sizes_change_nothing(
    engine: Engine, recording: Floats, whole: list[Message], sizes: tuple[int, ...]
) -> None:
    assert tagged(engine, recording, sizes) == whole


def test_two_runs_are_identical(engine: Engine, recording: Floats, whole: list[Message]) -> None:
    assert tagged(engine, recording) == whole


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_blocks_of_odd_sizes_change_nothing_after_resampling(engine: Engine, rate: int) -> None:
    samples = noise(3 * rate + 11)
    assert tagged(engine, samples, (321, 7, 4096), rate) == tagged(engine, samples, rate=rate)


def test_messages_are_numbered_dated_and_measured(engine: Engine, whole: list[Message]) -> None:
    tags = [message for message in whole if isinstance(message, Tags)]
    assert [message.seq for message in tags] == list(range(len(tags)))
    for message in whole:
        seconds = (datetime.fromisoformat(message.time) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
        assert seconds == pytest.approx((message.start if isinstance(message, Gap) else message.end) / RATE, abs=1e-5)  # type: ignore[union-attr]
    (gap,) = [message for message in whole if isinstance(message, Gap)]
    assert (gap.start, gap.end, gap.cause) == (4 * RATE, 6 * RATE + 17, "not finite")
    for message in tags:
        inside = max(0, min(message.end, gap.end) - max(message.start, gap.start))
        real = message.end - max(0, message.start) - inside
        assert message.filled == pytest.approx(real / (10 * RATE), abs=1e-6)
        assert message.engine == engine.manifest.hash and message.rate == RATE
    assert tags[-1].end == 12 * RATE + 9_777


def test_tags_come_by_falling_score_and_are_labels(engine: Engine, whole: list[Message]) -> None:
    mids = {label.name: label.mid for label in engine.manifest.labels}
    for message in whole:
        if isinstance(message, Tags):
            scores = [tag.score for tag in message.tags]
            assert len(scores) == 10 and scores == sorted(scores, reverse=True)
            for tag in message.tags:
                assert mids[tag.label] == tag.mid
                assert tag.score == pytest.approx(
                    0.5 * max(tag.global_, tag.local) + 0.25 * (tag.global_ + tag.local), abs=2e-6
                )


def test_all_scores_of_all_classes_can_be_had(engine: Engine) -> None:
    (message,) = tagged(engine, noise(RATE), top=None)
    assert isinstance(message, Tags)
    assert {tag.label for tag in message.tags} == set(engine.manifest.names)


def test_crops_lie_in_their_window_on_the_grid_with_real_middles(engine: Engine, whole: list[Message]) -> None:
    sizes = engine.sizes
    for message in whole:
        if not isinstance(message, Tags):
            continue
        assert 1 <= len(message.crops) <= 9  # eight at steps of a hop, and one more at the end
        for crop in message.crops:
            assert crop.end - crop.start == sizes.crop * sizes.hop
            assert message.start <= crop.start and crop.end <= message.start + sizes.window * sizes.hop
            assert 0.0 <= crop.activation <= 1.0 and crop.label in engine.manifest.names


def test_fewer_crops_are_the_first_of_more(engine: Engine) -> None:
    samples = noise(4 * RATE)
    five, two = tagged(engine, samples, local="top-k"), tagged(engine, samples, local="top-k", crops=2)
    for one, other in zip(five, two, strict=True):
        assert isinstance(one, Tags) and isinstance(other, Tags)
        assert one.crops[:2] == other.crops


def test_several_streams_together_are_each_alone(engine: Engine, silent: Floats) -> None:
    """Rows of a batch do not touch each other, to the last bit; streams of many lengths, so of many batch sizes."""
    sounds = [noise(length, seed) for seed, length in enumerate((5 * RATE, 3 * RATE + 5, 6 * RATE, 70_000))]
    channels = [
        Channel(
            Stream(engine.sizes, HOP, silent),
            Announcer("local", "", "audio", "", engine.manifest, WallClock(0.0, RATE), 10),
        )
        for _ in sounds
    ]
    streams = [channel.stream for channel in channels]
    parts = [pieces(sound, (5_000,)) for sound in sounds]
    together: list[list[Message]] = [[] for _ in sounds]
    batches = set()
    while not all(stream.finished for stream in streams):
        for channel, part in zip(channels, parts, strict=True):
            piece = next(part, None)
            channel.end() if piece is None else channel.give([Chunk(piece, None)])
        while sum(channel.feed(print) for channel in channels):  # every one of them, where any() would stop
            while seen := step(engine, streams, None):
                batches.add(len(seen))
                for window in seen:
                    row = streams.index(window.stream)
                    together[row].append(channels[row].announcer.tags(window))
    assert batches == {1, 2, 3, 4}
    assert together == [tagged(engine, sound, local="top-k") for sound in sounds]


def test_a_hop_is_a_multiple_of_the_stride(engine: Engine) -> None:
    assert [message.end for message in tagged(engine, noise(2 * RATE), hop=0.32) if isinstance(message, Tags)] == [
        40_960, 51_200, 61_440, 64_000,
    ]
    for wrong, near in (
        (1.0, 0.96),
        (0.0, 0.32),
        (-3.0, 0.32),
        (10.24, 9.92),
        (float("inf"), 9.92),
        (float("nan"), 0.32),
    ):
        with pytest.raises(ConfigError, match=f"hop .*the nearest is {near:g}$"):
            Tagger(engine, hop=wrong)


@pytest.mark.parametrize("crops", [0, -1, 6])
def test_a_number_of_crops_that_cannot_be_is_refused(engine: Engine, crops: int) -> None:
    with pytest.raises(ConfigError, match=f"crops = {crops} cannot be: this engine selects 1 to 5"):
        Tagger(engine, local="top-k", crops=crops)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros((2, 2, 2), np.float32), r"shape \(2, 2, 2\)"),
        (np.zeros((5, 0), np.float32), r"shape \(5, 0\)"),
        (np.float32(1.0), r"shape \(\)"),
        (np.zeros(5, np.int16), "int16; push floats .* divided by 32768"),
        (np.zeros(5, np.complex64), "complex64"),
    ],
)
def test_what_are_no_samples_is_refused(engine: Engine, samples: Floats, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Tagger(engine).push(samples)


def test_no_samples_and_doubles_are_taken(engine: Engine) -> None:
    tagger = Tagger(engine, start=0.0)
    assert tagger.push(np.zeros(0, np.float32)) == []
    samples = noise(RATE)
    assert tagged(engine, samples.astype(np.float64)) == tagged(engine, samples)
    assert tagged(engine, np.full(RATE, 1e300)) == [
        Gap("local", "", "audio", "1970-01-01T00:00:00.000000Z", start=0, end=RATE, rate=RATE, cause="not finite")
    ]


def test_after_the_end_nothing_can_be_pushed(engine: Engine) -> None:
    tagger = Tagger(engine)
    tagger.push(noise(100))
    assert tagger.finish() == []
    assert tagger.finish() == []
    with pytest.raises(DataError, match="after finish"):
        tagger.push(noise(100))


def test_stereo_is_its_mean(engine: Engine) -> None:
    left, right = noise(RATE, 1), noise(RATE, 2)
    assert tagged(engine, np.stack([left, right], 1)) == tagged(engine, (left + right) / np.float32(2))


def test_loud_samples_give_scores_and_no_warnings(engine: Engine) -> None:
    """A float file that was never scaled: 32768 times too loud."""
    (message,) = tagged(engine, noise(RATE) * np.float32(32_768))
    assert isinstance(message, Tags)
    assert all(np.isfinite([tag.score, tag.global_, tag.local]).all() for tag in message.tags)
    assert message.level_dbfs > 50
    assert step(engine, [], None) == []
