"""PCM pushed by another program, well and badly."""

import time
from collections.abc import Iterator

import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from glatd.clients.feeder import FORMATS, MOST_BYTES, AudioFeeder
from glatd.daemon.sources.pcm import ENCODINGS, PcmFormat
from glatd.daemon.sources.pcm_zmq import Place, Pushed, parse_pushed
from glatd.errors import ConfigError, ProtocolError, SourceError
from tests.daemon.sources.listening import SOON_S, listening
from tests.servers.process import free_port

GOOD = {"v": 1, "rate": 16_000, "format": "s16le", "channels": 2, "start": 0}


@pytest.fixture
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def push(endpoint: str) -> Iterator["zmq.Socket[bytes]"]:
    """Any program with a PUSH socket."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        yield socket


def pushed_within(feeder: AudioFeeder, data: bytes) -> None:
    """Push until somebody listens."""
    until = time.monotonic() + 20
    while not feeder.push(data):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_feeder_and_the_source_agree() -> None:
    assert FORMATS == ENCODINGS


def test_what_is_fed_arrives_to_the_bit(endpoint: str) -> None:
    values = np.random.default_rng(0).integers(-(2**15), 2**15, 2 * 8_000).astype("<i2")
    with listening(f"zmq+{endpoint}") as heard, AudioFeeder(endpoint, 16_000, channels=2) as feeder:
        pushed_within(feeder, values[:2].tobytes())
        lost = feeder.lost
        for at in range(2, len(values), 634):
            pushed_within(feeder, values[at : at + 634].tobytes())
        assert feeder.lost >= lost
        heard.wait(0.5)
        assert heard.error is None
        assert {(block.rate, block.bits) for block in heard.blocks} == {(16_000, 16)}
        np.testing.assert_array_equal(heard.samples, values.reshape(-1, 2).astype(np.float32) / 2**15)


def test_what_the_feeder_loses_is_a_jump(endpoint: str) -> None:
    data = bytes(2 * 320)
    with listening(f"zmq+{endpoint}") as heard, AudioFeeder(endpoint, 16_000) as feeder:
        assert not feeder.push(data) or feeder.lost == 0
        pushed_within(feeder, data)
        heard.wait(0.02)
        feeder._start += 1234  # as if nobody had listened
        feeder.push(data)
        heard.wait(0.04)
        assert heard.jumps == [(320, 1234)]
        assert heard.stop() < SOON_S


def test_nobody_listening_costs_the_feeder_nothing(endpoint: str) -> None:
    with AudioFeeder(endpoint, 16_000) as feeder:
        assert [feeder.push(bytes(640)) for _ in range(1000)] == [False] * 1000
        assert feeder.lost == 320_000


@pytest.mark.parametrize(
    ("endpoint_", "options", "told"),
    [
        ("tcp://h:70000", {}, "no port 70000"),
        ("nowhere", {}, "cannot connect to 'nowhere'"),
        ("tcp://127.0.0.1:1", {"format": "mp3"}, "format = 'mp3' must be one of u8"),
        ("tcp://127.0.0.1:1", {"channels": 0}, "channels = 0"),
    ],
)
def test_a_feeder_that_cannot_be(endpoint_: str, options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        AudioFeeder(endpoint_, 16_000, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"abc", bytes(MOST_BYTES + 4)])
def test_half_samples_and_too_many_are_not_fed(endpoint: str, data: bytes) -> None:
    with AudioFeeder(endpoint, 16_000, channels=2) as feeder, pytest.raises(ConfigError, match="multiple of 4"):
        feeder.push(data)


def test_what_is_no_message_is_refused_once_in_the_log_and_good_ones_go_on(
    endpoint: str, push: "zmq.Socket[bytes]", caplog: pytest.LogCaptureFixture
) -> None:
    with listening(f"zmq+{endpoint}?channel=2") as heard:
        for frames in [b"x"], [b"", b""], [b"\xc1", b"ab"], [msgpack.packb(GOOD), b"abc"], [b"a", b"b", b"c"]:
            push.send_multipart(frames)
        push.send_multipart([msgpack.packb(GOOD), np.array([1, 2, 3, 4], "<i2").tobytes()])
        heard.wait(2 / 16_000)
        np.testing.assert_array_equal(heard.samples, np.array([[2], [4]], np.float32) / 2**15)
        assert heard.source.refused == 5  # type: ignore[attr-defined]
    assert len([record for record in caplog.records if "refused" in record.message]) == 1


def test_a_message_that_is_too_large_ends_nothing(endpoint: str, push: "zmq.Socket[bytes]") -> None:
    with listening(f"zmq+{endpoint}") as heard:
        push.send_multipart([msgpack.packb(GOOD), bytes(4 << 20)])
        time.sleep(0.3)
        with AudioFeeder(endpoint, 16_000) as feeder:
            pushed_within(feeder, bytes(640))
            heard.wait(0.02)


def test_another_rate_is_told(endpoint: str, push: "zmq.Socket[bytes]") -> None:
    with listening(f"zmq+{endpoint}") as heard:
        push.send_multipart([msgpack.packb(GOOD), bytes(4)])
        push.send_multipart([msgpack.packb(GOOD | {"rate": 8_000}), bytes(4)])
        error = heard.ends()
    assert isinstance(error, SourceError) and "rate=16000" in str(error) and "rate=8000" in str(error)


def test_an_address_that_is_taken_is_told(endpoint: str) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.bind(endpoint)
        with listening(f"zmq+{endpoint}") as heard:
            error = heard.ends()
    assert isinstance(error, SourceError) and "the address is taken; stop the other" in str(error)


def place() -> Place:
    return Place("zmq+tcp://h:1", PcmFormat(16_000))


def test_a_program_that_starts_again_is_placed_by_the_clock() -> None:
    there = place()
    push_ = [(1000, 160, 5.00), (1160, 160, 5.01), (0, 160, 8.02), (160, 160, 8.03), (2**60, 160, 9.04)]
    starts = [there.of(Pushed(PcmFormat(16_000), start, b""), n, now) for start, n, now in push_]
    assert starts == [0, 160, 320 + 48_000, 480 + 48_000, 640 + 48_000 + 16_000]


def test_without_a_start_the_clock_tells_what_was_lost() -> None:
    there = place()
    starts = []
    for number in range(300):
        now = 0.02 * number + (1.0 if number >= 150 else 0.0)
        starts.append(there.of(Pushed(PcmFormat(16_000), None, b""), 320, now))
    assert abs(starts[-1] - (299 * 320 + 16_000)) <= 320


@given(frames=st.lists(st.binary(max_size=64), max_size=3))
def test_any_bytes_are_a_message_or_a_protocol_error(frames: list[bytes]) -> None:
    try:
        parse_pushed(frames)
    except ProtocolError:
        return


HEADERS = st.dictionaries(
    st.sampled_from(["v", "rate", "format", "channels", "start", "x"]),
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=9), st.just(1),
        st.sampled_from(["s16le", "u8", 48_000]), st.lists(st.integers(0, 9), max_size=3),
    ),
)  # fmt: skip


@given(header=HEADERS, data=st.binary(max_size=96))
def test_any_header_gives_samples_or_a_protocol_error(header: dict[str, object], data: bytes) -> None:
    try:
        pushed = parse_pushed([msgpack.packb(header), data])
    except ProtocolError:
        return
    assert len(pushed.pcm.decode(pushed.data)) * pushed.pcm.frame_bytes == len(data) > 0
