"""Raw PCM in datagrams from a real sender."""

import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest

from glatd.errors import SourceError
from tests.daemon.sources.listening import SOON_S, listening
from tests.servers.pcm import PcmTcp, PcmUdp
from tests.servers.process import free_port


@pytest.fixture
def sender() -> Iterator[PcmUdp]:
    with PcmUdp(rate=16_000, channels=2) as server:
        yield server


def test_datagrams_arrive_to_the_bit_however_they_are_cut() -> None:
    port = free_port()
    values = np.random.default_rng(0).integers(-(2**15), 2**15, 3000 * 2).astype("<i2")
    with (
        listening(f"udp://127.0.0.1:{port}?rate=16000&channels=2") as heard,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as send,
    ):
        at, sizes = 0, [1, 7, 320, 2, 700]
        while at < 3000:
            size = sizes[0]
            sizes.append(sizes.pop(0))
            while len(heard.blocks) == 0 and at:  # it may not be bound yet, and the first is lost then
                send.sendto(values[:2].tobytes(), ("127.0.0.1", port))
                time.sleep(0.02)
            send.sendto(values[2 * at : 2 * (at + size)].tobytes(), ("127.0.0.1", port))
            at += size
            time.sleep(0.002)
        heard.wait(3000 / 16_000)
        got = heard.samples
        np.testing.assert_array_equal(got[-2999:], values.reshape(-1, 2)[1:].astype(np.float32) / 2**15)
        assert heard.jumps == []


def test_one_channel_can_be_taken(sender: PcmUdp) -> None:
    with listening(f"{sender.uri}&channel=2") as heard:
        heard.wait(0.2)
        assert heard.samples.shape[1] == 1
        assert heard.stop() < SOON_S


def test_what_is_not_sent_moves_the_index_on(sender: PcmUdp) -> None:
    with listening(sender.uri) as heard:
        heard.wait(1.5)
        sender.drop(1.0)
        heard.wait(3.5)
        assert heard.error is None
        assert abs(sum(samples for _, samples in heard.jumps) - 16_000) < 0.25 * 16_000


def test_what_comes_late_is_no_loss(sender: PcmUdp) -> None:
    with listening(sender.uri) as heard:
        heard.wait(1.0)
        sender.hold(0.6)
        heard.wait(3.0)
        assert heard.error is None and heard.jumps == []


def test_a_sender_that_was_started_again_is_listened_to(sender: PcmUdp) -> None:
    with listening(sender.uri) as heard:
        heard.wait(0.3)
        sender.restart()
        heard.more(0.3)
        assert heard.error is None


def test_of_two_senders_one_is_listened_to(sender: PcmUdp, caplog: pytest.LogCaptureFixture) -> None:
    with listening(sender.uri) as heard, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        heard.wait(0.1)
        for _ in range(10):
            other.sendto(np.full(64, 32_767, "<i2").tobytes(), ("127.0.0.1", sender.port))
            heard.more(0.02)
        assert np.abs(heard.samples).max() < 0.5
    assert len([record for record in caplog.records if "sends too" in record.message]) == 1


def test_half_a_sample_is_told(sender: PcmUdp) -> None:
    with listening(f"udp://127.0.0.1:{sender.port}?format=s24le&channels=7") as heard:
        error = heard.ends()
    assert isinstance(error, SourceError) and "a datagram of 1280 bytes, which is no multiple of 21" in str(error)


def test_a_port_that_is_taken_is_told(sender: PcmUdp) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", sender.port))
        with listening(sender.uri) as heard:
            error = heard.ends()
    assert isinstance(error, SourceError) and "cannot listen there, Address already in use" in str(error)


def test_silence_is_told_after_ten_seconds() -> None:
    with listening(f"udp://127.0.0.1:{free_port()}") as heard:
        error = heard.ends()
        assert 10 <= time.monotonic() - heard.began < 20
    assert isinstance(error, SourceError) and "no audio for 10 s" in str(error)


@pytest.mark.parametrize("kind", [PcmTcp, PcmUdp])
def test_a_flood_is_told_with_its_pace(kind: type[PcmTcp | PcmUdp]) -> None:
    with kind(rate=8_000) as sender, listening(sender.uri) as heard:
        heard.wait(0.1)
        sender.flood(5.0)
        error = heard.ends()
    assert isinstance(error, SourceError) and "x as fast as its rate says; check ?rate=" in str(error)
