"""What a user writes: any file is a configuration or a `ConfigError`, any text a source or a `ConfigError`."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from glatd.config import build
from glatd.daemon.settings import Settings, read_settings
from glatd.daemon.sources.base import NAME
from glatd.daemon.sources.pcm import ENCODINGS, parse_format
from glatd.daemon.sources.uri import parse_source
from glatd.errors import ConfigError, GlatdError
from tests.fuzz.exploring import explore, explore_bytes, may_refuse, seconds

FILES = [
    b'node = "edge-1"\npublish = "tcp://127.0.0.1:5555"\nengine = "auto"\nhop = 0.96\ntop = 10\ncrops = 5\n',
    b'gate = -65\nlatency = 0.1\nstatus_seconds = 10.0\noverload = true\ncontrol = "ipc:///run/glatd/control"\n',
    b'[[source]]\nname = "yard"\nuri = "mic:USB"\nreconnect = false\n[[source]]\nuri = "file:/a/night.flac"\n',
    b"gate = 'adaptive' # c\nthreads = 0x10\n'hop' = 1_0.5e0\nsource = [{uri = \"mic:\", muted = true}]\n",
    b"a.b = 1979-05-27T07:32:00Z\nc = '''\nx'''\nd = [1, [2, 3], {e = inf, f = nan}]\n",
]

SECRET = "hunter2"
URIS = [
    "mic:", "yard=mic:USB Audio: - (hw:1,0)?channel=2", "mic:hw?rate=44100&channels=2",
    "file:/a/Dog bark.wav?channel=1", "file:///a/dog%20bark.wav", f"rtsp://me:{SECRET}@cam:554/live?fps=5#transport=udp&channel=2",
    f"http://host/mount?token={SECRET}", f"https://u:{SECRET}@host/x.m3u8", f"rtmp://host/app/stream?key={SECRET}",
    f"srt://host:9000?passphrase={SECRET}&latency=200", "rtp:/a/b.sdp", "rtp:///a/b.sdp?channel=1",
    "tcp://camera.local:5000?rate=16000&format=s24le&channels=2", "udp://[::1]:5004?format=f32le",
    f"tcp://u:{SECRET}@host:9", "zmq+tcp://127.0.0.1:5600?rate=48000", "udp://239.1.2.3:5004",
]  # fmt: skip
WORDS = [
    "mic", "file", "rtsp", "http", "tcp", "udp", "srt", "rtp", "zmq+tcp", ":", "/", "//", "?", "#", "&", "=", "@", "%",
    "[", "]", "%zz", "%00", "..", "~", "~/", "localhost", "::1", "65536", "-1", "rate", "format", "channels", "channel",
    "s16le", "\0", "\n", " ", "٣", "²", "\udcff", "é", "9" * 5_000, "1e9", "transport", "xn--", "a" * 300,
]  # fmt: skip

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes()
trees = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
tables = st.dictionaries(st.sampled_from([*Settings.__dataclass_fields__, "sorce", "source_"]), trees, max_size=3)


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    """One that is written over and over, where there is memory for it."""
    at = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=at) as folder:
        yield Path(folder) / "glatd.toml"


@seconds
def test_bytes_of_a_file(file: Path, seconds: float) -> None:
    def read(data: bytes) -> None:
        file.write_bytes(data)
        assert isinstance(read_settings(file), Settings)

    explore_bytes(read, FILES, seconds)


def read_tree(tree: dict[str, Any]) -> None:
    assert isinstance(build(Settings, tree, "glatd.toml"), Settings)


@seconds
def test_trees(seconds: float) -> None:
    explore(read_tree, tables, seconds)


def read_source(text: str) -> None:
    """What cannot be a source is refused; and no password is ever shown."""
    said = ""
    try:
        source = parse_source(text)
    except ConfigError as error:
        said = str(error)
        raise
    else:
        assert NAME.fullmatch(source.name) and source.uri
        said = source.uri + source.name
    finally:
        # Where somebody took a colon or an @ away, nobody can know what was the password.
        if text in URIS:
            assert SECRET not in said


@seconds
def test_sources_of_any_words(seconds: float) -> None:
    for uri in URIS:
        may_refuse(read_source, uri)
    explore(
        read_source,
        st.lists(st.sampled_from(WORDS) | st.sampled_from(URIS) | st.text(max_size=3), max_size=9).map("".join),
        seconds,
    )


@seconds
def test_sources_of_any_bytes(seconds: float) -> None:
    """As they come from a command line in an odd encoding."""
    explore_bytes(lambda data: read_source(os.fsdecode(data)), [uri.encode() for uri in URIS], seconds)


queries = st.lists(
    st.tuples(
        st.sampled_from(["rate", "format", "channels", "channel", "chanel", ""]),
        st.sampled_from([*ENCODINGS, "48000", "1", "0", "64", "65", "-1", "1.0", "٣", "9" * 5000, ""])
        | st.text(max_size=3),
    ).map("=".join),
    max_size=5,
).map("&".join)


@st.composite
def pcm(draw: st.DrawFn) -> tuple[str, bytes]:
    return draw(queries), draw(st.binary(max_size=600))


def read_pcm(given: tuple[str, bytes]) -> None:
    query, data = given
    form = parse_format(query, "source 'tcp://h:1'")
    assert parse_format(form.query, "again") == form
    samples = form.decode(data[: len(data) - len(data) % form.frame_bytes])
    assert samples.shape == (len(data) // form.frame_bytes, 1 if form.channel else form.channels)
    assert samples.dtype == "float32" and samples.flags.c_contiguous


@seconds
def test_formats_of_pcm(seconds: float) -> None:
    explore(read_pcm, pcm(), seconds)


def test_a_setting_beyond_all_depth_or_digits_is_refused(file: Path) -> None:
    for text in (
        "a = " + "[" * 100_000,
        "hop = " + "9" * 5_000,
        "a." * 500 + "b = 1",
        "source = " + "{a = " * 20_000,
    ):
        file.write_text(text)
        with pytest.raises(GlatdError):
            read_settings(file)
