"""How much there is to do, in what pieces, and how far it is."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glatd.daemon.archive.find import Input
from glatd.daemon.archive.plan import LEAST_SECONDS, MOST_INPUTS, SHARDS_A_JOB, Estimates, length, make_shards
from glatd.daemon.archive.progress import SURE_SECONDS, Meter, lasting, line
from tests.daemon.sounds import RATE, noise, write_wav

SIZES = st.lists(st.integers(0, 500_000_000), min_size=1, max_size=60)


def inputs(sizes: list[int]) -> list[Input]:
    """MP3 files, 16 kB a second as long as nothing else is known."""
    return [Input(f"/r/{number:06d}.mp3", size, "1") for number, size in enumerate(sizes)]


@given(SIZES, st.integers(1, 64), st.floats(0.01, 24))
def test_shards_hold_every_recording_once_in_order(sizes: list[int], workers: int, hours: float) -> None:
    items = inputs(sizes)
    shards = make_shards(items, Estimates(), workers, 3600 * hours, 7)
    assert [item for shard in shards for item in shard.inputs] == items
    assert [shard.number for shard in shards] == list(range(7, 7 + len(shards)))
    total = sum(Estimates().seconds(item) for item in items)
    size = max(LEAST_SECONDS, min(3600 * hours, total / (SHARDS_A_JOB * workers)))
    for shard in shards:
        assert shard.seconds <= size * 1.0001 or len(shard.inputs) == 1
    for one, other in pairwise(shards):
        assert one.seconds + other.seconds > size * 0.9999  # none that would have fitted into the one before


def test_many_small_recordings_share_a_part() -> None:
    shards = make_shards(inputs([16_000] * 10_000), Estimates(), 1, 4 * 3600, 0)
    assert len(shards) <= 8 and max(len(shard.inputs) for shard in shards) <= MOST_INPUTS


def test_lengths_are_learnt_by_suffix() -> None:
    estimates = Estimates()
    mp3, wav = Input("/a.mp3", 1_000_000, ""), Input("/a.wav", 1_000_000, "")
    assert estimates.seconds(mp3) == 62.5 and estimates.seconds(wav) == pytest.approx(10.4, abs=0.1)
    estimates.learn(Input("/b.mp3", 8_000_000, ""), 1000.0)
    assert estimates.seconds(mp3) == pytest.approx(125, rel=0.01)
    assert estimates.seconds(wav) == pytest.approx(10.4, abs=0.1)
    assert estimates.seconds(Input("/empty.mp3", 0, "")) == 0.0


def test_headers_tell_lengths(tmp_path: Path) -> None:
    paths = [write_wav(tmp_path / f"{number}.wav", noise(RATE * (1 + number % 3))) for number in range(20)]
    assert length(paths[1]) == 2.0
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    assert length(tmp_path / "bad.wav") is None and length(tmp_path / "none.wav") is None
    items = [Input(str(path), path.stat().st_size, "") for path in [*paths, tmp_path / "bad.wav"]]
    estimates = Estimates()
    estimates.probe(items)
    assert sum(map(estimates.seconds, items)) == pytest.approx(39, rel=0.05)


def meter_of(count: int) -> tuple[list[Input], Meter]:
    items = inputs([1_600_000] * count)
    return items, Meter(items, Estimates())


def test_the_end_is_told_by_seconds_of_audio_and_corrected_by_what_was_learnt() -> None:
    items, meter = meter_of(10)
    assert meter.total == pytest.approx(1000) and meter.left() is None
    meter.note(100.0)
    meter.at(items[0], 40.0)
    meter.note(100.0 + SURE_SECONDS)
    assert meter.speed() == 2.0 and meter.left() == pytest.approx(480)
    meter.done(items[0], 200.0)  # twice as long as thought, and so will be the others
    assert meter.total == pytest.approx(2000, rel=0.01) and meter.seconds == 200.0
    meter.note(100.0 + 2 * SURE_SECONDS)
    assert meter.speed() == 5.0 and meter.left() == pytest.approx(360, rel=0.01)


def test_bad_recordings_and_those_that_are_begun_again_count_for_nothing() -> None:
    items, meter = meter_of(3)
    meter.at(items[0], 50.0)
    meter.at(items[0], 0.0)  # its worker died
    meter.done(items[1], None)
    assert meter.seconds == 0.0 and meter.total == pytest.approx(200) and meter.finished == 1
    for item in (items[0], items[2]):
        meter.done(item, 100.0)
        meter.done(item, 100.0)  # told twice after a worker died
    assert meter.seconds == meter.total == 200.0 and meter.finished == meter.inputs == 3


def test_a_line_fits_a_terminal() -> None:
    items = [Input(f"/{number}.mp3", 1_000_000_000, "") for number in range(100_000)]
    meter = Meter(items, Estimates())
    meter.note(0.0)
    for item in items[:1000]:
        meter.done(item, 62_500.0)
    meter.note(100.0)
    text = line(meter, 12_345)
    assert text == "1 %, 1,000/100,000, 17,361 h of about 1,736,111 h, 625000x, about 2.8 h left, 12,345 bad"
    assert line(Meter([], Estimates()), 0) == "100 %, 0/0, 0 s of about 0 s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (99, "99 s"),
        (100, "2 min"),
        (5900, "98 min"),
        (7200, "2.0 h"),
        (3_599_000, "999.7 h"),
        (7e6, "1,944 h"),
    ],
)
def test_times_as_people_say_them(seconds: float, text: str) -> None:
    assert lasting(seconds) == text
