"""Network streams from real servers, which are killed, frozen, started again and lie."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from glatd.daemon.sources.uri import parse_source
from glatd.errors import SourceError
from tests.conftest import ROOT
from tests.daemon.sounds import write_wav
from tests.daemon.sources.listening import SOON_S, Listener, listening
from tests.servers.certificates import make_certificates
from tests.servers.hls import Hls
from tests.servers.icecast import Icecast
from tests.servers.process import Server, free_port
from tests.servers.rtmp import Rtmp
from tests.servers.rtp import Rtp
from tests.servers.rtsp import Rtsp
from tests.servers.srt import Srt
from tests.servers.web import serving

RAMP = 2**16  # samples; each tells its own number


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 16 bits, mono at 48 kHz, in which no two samples are alike."""
    samples = (np.arange(RAMP) - 2**15).astype(np.float64) / 2**15
    return write_wav(tmp_path_factory.mktemp("ramp") / "ramp.wav", samples, 48_000)


@pytest.fixture(scope="module")
def camera(ramp: Path) -> Iterator[Rtsp]:
    """One that is left as it is."""
    with Rtsp(ramp, video=True) as server:
        yield server


@pytest.fixture(scope="module")
def radio() -> Iterator[Icecast]:
    """One that is left as it is."""
    with Icecast() as server:
        yield server


def assert_in_place(heard: Listener) -> int:
    """Every block of the ramp stands where it belongs; the samples that are missing between."""
    numbers = [np.round(block.samples[:, 0] * 2**15).astype(int) + 2**15 for block in heard.blocks]
    first = numbers[0][0] - heard.blocks[0].start
    for block, there in zip(heard.blocks, numbers, strict=True):
        np.testing.assert_array_equal(there, (first + block.start + np.arange(len(there))) % RAMP)
    assert all(samples > 0 for _, samples in heard.jumps)
    return sum(samples for _, samples in heard.jumps)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_sound_of_a_camera_arrives_to_the_bit_and_no_picture_is_asked_for(camera: Rtsp, transport: str) -> None:
    with listening(f"{camera.uri}#transport={transport}") as heard:
        heard.wait(1.0)
        assert {(block.rate, block.samples.shape[1], block.bits) for block in heard.blocks} == {(48_000, 1, 16)}
        assert assert_in_place(heard) == 0
        assert heard.stop() < SOON_S
    assert not camera.video_was_asked_for


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_packets_that_are_lost_are_counted_exactly(ramp: Path, transport: str) -> None:
    with Rtsp(ramp) as camera, listening(f"{camera.uri}#transport={transport}") as heard:
        heard.wait(0.2)
        camera.lose(0.2)
        heard.wait(3.0)
        camera.lose(0.0)
        heard.wait(3.5)
        heard.stop()
        lost = assert_in_place(heard)
    assert heard.error is None
    assert 0.08 < lost / (lost + len(heard.samples)) < 0.35 and len(heard.jumps) > 10


def test_a_camera_that_dies_ends_the_stream_and_comes_back(ramp: Path) -> None:
    with Rtsp(ramp) as camera:
        with listening(camera.uri) as heard:
            heard.wait(0.2)
            camera.kill()
            killed = time.monotonic()
            heard.ends()
            assert time.monotonic() - killed < 5
        with listening(camera.uri) as heard:
            assert "Connection refused; check host and port" in str(heard.ends())
        camera.start()
        with listening(camera.uri) as heard:
            heard.wait(0.2)


def test_a_camera_that_hangs_is_told_and_can_be_left(ramp: Path) -> None:
    with Rtsp(ramp) as camera, listening(camera.uri) as heard, listening(camera.uri) as other:
        heard.wait(0.2)
        other.wait(0.2)
        camera.freeze()
        assert other.stop() < SOON_S and other.error is None
        error = heard.ends()
        assert isinstance(error, SourceError) and "no audio for 10 s" in str(error)
        with listening(camera.uri) as heard:
            time.sleep(0.3)
            assert heard.stop() < SOON_S
        camera.thaw()


def test_a_camera_asks_for_a_password_that_is_never_told() -> None:
    with Rtsp(codec="pcmu", login="me:s3cret") as camera:
        with listening(camera.uri) as heard:
            heard.wait(0.2)
        with listening(camera.uri.replace("s3cret", "s3crets")) as heard:
            error = heard.ends()
    assert "rtsp://***@127.0.0.1" in str(error) and "check user and password" in str(error)
    assert "s3cret" not in str(error) and "s3cret" not in heard.source.uri


def test_a_camera_without_such_a_path_is_told(camera: Rtsp) -> None:
    with listening(f"{camera.uri}x") as heard:
        assert "404 Not Found; check the path" in str(heard.ends())


@pytest.mark.parametrize("codec", ["mp3", "opus", "flac", "aac", "vorbis"])
def test_a_radio_is_heard_in_every_codec(codec: str) -> None:
    with Icecast(codec=codec) as radio, listening(radio.uri) as heard:
        heard.wait(1.5)
        assert heard.jumps == []
        assert {block.rate for block in heard.blocks} == {48_000}
        assert np.abs(heard.samples).max() > 0.05
        assert heard.stop() < SOON_S


def test_a_radio_whose_feeder_or_server_dies_ends_and_comes_back() -> None:
    with Icecast() as radio:
        with listening(radio.uri) as heard:
            heard.wait(0.5)
            radio.feeder.end()
            heard.ends()
        with listening(radio.uri) as heard:
            assert "404 " in str(heard.ends()) and "that the stream is on air" in str(heard.error)
        radio.feed()
        with listening(radio.uri) as heard:
            heard.wait(0.5)
            radio.kill()
            heard.ends()
        radio.start()
        with listening(radio.uri) as heard:
            heard.wait(0.5)


def test_a_radio_that_hangs_can_be_left(radio: Icecast) -> None:
    with listening(radio.uri) as heard:
        heard.wait(0.5)
        radio.freeze()
        try:
            time.sleep(0.3)
            assert heard.stop() < SOON_S
        finally:
            radio.thaw()


OTHERS = {
    "rtmp": Rtmp,
    "rtmp-video": lambda: Rtmp(video=True),
    "hls": Hls,
    "hls-video": lambda: Hls(video=True),
    "rtp": Rtp,
    "rtp-opus": lambda: Rtp(codec="libopus"),
    "srt": Srt,
    "srt-video": lambda: Srt(video=True),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_streams_are_heard_without_a_gap_and_can_be_left(make: Callable[[], Server]) -> None:
    with make() as server, listening(server.uri) as heard:
        heard.wait(1.5)
        assert heard.jumps == []
        assert {block.rate for block in heard.blocks} == {48_000}
        assert 0.05 < np.abs(heard.samples).max() <= 1.0
        assert heard.stop() < SOON_S
        assert heard.error is None


def encoded(*options: str) -> bytes:
    """What FFmpeg makes."""
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", *options, "pipe:1"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def tone(rate: int, channels: int, seconds: float, *output: str) -> bytes:
    return encoded("-f", "lavfi", "-i", f"sine=sample_rate={rate}:duration={seconds}", "-ac", str(channels), *output)


def test_a_finite_file_on_a_web_server_is_heard_to_its_end() -> None:
    with serving(tone(48_000, 1, 9.0, "-f", "wav"), "audio/wav") as web, listening(web.uri) as heard:
        assert heard.ends() is None
        assert len(heard.samples) == 9 * 48_000 and heard.jumps == []


def test_a_file_that_comes_too_fast_is_read_at_its_own_pace() -> None:
    with serving(tone(8_000, 1, 60.0, "-f", "wav"), "audio/wav") as web, listening(web.uri) as heard:
        heard.wait(8.0)
        time.sleep(0.5)
        assert heard.seconds < 8.0 + 1.05 * (time.monotonic() - heard.began) + 1.0
        assert heard.stop() < SOON_S


def test_damage_on_the_way_does_not_end_the_stream() -> None:
    sound = bytearray(tone(48_000, 1, 6.0, "-f", "mp3", "-b:a", "128k"))
    for at in range(20_000, len(sound) - 20_000, 3_000):
        sound[at : at + 40] = os.urandom(40)
    with serving(bytes(sound), "audio/mpeg") as web, listening(web.uri) as heard:
        assert heard.ends() is None
        assert heard.seconds > 3.0


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (48_000, 2)])
def test_a_sound_that_changes_in_mid_stream_is_told(rate: int, channels: int) -> None:
    def piece(rate: int, channels: int, *output: str) -> bytes:
        return tone(rate, channels, 1.0, *output)

    aac, vorbis = ("-f", "adts", "-c:a", "aac"), ("-f", "ogg", "-c:a", "libvorbis")
    chained = piece(48_000, 1, *vorbis) + piece(rate, channels, *vorbis)
    with serving(chained, "audio/ogg", keep=True) as web, listening(web.uri) as heard:
        assert "the sound changes" in str(heard.ends())
    with serving(piece(48_000, 1, *aac) + piece(rate, channels, *aac), "audio/aac") as web, listening(web.uri) as heard:
        error = heard.ends()
    assert isinstance(error, SourceError)
    assert f"changes from 48000 Hz, 1 channels to {rate} Hz, {channels} channels" in str(error)


def test_a_stream_without_sound_is_told() -> None:
    picture = encoded("-f", "lavfi", "-i", "testsrc=size=64x48:duration=2", "-c:v", "mpeg2video", "-f", "mpegts")
    with serving(picture, "video/mp2t", keep=True) as web, listening(web.uri) as heard:
        error = heard.ends()
    assert "no audio track (it sends video); switch the sound on" in str(error)


def test_what_is_no_sound_at_all_is_told() -> None:
    with serving(b"<html>this is a web page</html>" * 100, "text/html") as web, listening(web.uri) as heard:
        error = heard.ends()
    assert isinstance(error, SourceError) and "not a stream that FFmpeg understands; check the path" in str(error)


def test_a_certificate_is_checked_unless_the_user_says_not_to(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path, "DNS:localhost")
    sound = next((ROOT / "demo").glob("*.ogg"))
    with serving(sound.read_bytes(), "audio/ogg", certificates=certificates) as web:
        for options in (f"#ca={certificates.ca}", "#verify=off"):
            with listening(f"{web.uri}{options}") as heard:
                heard.wait(0.5)
        with listening(web.uri) as heard:
            assert "its certificate" in str(heard.ends()) and "#verify=off" in str(heard.error)
        with listening(f"{web.uri.replace('localhost', '127.0.0.1')}#ca={certificates.ca}") as heard:
            assert "its certificate" in str(heard.ends())  # it is another's name


def test_one_channel_of_a_stream_can_be_taken() -> None:
    left, right = "sine=440:sample_rate=16000:duration=1", "sine=880:sample_rate=16000:duration=1"
    both = ["-f", "lavfi", "-i", left, "-f", "lavfi", "-i", right, "-filter_complex", "amerge=inputs=2", "-f", "wav"]
    with serving(encoded(*both), "audio/wav") as web:
        with listening(f"{web.uri}#channel=2") as heard:
            assert heard.ends() is None
            spectrum = np.abs(np.fft.rfft(heard.samples[:, 0]))
            assert heard.samples.shape[1] == 1 and abs(int(spectrum.argmax()) - 880) <= 1
        with listening(f"{web.uri}#channel=3") as heard:
            assert "no channel 3; channel= must be from 1 to 2" in str(heard.ends())


def test_an_sdp_file_that_is_not_there_is_told() -> None:
    with listening("rtp:/nowhere/live.sdp") as heard:
        error = heard.ends()
    assert isinstance(error, SourceError) and "rtp:/nowhere/live.sdp: No such file" in str(error)


def test_without_ffmpeg_only_srt_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with listening(f"srt://127.0.0.1:{free_port()}") as heard:
        assert "needs the program ffmpeg, which is missing; run: apt-get install ffmpeg" in str(heard.ends())


def test_srt_that_nobody_serves_tells_no_passphrase() -> None:
    with listening(f"srt://127.0.0.1:{free_port()}?passphrase=s3cret-s3cret") as heard:
        error = heard.ends()
    assert isinstance(error, SourceError) and "passphrase=***" in str(error) and "s3cret" not in str(error)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("answer", [None, False, True])
def test_hundreds_of_failures_leave_nothing_behind(answer: bool | None) -> None:
    """Nobody there; someone who accepts and closes; someone who answers what is no sound."""
    with serving(b"nothing", answer=bool(answer)) as web:
        uri = f"http://127.0.0.1:{free_port()}/x" if answer is None else web.uri
        for attempt in range(120):
            if attempt == 20:
                before = open_files(), threading.active_count()
            with pytest.raises(SourceError):
                list(parse_source(uri).blocks())
        after = open_files(), threading.active_count()
    assert after[0] <= before[0] + 3 and after[1] <= before[1] + 2  # connections of the server that are closing
