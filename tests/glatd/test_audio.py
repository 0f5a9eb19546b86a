"""Decoding, mono and resampling, with real files of many formats made here."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from glatd.audio import RATE, Block, Resampler, decode, downmix, read_mono
from glatd.errors import SourceError
from tests.conftest import needs_shared

Samples = NDArray[np.float32]
LAYOUTS = {1: "mono", 2: "stereo", 8: "7.1"}
ODD_SIZES = (1, 7, 480, 1, 1023, 0, 4096, 33)


def write(path: Path, samples: NDArray[Any], rate: int, codec: str, **options: str) -> Path:
    """Encode samples [n, channels] whose dtype is one that the codec takes."""
    kind = {"u1": "u8", "i2": "s16", "i4": "s32", "f4": "flt", "f8": "dbl"}[samples.dtype.str[1:]]
    layout = LAYOUTS[samples.shape[1]]
    planar = codec in ("aac", "vorbis", "libmp3lame", "alac")
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        if kind == "s32":
            stream.codec_context.format = kind  # FLAC takes 16 bits otherwise
        if codec == "vorbis":
            stream.codec_context.options = {"strict": "experimental"}
        array = samples.T if planar else samples.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(array), format=kind + "p" * planar, layout=layout
        )
        frame.sample_rate = rate
        frame.pts = 0
        resampler = av.AudioResampler(frame_size=stream.codec_context.frame_size or 1152)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def integers(dtype: str, frames: int, channels: int) -> NDArray[Any]:
    limits = np.iinfo(dtype)
    values = np.random.default_rng(7).integers(
        limits.min, limits.max, (frames, channels), dtype, endpoint=True
    )
    values[0], values[1] = limits.min, limits.max
    return values


def tones(seconds: float, rate: int, channels: int) -> Samples:
    time = np.arange(round(seconds * rate))[:, None] / rate
    pitch = 200.0 * (1 + np.arange(channels))
    return (0.4 * np.sin(2 * np.pi * pitch * time * (1 + time))).astype(np.float32)


def joined(blocks: Iterable[Block]) -> Samples:
    """The samples of blocks that follow each other without a gap."""
    blocks = list(blocks)
    sizes = [len(block.samples) for block in blocks]
    assert [block.start for block in blocks] == [0, *np.cumsum(sizes)[:-1]]
    assert all(block.samples.dtype == np.float32 and block.samples.flags.c_contiguous for block in blocks)
    assert all(block.arrival is None for block in blocks)
    return np.concatenate([block.samples for block in blocks])


def until_error(path: Path) -> tuple[list[Block], str]:
    """What a file gives before its error, and the error, empty if there is none."""
    blocks: list[Block] = []
    try:
        for block in decode(path):
            blocks.append(block)
    except SourceError as error:
        return blocks, str(error)
    return blocks, ""


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
@pytest.mark.parametrize(
    ("name", "codec", "dtype"),
    [
        ("x.wav", "pcm_u8", "u1"),
        ("x.wav", "pcm_s16le", "i2"),
        ("x.wav", "pcm_s32le", "i4"),
        ("x.aiff", "pcm_s16be", "i2"),
        ("x.flac", "flac", "i2"),
    ],
)
def test_integers_are_read_exactly(
    tmp_path: Path, name: str, codec: str, dtype: str, rate: int, channels: int
) -> None:
    values = integers(dtype, 5_000, channels)
    blocks = list(decode(write(tmp_path / name, values, rate, codec)))
    middle = 128.0 if dtype == "u1" else 0.0
    full_scale = 2.0 ** (8 * values.dtype.itemsize - 1)
    np.testing.assert_array_equal(joined(blocks), ((values - middle) / full_scale).astype(np.float32))
    assert {block.rate for block in blocks} == {rate}


@pytest.mark.parametrize(
    ("name", "codec"), [("x.wav", "pcm_s24le"), ("x.flac", "flac"), ("x.mov", "pcm_s24be")]
)
def test_24_bits_are_read_exactly(tmp_path: Path, name: str, codec: str) -> None:
    values = integers("i4", 5_000, 2) >> 8
    decoded = joined(decode(write(tmp_path / name, values << 8, 48_000, codec)))
    np.testing.assert_array_equal(decoded, (values / 2.0**23).astype(np.float32))


@pytest.mark.parametrize(("codec", "dtype"), [("pcm_f32le", "f4"), ("pcm_f64le", "f8")])
def test_floats_are_left_alone_beyond_full_scale_too(tmp_path: Path, codec: str, dtype: str) -> None:
    values = np.random.default_rng(3).standard_normal((5_000, 2)).astype(dtype) * 3
    values[5] = np.nan, np.inf
    values[6] = 1.0, -1.0
    decoded = joined(decode(write(tmp_path / "x.wav", values, 48_000, codec)))
    np.testing.assert_array_equal(decoded, values.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("x.opus", "libopus", 48_000, 1),
        ("x.opus", "libopus", 48_000, 2),
        ("x.webm", "libopus", 48_000, 2),
        ("x.ogg", "vorbis", 44_100, 2),
        ("x.mka", "vorbis", 44_100, 2),
        ("x.mp3", "libmp3lame", 44_100, 2),
        ("x.mp3", "libmp3lame", 8_000, 1),
        ("x.m4a", "aac", 44_100, 1),
        ("x.m4a", "aac", 44_100, 2),
    ],
)
def test_lossy_formats_keep_their_place(
    tmp_path: Path, name: str, codec: str, rate: int, channels: int
) -> None:
    played = tones(2.3, rate, channels)
    values = (played * 2**15).astype(np.int16) if codec in ("libopus", "libmp3lame") else played
    path = write(tmp_path / name, values, rate, codec)
    heard = joined(decode(path))
    # Opus and MP3 files say where the padding of the last packet begins; FFmpeg writes it for no other.
    assert 0 <= len(heard) - len(played) < 2048
    if name in ("x.opus", "x.mp3"):
        assert len(heard) == len(played)
    middle = slice(rate // 2, rate)
    shifts = range(-3, 4)
    errors = [
        float(np.abs(np.roll(heard[:, 0], shift)[middle] - played[middle, 0]).mean()) for shift in shifts
    ]
    assert shifts[int(np.argmin(errors))] == 0, errors  # the encoder's delay is cut off to the sample


@pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="compares with ffmpeg's command, which is not installed"
)
@pytest.mark.parametrize(("name", "codec"), [("x.opus", "libopus"), ("x.ogg", "vorbis"), ("x.m4a", "aac")])
def test_ffmpeg_delivers_as_many_samples(tmp_path: Path, name: str, codec: str) -> None:
    played = tones(1.7, 48_000, 2)
    values = (played * 2**15).astype(np.int16) if codec == "libopus" else played
    path = write(tmp_path / name, values, 48_000, codec)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    raw = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    assert len(joined(decode(path))) == len(raw) // 8


@needs_shared
def test_recordings_of_the_corpus_have_no_gaps(shared: Path) -> None:
    for path in sorted((shared / "audio" / "clips").rglob("*.ogg"))[::40]:
        joined(decode(path))


def test_odd_names_and_tags_in_odd_encodings_do_not_matter(tmp_path: Path) -> None:
    values = integers("i2", 100, 1)
    plain = write(tmp_path / "plain.wav", values, 8_000, "pcm_s16le").read_bytes()
    tag = (
        b"LIST"
        + (4 + 8 + 4).to_bytes(4, "little")
        + b"INFO"
        + b"INAM"
        + (4).to_bytes(4, "little")
        + b"\xe9t\xe9\0"
    )
    for name in ("a:b.wav", "http:x.wav", "%d.wav", " .wav", "犬.wav", os.fsdecode(b"\xe9.wav")):
        (tmp_path / name).write_bytes(plain + tag)
        assert len(joined(decode(tmp_path / name))) == 100


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def silence(path: Path) -> None:
    """A track without a packet."""
    with av.open(str(path), "w") as container:
        container.add_stream("flac", rate=8_000, layout="mono")
        container.start_encoding()


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("gone.wav", lambda path: None, r"gone\.wav: no such file; check the path \(the working folder is "),
        ("folder", Path.mkdir, "folder is a folder; name one recording in it"),
        ("pipe", os.mkfifo, "pipe is not a regular file"),
        ("x" * 300, lambda path: None, "cannot be read: File name too long"),
        ("empty.wav", Path.touch, r"empty\.wav is empty \(0 bytes\); record or copy it again"),
        ("x.wav", lambda path: path.write_text("no sound in here\n"), r"x\.wav is not a recording.*convert"),
        ("x.bin", lambda path: path.write_bytes(bytes(100_000)), r"x\.bin is not a recording.*convert"),
        ("x.txt", lambda path: path.write_text("no sound\n" * 99), r"x\.txt (is not a rec|has no audio)"),
        ("x.mp4", video, r"x\.mp4 has no audio track \(read as mov"),
        ("x.flac", silence, r"x\.flac holds no audio samples; record or convert it again"),
    ],
)
def test_what_is_no_recording_names_the_path_and_the_remedy(
    here: Path, name: str, make: Callable[[Path], object], told: str
) -> None:
    make(here / name)
    with pytest.raises(SourceError, match=told) as caught:
        list(decode(Path(name)))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", integers("i2", 100, 1), 8_000, "pcm_s16le")
    path.chmod(0)
    with pytest.raises(SourceError, match="permission denied; give this user read access"):
        list(decode(path))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.wav", "pcm_s16le"),
        ("x.aiff", "pcm_s16be"),
        ("x.flac", "flac"),
        ("x.opus", "libopus"),
        ("x.oga", "flac"),
        ("x.mp3", "libmp3lame"),
        ("x.mka", "libopus"),
        ("x.au", "pcm_s16be"),
    ],
)
def test_a_file_that_is_cut_short_gives_what_it_has_and_then_says_so(
    tmp_path: Path, name: str, codec: str
) -> None:
    values = (tones(3.0, 48_000, 2) * 2**15).astype(np.int16)
    whole = write(tmp_path / name, values, 48_000, codec)
    everything = joined(decode(whole))
    path = tmp_path / f"cut{whole.suffix}"
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    blocks, error = until_error(path)
    heard = joined(blocks)
    seconds = len(heard) / 48_000
    assert f"{path} is cut short or damaged: it ends after {seconds:.2f} s" in error
    assert error.endswith("; copy or record it again")
    assert 0.9 < seconds < 2.2
    same = len(heard) - 2400  # the last packets of a lossy codec want their neighbours
    np.testing.assert_array_equal(heard[:same], everything[:same])


@pytest.mark.parametrize("length", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_wav_from_a_pipe_does_not_know_its_length_and_is_whole(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "x.wav", integers("i2", 1000, 1), 8_000, "pcm_s16le")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = length.to_bytes(4, "little")
    path.write_bytes(data)
    assert len(joined(decode(path))) == 1000


def placed(blocks: Iterable[Block], frames: int) -> Samples:
    """Samples at their index, NaN where audio was lost."""
    heard = np.full((frames, 2), np.nan, np.float32)
    for block in blocks:
        heard[block.start : block.start + len(block.samples)] = block.samples
    return heard


def test_a_damaged_packet_is_lost_audio_and_the_rest_keeps_its_place(tmp_path: Path) -> None:
    values = (tones(2.0, 48_000, 2) * 2**15).astype(np.int16)
    path = write(tmp_path / "x.m4a", values, 48_000, "alac")
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux() if packet.size]
    assert len(packets) == 24  # 4096 samples each
    data = bytearray(path.read_bytes())
    for at, size in packets[11:13]:
        assert at is not None
        data[at : at + size] = bytes(size)
    path.write_bytes(data)
    expected = values / np.float32(2**15)
    expected[11 * 4096 : 13 * 4096] = np.nan
    np.testing.assert_array_equal(placed(decode(path), 96_000), expected)
    mono = read_mono(path, 48_000)
    np.testing.assert_array_equal(mono, downmix(np.nan_to_num(expected)))


def test_a_damaged_page_is_lost_audio_and_the_rest_keeps_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ogg", tones(6.0, 48_000, 2), 48_000, "vorbis")
    whole = joined(decode(path))
    data = bytearray(path.read_bytes())
    pages = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    ends = [int.from_bytes(data[at + 6 : at + 14], "little") for at in pages]  # in samples
    middle = len(pages) // 2
    data[pages[middle] + 400] ^= 255
    path.write_bytes(data)
    heard = placed(decode(path), len(whole))
    missing = np.flatnonzero(np.isnan(heard[:, 0]))
    assert abs(len(missing) - (ends[middle] - ends[middle - 1])) < 4096  # and the packets that reach into it
    np.testing.assert_array_equal(missing, np.arange(missing[0], missing[-1] + 1))
    # The packets on either side have lost a neighbour to overlap with.
    before, after = slice(missing[0] - 1024), slice(missing[-1] + 4096, None)
    np.testing.assert_array_equal(heard[before], whole[before])
    np.testing.assert_array_equal(heard[after], whole[after])


@pytest.mark.parametrize(("name", "codec"), [("x.mp3", "libmp3lame"), ("x.m4a", "alac"), ("x.aac", "aac")])
def test_damaged_packets_do_not_end_a_file(tmp_path: Path, name: str, codec: str) -> None:
    played = tones(4.0, 44_100, 2)
    values = played if codec == "aac" else (played * 2**15).astype(np.int16)
    path = write(tmp_path / name, values, 44_100, codec)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    blocks, error = until_error(path)
    assert not error or "is cut short or damaged" in error
    ends = [block.start + len(block.samples) for block in blocks]
    assert any(block.start > end for block, end in zip(blocks[1:], ends, strict=False))
    assert 3.7 * 44_100 < ends[-1] < 4.1 * 44_100


def test_nothing_is_printed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp3", (tones(2, 44_100, 1) * 2**15).astype(np.int16), 44_100, "libmp3lame")
    data = path.read_bytes()
    path.write_bytes(data[:9000] + bytes(2000) + data[11000:-3000])
    code = (
        "import sys; from pathlib import Path; from glatd.audio import decode\n"
        "from glatd.errors import SourceError\n"
        "try: list(decode(Path(sys.argv[1])))\nexcept SourceError: pass"
    )
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, timeout=60, check=True)
    assert run.stdout + run.stderr == b""


def test_mono_is_the_mean_over_channels_whatever_the_layout_and_size() -> None:
    samples = np.random.default_rng(5).standard_normal((1001, 8)).astype(np.float32)
    mono = downmix(samples)
    assert mono.dtype == np.float32 and mono.shape == (1001,)
    np.testing.assert_allclose(mono, samples.astype(np.float64).mean(1), atol=1e-6)
    np.testing.assert_array_equal(downmix(np.asfortranarray(samples)), mono)
    np.testing.assert_array_equal(np.concatenate([downmix(samples[:13]), downmix(samples[13:])]), mono)
    np.testing.assert_array_equal(downmix(samples[:, :1]), samples[:, 0])


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 32_000, 44_100, 48_000, 96_000, 192_000, 384_000])
@pytest.mark.parametrize("frames", [0, 1, 2, 3, 6, 18, 1000, 40_001])
def test_resampling_in_blocks_equals_in_one_piece(rate: int, frames: int) -> None:
    samples = np.random.default_rng(frames).standard_normal(frames).astype(np.float32)
    whole: Samples = samples if rate == RATE else soxr.resample(samples, rate, RATE, quality="HQ")
    resampler = Resampler(rate)
    for _ in range(2):  # after a flush it is as new
        pieces, at, turn = [], 0, 0
        while at < frames:
            size = ODD_SIZES[turn % len(ODD_SIZES)]
            pieces.append(resampler.push(samples[at : at + size]))
            at, turn = at + size, turn + 1
        pieces.append(resampler.flush())
        resampled = np.concatenate(pieces)
        assert resampled.dtype == np.float32
        assert len(resampled) == math.floor(frames * RATE / rate + 0.5)
        np.testing.assert_array_equal(resampled, whole)


def test_a_tone_keeps_its_place_and_level_through_resampling() -> None:
    for rate in (8_000, 44_100, 48_000, 384_000):
        samples = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)
        resampler = Resampler(rate)
        resampled = np.concatenate([resampler.push(samples), resampler.flush()])
        expected = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
        assert np.abs(resampled - expected)[3200:-3200].max() < 1e-4


def test_a_whole_file_as_mono(tmp_path: Path) -> None:
    played = tones(1.5, 48_000, 2)
    path = write(tmp_path / "x.wav", played, 48_000, "pcm_f32le")
    expected = soxr.resample(downmix(played), 48_000, RATE, quality="HQ")
    np.testing.assert_array_equal(read_mono(path, RATE), expected)
    np.testing.assert_array_equal(read_mono(path, 48_000), downmix(played))


def test_nan_is_nothing_to_train_on(tmp_path: Path) -> None:
    played = tones(0.5, 48_000, 1)
    played[100] = np.nan
    path = write(tmp_path / "x.wav", played, 48_000, "pcm_f32le")
    with pytest.raises(SourceError, match=r"x\.wav has samples that are NaN or infinite; write it again"):
        read_mono(path, 48_000)
