"""What entered a stream comes out of its recording, bit for bit, at its place."""

import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glatd.audio import Block, Missing, decode
from glatd.daemon.outage import Outage, Outages
from glatd.daemon.recording.layout import INDEX
from glatd.daemon.recording.reader import RecordingSource, open_recording
from glatd.daemon.recording.writer import Recorder
from glatd.daemon.sources.uri import parse_source
from glatd.errors import ConfigError, SourceError
from tests.daemon.recording.making import HEADER, Floats, blocks, exact, joined, record, same_bits


def index_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of the index of the one stream."""
    return [json.loads(line) for line in (folder / "stream-yard" / INDEX).read_text().splitlines()]


def end_of(source: RecordingSource) -> int:
    """Samples up to the end of what was recorded."""
    return max(piece.start + len(piece.samples) for piece in source.blocks() if isinstance(piece, Block))


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 9])
@pytest.mark.parametrize("bits", [8, 16, 24, None])
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_every_kind_of_samples_is_recorded_bit_for_bit(
    tmp_path: Path, rate: int, bits: int | None, channels: int
) -> None:
    samples = exact(int(1.3 * rate), channels, bits)
    source = record(tmp_path / "rec", blocks(samples, [rate // 50], rate, bits))
    (found,) = joined(source.blocks())
    assert isinstance(found, tuple) and found[0] == 0
    assert same_bits(found[1], samples)
    flac = bits is not None and channels <= 8
    assert [path.name for path in source.folder.iterdir() if path.suffix != ".jsonl"] == [
        "000001.flac" if flac else "000001.wav"
    ]


def test_outages_come_out_as_they_went_in_and_one_that_none_can_be_is_named(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "rec", HEADER, reserve=0)
    stream = recorder.stream("yard", "tcp://127.0.0.1:1")
    told = [Outage(122_880, 2.25, "reconnecting"), Outage(400_000, math.inf, "muted")]
    for outage in told:
        stream.outage(outage)
        stream.take(blocks(exact(1_000, 1, 16), [1_000], 16_000, 16)[0])
    recorder.close()
    (source,) = open_recording(tmp_path / "rec").streams
    assert source.recorded_outages() == told
    coming = Outages(source.recorded_outages())
    assert coming.before(122_880) == [] and coming.before(153_600) == told[:1] and coming.before(1 << 40) == told[1:]
    index = source.folder / INDEX
    whole = index.read_text()
    huge = "9" * 400
    for was, wrong in [
        *(("2.25", seconds) for seconds in ('"long"', "Infinity", "NaN", "-1.0", huge)),
        *(("122880", after) for after in ("Infinity", "NaN", "-1", "1.5", '"0"', "null")),
    ]:
        index.write_text(whole.replace(was, wrong))
        with pytest.raises(SourceError, match=r"has an outage that none can be .*; take it from a copy"):
            source.recorded_outages()


@pytest.mark.parametrize("repeated", ["segment", "gap"])
def test_an_index_that_goes_back_is_none(tmp_path: Path, repeated: str) -> None:
    samples = exact(16_000, 1, 16)
    items: list[Block | Missing] = [*blocks(samples, [1_600], 16_000, 16), Missing(20_000, 16_000, "lost")]
    source = record(tmp_path / "rec", [*items, *blocks(samples, [1_600], 16_000, 16, start=20_000)])
    index = source.folder / INDEX
    lines = index.read_text().splitlines()
    again = next(line for line in lines if f'"{repeated}"' in line)
    index.write_text("\n".join([*lines[:-1], again, lines[-1]]) + "\n")
    with pytest.raises(SourceError, match="lies before what came"):
        list(source.blocks())


SIZES = st.lists(st.sampled_from([1, 7, 160, 319, 960, 4_607, 4_608, 4_609, 20_000]), min_size=1, max_size=4)


@given(
    sizes=SIZES,
    bits=st.sampled_from([8, 16, 24, None]),
    channels=st.sampled_from([1, 6]),
    count=st.integers(1, 30_000),
    seconds=st.sampled_from([0.01, 0.1, 600.0]),
    seed=st.integers(0, 9),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_division_into_blocks_and_segments_gives_the_same_samples(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    bits: int | None,
    channels: int,
    count: int,
    seconds: float,
    seed: int,
) -> None:
    if count / min(sizes) > 3_000:  # many single samples only take long
        count = 3_000 * min(sizes)
    samples = exact(count, channels, bits, seed)
    folder = tmp_path_factory.mktemp("rec") / "rec"
    (found,) = joined(record(folder, blocks(samples, sizes, 48_000, bits), seconds).blocks())
    assert isinstance(found, tuple) and same_bits(found[1], samples)


def test_other_programs_read_the_segments(tmp_path: Path) -> None:
    for bits, name, layout in ((24, "000001.flac", "s32"), (None, "000001.wav", "flt")):
        samples = exact(60_000, 2, 24)
        folder = tmp_path / f"{bits}"
        record(folder, blocks(samples, [960], 48_000, bits))
        path = folder / "stream-yard" / name
        with av.open(str(path)) as container:
            (track,) = container.streams.audio
            assert (track.rate, track.channels, track.format.name) == (48_000, 2, layout)
            assert track.duration is not None and track.time_base is not None
            assert track.duration * track.time_base == 60_000 / 48_000
        whole = np.concatenate([block.samples for block in decode(path)])
        assert same_bits(whole, samples)
    # FLAC's own checksum of the samples, which `flac --test` compares.
    info = (tmp_path / "24" / "stream-yard" / "000001.flac").read_bytes()[8:42]
    packed = (exact(60_000, 2, 24) * (1 << 23)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    assert info[18:] == hashlib.md5(packed, usedforsecurity=False).digest()


def test_gaps_keep_their_extent_and_cause(tmp_path: Path) -> None:
    samples = exact(48_000, 1, 16)
    items: list[Block | Missing] = [
        *blocks(samples[:10_000], [480], 48_000, 16, start=1_000),
        Missing(20_000, 48_000, "the server closed the connection"),
        Missing(30_000, 48_000, "no route to host"),
        *blocks(samples[10_000:20_000], [480], 48_000, 16, start=30_000),
        *blocks(samples[20_000:], [480], 48_000, 16, start=50_000),
        Missing(90_000, 48_000, "gone"),
    ]
    source = record(tmp_path / "rec", items)
    found = joined(source.blocks())
    assert [piece for piece in found if isinstance(piece, Missing)] == [
        Missing(1_000, 48_000, "not delivered"),
        items[21],
        items[22],
        Missing(50_000, 48_000, "not delivered"),
        Missing(90_000, 48_000, "gone"),
    ]
    audio = [piece for piece in found if isinstance(piece, tuple)]
    assert [start for start, _ in audio] == [1_000, 30_000, 50_000]
    assert same_bits(np.concatenate([part for _, part in audio]), samples)
    assert len(list(source.folder.glob("*.flac"))) == 3  # a new segment after each gap
    gaps = [line for line in index_of(tmp_path / "rec") if line["type"] == "gap"]
    assert [(gap["start"], gap["end"]) for gap in gaps] == [
        (0, 1_000), (11_000, 20_000), (20_000, 30_000), (40_000, 50_000), (78_000, 90_000),
    ]  # fmt: skip


def test_a_change_of_rate_channels_or_bits_begins_a_segment(tmp_path: Path) -> None:
    kinds: list[tuple[int, int, int | None]] = [
        (48_000, 1, 16), (48_000, 2, 16), (48_000, 2, 24), (48_000, 2, None), (16_000, 2, None),
    ]  # fmt: skip
    items: list[Block] = []
    parts: list[Floats] = []
    for turn, (rate, channels, bits) in enumerate(kinds):
        part = exact(rate // 2, channels, bits, turn)
        items += blocks(part, [rate // 100], rate, bits, start=turn * rate // 2)
        parts.append(part)
    pieces = list(record(tmp_path / "rec", items).blocks())
    assert not [piece for piece in pieces if isinstance(piece, Missing)]
    read = [piece for piece in pieces if isinstance(piece, Block)]
    for (rate, channels, bits), part in zip(kinds, parts, strict=True):
        of_kind = [
            piece for piece in read if (piece.rate, piece.samples.shape[1], piece.bits) == (rate, channels, bits)
        ]
        assert same_bits(np.concatenate([piece.samples for piece in of_kind]), part)


def test_samples_that_are_no_whole_numbers_are_written_as_floats_whatever_their_source_says(tmp_path: Path) -> None:
    samples = exact(1_000, 1, 16)
    samples[500] = np.float32(0.1)
    (found,) = joined(record(tmp_path / "a", blocks(samples, [100], 8_000, 16)).blocks())
    assert isinstance(found, tuple) and same_bits(found[1], samples)
    too_loud = exact(1_000, 1, 16)
    too_loud[3] = 1.0  # 32768 of 16 bits
    (found,) = joined(record(tmp_path / "b", blocks(too_loud, [100], 8_000, 16)).blocks())
    assert isinstance(found, tuple) and same_bits(found[1], too_loud)


def test_a_block_tells_when_its_last_sample_came(tmp_path: Path) -> None:
    offset = time.time() - time.monotonic()
    samples = exact(4 * 16_000, 1, 16)
    source = record(tmp_path / "rec", blocks(samples, [320], 16_000, 16, came=1_000.0))
    read = [piece for piece in source.blocks() if isinstance(piece, Block)]
    assert {len(block.samples) for block in read[:-1]} <= set(range(1, 1_601))
    for block in read:
        came = 1_000.0 + (block.start + len(block.samples)) / 16_000 + offset
        assert block.wall is not None and block.wall == pytest.approx(came, abs=0.01)


def test_a_second_stream_of_a_name_is_kept_beside_the_first(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "rec", HEADER, reserve=0)
    for turn in range(11):
        stream = recorder.stream("..", "mic:")
        stream.take(Block(0, np.full((100 + turn, 1), 0.5, np.float32), 8_000, None, 16))
        stream.close()
    recorder.close()
    recording = open_recording(tmp_path / "rec")
    assert [source.name for source in recording.streams] == [".."] * 11
    assert [end_of(source) for source in recording.streams] == list(range(100, 111))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rec"]


def test_a_stream_of_a_recording_is_a_source_of_its_own(tmp_path: Path) -> None:
    samples = exact(8_000, 2, 16)
    stereo = record(tmp_path / "rec", blocks(samples, [160], 8_000, 16))
    source = parse_source(f"file:{stereo.folder}")
    assert (source.name, source.uri, source.live) == ("yard", f"file:{stereo.folder}", False)
    (found,) = joined(source.blocks())
    assert isinstance(found, tuple) and same_bits(found[1], samples)
    second = parse_source(f"right=file:{stereo.folder}?channel=2")
    (found,) = joined(second.blocks())
    assert second.name == "right" and isinstance(found, tuple)
    assert same_bits(found[1], np.ascontiguousarray(samples[:, 1:]))
    with pytest.raises(ConfigError, match=r"a recording of several streams; name one of them: file:.*/rec/stream-NAME"):
        parse_source(f"file:{tmp_path / 'rec'}")
