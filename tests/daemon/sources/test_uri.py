"""What `[NAME=]URI` may be, and the names of streams."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from glatd.daemon.sources.base import NAME, Source, unique_names
from glatd.daemon.sources.file import FileSource
from glatd.daemon.sources.mic import MicSource
from glatd.daemon.sources.network import NetworkSource
from glatd.daemon.sources.pcm_tcp import TcpPcmSource
from glatd.daemon.sources.pcm_udp import UdpPcmSource
from glatd.daemon.sources.pcm_zmq import ZmqPcmSource
from glatd.daemon.sources.srt import SrtSource
from glatd.daemon.sources.uri import parse_source, without_password
from glatd.errors import ConfigError
from tests.conftest import ROOT

TCP = "tcp://camera.local:5000?rate=16000&format=s24le&channels=2"


@pytest.mark.parametrize(
    ("text", "kind", "name", "named", "uri"),
    [
        ("mic:", MicSource, "mic", False, "mic:"),
        ("mic:vmic_a", MicSource, "vmic_a", False, "mic:vmic_a"),
        ("yard=mic:USB Audio: - (hw:1,0)", MicSource, "yard", True, "mic:USB Audio: - (hw:1,0)"),
        ("mic:USB Audio: - (hw:1,0)", MicSource, "USB_Audio_-_hw_1_0", False, "mic:USB Audio: - (hw:1,0)"),
        ("mic:hw?rate=44100", MicSource, "hw", False, "mic:hw"),
        ("mic:what?", MicSource, "what", False, "mic:what?"),
        ("file:/a/Dog bark, 2.wav", FileSource, "Dog_bark_2", False, "file:/a/Dog bark, 2.wav"),
        ("file:dog.wav", FileSource, "dog", False, "file:dog.wav"),
        ("file:a=b:c.wav", FileSource, "a_b_c", False, "file:a=b:c.wav"),
        ("file:///a/dog%20bark.wav", FileSource, "dog_bark", False, "file:/a/dog bark.wav"),
        ("file:100%25.wav", FileSource, "100_25", False, "file:100%25.wav"),
        ("file:犬.wav", FileSource, "file", False, "file:犬.wav"),
        ("dog=file:x.wav", FileSource, "dog", True, "file:x.wav"),
        ("FILE:x.wav", FileSource, "x", False, "file:x.wav"),
        (TCP, TcpPcmSource, "camera.local_5000", False, TCP),
        ("push=zmq+tcp://127.0.0.1:5600", ZmqPcmSource, "push", True, "zmq+tcp://127.0.0.1:5600"),
        ("zmq+tcp://[::1]:5600?channel=2", ZmqPcmSource, "1_5600", False, "zmq+tcp://[::1]:5600?channel=2"),
        ("srt://h:9000?passphrase=longsecret", SrtSource, "h_9000", False, "srt://h:9000?passphrase=***"),
        ("file:x.wav?channel=2", FileSource, "x", False, "file:x.wav?channel=2"),
        ("file:what?.wav", FileSource, "what", False, "file:what?.wav"),
        ("rtp:/a/mixer.sdp", NetworkSource, "mixer", False, "rtp:/a/mixer.sdp"),
        (
            "rtsp://me:secret@cam.local:8554/yard/1?channel=1&subtype=0#transport=udp",
            NetworkSource,
            "cam.local_8554_yard_1",
            False,
            "rtsp://***@cam.local:8554/yard/1?channel=1&subtype=0#transport=udp",
        ),
        ("gate=HTTP://radio/live", NetworkSource, "gate", True, "HTTP://radio/live"),
        ("https://radio/a/b.m3u8?key=1", NetworkSource, "radio_a_b.m3u8", False, "https://radio/a/b.m3u8?key=***"),
        ("rtmp://h/live/x", NetworkSource, "h_live_x", False, "rtmp://h/live/x"),
        (
            "udp://0.0.0.0:9000?channels=2&channel=2",
            UdpPcmSource,
            "0.0.0.0_9000",
            False,
            "udp://0.0.0.0:9000?rate=48000&format=s16le&channels=2&channel=2",
        ),
        (
            "tcp://[::1]:5000",
            TcpPcmSource,
            "1_5000",
            False,
            "tcp://[::1]:5000?rate=48000&format=s16le&channels=1",
        ),
    ],
)
def test_a_source_is_made_but_not_opened(text: str, kind: type, name: str, named: bool, uri: str) -> None:
    source = parse_source(text)
    assert type(source) is kind
    assert (source.name, source.named, source.uri) == (name, named, uri)
    assert source.live is (kind is not FileSource)
    assert NAME.fullmatch(source.name)


def test_a_long_file_name_gives_a_name_that_fits() -> None:
    assert parse_source(f"file:{'x' * 200}.wav").name == "x" * 64


def test_home_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    source = parse_source("file:~/dog.wav")
    assert isinstance(source, FileSource) and source.path == Path("/home/someone/dog.wav")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no scheme"),
        ("dog.wav", r"source 'dog\.wav' has no scheme; for a recording write 'file:dog\.wav'"),
        ("mic", "'mic' has no scheme; did you mean 'mic:'"),
        ("yard=dog.wav", r"write 'file:dog\.wav'"),
        ("mike:x", "unknown scheme 'mike'; did you mean 'mic'"),
        ("tpc://h:1", "unknown scheme 'tpc'; did you mean 'tcp'"),
        ("gopher://h/", r"unknown scheme 'gopher'; known are mic, file, rtsp"),
        ("rtsp://me:secret@/1", r"'rtsp://\*\*\*@/1' needs a host; write rtsp://HOST/PATH"),
        ("rtsp://me:secret@cam/1#transport=tpc", r"@cam/1#transport=tpc': unknown transport 'tpc'; did you mean 'tcp'"),
        ("rtsp://cam/1#channels=1", "unknown key 'channels'; did you mean 'channel'"),
        ("http://cam/1?token=secret#channel=0", r"token=\*\*\*#channel=0': channel='0' must be a whole number from 1"),
        ("http://cam:x/1", "Port could not be cast"),
        ("http:/cam/1", "needs a host"),
        ("rtsps://cam/1#verify=no", r"verify='no' must be on or off"),
        ("https://cam/1#verify=off&ca=x.pem", "leave one"),
        ("https://cam/1#ca=/nowhere.pem", r"ca='/nowhere\.pem' is no file; name the certificates in PEM"),
        ("http://cam/1#verify=off", "unknown key 'verify'"),
        ("rtp:", r"names no file; write rtp:PATH\.sdp"),
        ("file:x.wav?channel=two", "channel='two' must be a whole number"),
        ("zmq+tcp://h", r"needs a host and a port; write zmq\+tcp://HOST:PORT"),
        ("zmq+tcp://h:1?rate=8000", "unknown key 'rate'; known are channel"),
        ("udp://h", "needs a host and a port; write udp://HOST:PORT"),
        ("tcp://h:1?channels=2&channel=3", "channel='3' must be a whole number from 1 to 2"),
        ("a b=mic:", "source name 'a b' must be 1 to 64 letters"),
        ("=mic:", "source name '' must be"),
        (f"{'x' * 65}=mic:", "must be 1 to 64"),
        ("file:", "names no file; write file:PATH"),
        ("file://nas/x.wav", "host 'nas' cannot be read"),
        ("tcp://h", "needs a host and a port"),
        ("tcp://:5000", "needs a host and a port"),
        ("tcp:h:5000", "needs a host and a port"),
        ("tcp://h:x", "Port could not be cast"),
        ("tcp://h:70000", "Port out of range"),
        ("tcp://me:secret@h:5000", r"'tcp://\*\*\*@h:5000': raw PCM knows no user"),
        ("tcp://h:5000/x", "raw PCM knows no path"),
        ("tcp://h:5000?rat=16000", "unknown key 'rat'; did you mean 'rate'"),
        ("tcp://h:5000?codec=g711", "unknown key 'codec'; known are rate, format, channels"),
        ("tcp://h:5000?format=s16", "unknown format 's16'; did you mean 's16le'"),
        ("tcp://h:5000?format=S16LE", "unknown format 'S16LE'; did you mean 's16le'"),
        ("tcp://h:5000?rate=48k", "rate='48k' must be a whole number from 8000 to 384000"),
        ("tcp://h:5000?rate=4000", "rate='4000' must be"),
        ("tcp://h:5000?channels=0", "channels='0' must be a whole number from 1 to 64"),
        ("tcp://h:5000?rate=8000&rate=16000", "'rate' is given twice"),
        ("mic:x?rate=fast", "rate='fast' must be"),
        ("mic:x?rte=48000", "unknown key 'rte'; did you mean 'rate'"),
    ],
)
def test_what_cannot_be_names_the_value_and_the_remedy(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        parse_source(text)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_the_examples_of_the_readme_are_sources() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("### Sources")[2].partition("###")[0]
    examples = re.findall(r"^\| [^|]+ \| `([^`]+)` \|", readme, re.M)
    assert len(examples) == 11
    assert all(NAME.fullmatch(parse_source(example).name) for example in examples)


def test_names_become_unique() -> None:
    texts = ["file:a/dog.wav", "file:b/dog.wav", "dog-2=mic:", "file:c/dog.ogg", "mic:", "mic:"]
    sources = [parse_source(text) for text in texts]
    assert unique_names(sources) == sources
    assert [source.name for source in sources] == ["dog", "dog-3", "dog-2", "dog-4", "mic", "mic-2"]


def test_long_names_become_unique_and_still_fit() -> None:
    sources = [parse_source(f"file:{'x' * 80}.{suffix}") for suffix in ("wav", "ogg")]
    assert [source.name for source in unique_names(sources)] == ["x" * 64, "x" * 62 + "-2"]


def test_a_chosen_name_wins_over_a_default_one() -> None:
    sources: list[Source] = [parse_source("file:dog.wav"), parse_source("dog=mic:")]
    assert [source.name for source in unique_names(sources)] == ["dog-2", "dog"]


def test_a_name_chosen_twice_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"two sources are named 'yard' \(mic:a and mic:b\)"):
        unique_names([parse_source("yard=mic:a"), parse_source("yard=mic:b")])


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://user:pass@cam/1", "rtsp://***@cam/1"),
        ("rtsp://user:p@ss@cam:554?a=b@c", "rtsp://***@cam:554?a=b@c"),
        ("tcp://host:1?x=a@b", "tcp://host:1?x=a@b"),
        ("file:a@b", "file:a@b"),
        ("http://cam/x?token=abc&fps=5&access_token=d#k=1", "http://cam/x?token=***&fps=5&access_token=***#k=1"),
        ("https://cam/x?a=1&Key=abc&password=d&auth=e", "https://cam/x?a=1&Key=***&password=***&auth=***"),
        ("srt://h:1?passphrase=long+secret&mode=caller", "srt://h:1?passphrase=***&mode=caller"),
    ],
)
def test_passwords_are_hidden(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_no_sound_library_is_touched_before_a_microphone_opens() -> None:
    code = (
        "import sys; from glatd.daemon.sources.uri import parse_source; parse_source('mic:'); "
        "print([name for name in ('sounddevice', 'av', 'soxr') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout.strip() == "[]"
