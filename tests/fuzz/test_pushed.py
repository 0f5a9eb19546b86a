"""PCM that programs push over ZeroMQ: any frames are samples or a `ProtocolError`, and the source lives on."""

import random
import threading
import time
from typing import Any

import msgpack
import zmq
from hypothesis import strategies as st

from glatd.daemon.sources.pcm_zmq import VERSION, ZmqPcmSource, parse_pushed
from tests.daemon.processes import free_endpoint
from tests.fuzz.exploring import explore, explore_bytes, mutated, seconds, seed_of
from tests.fuzz.test_wire import trees

HEADER = {"v": VERSION, "rate": 16_000, "format": "s16le", "channels": 1, "start": 96_000}
HEADERS = [
    msgpack.packb(HEADER),
    msgpack.packb({"v": 1, "rate": 8_000}),
    msgpack.packb(HEADER | {"format": "s24le", "channels": 2, "more": [1]}),
]
GOOD = [msgpack.packb({"v": 1, "rate": 16_000}), bytes(320)]


def read_frames(frames: list[bytes]) -> None:
    pushed = parse_pushed(frames)
    samples = pushed.pcm.decode(pushed.data)
    assert len(samples) and samples.shape[1] == pushed.pcm.channels


@st.composite
def headers(draw: st.DrawFn) -> dict[Any, Any]:
    """Headers in which some values are others, or absent."""
    fields: dict[Any, Any] = dict(HEADER)
    for name in draw(st.lists(st.sampled_from(sorted(HEADER)), max_size=3)):
        if draw(st.booleans()):
            fields[name] = draw(trees)
        else:
            fields.pop(name, None)
    return fields


@seconds
def test_headers(seconds: float) -> None:
    frames = st.tuples(st.builds(msgpack.packb, headers() | trees), st.binary(max_size=64)).map(list)
    explore(read_frames, frames | st.lists(st.binary(max_size=32), max_size=3), seconds)


@seconds
def test_bytes_of_headers(seconds: float) -> None:
    explore_bytes(lambda header: read_frames([header, bytes(12)]), HEADERS, seconds)


@seconds
def test_a_source(seconds: float) -> None:
    """Whatever is pushed, good samples behind it arrive."""
    rng = random.Random(seed_of(seconds, "pushed"))
    endpoint = free_endpoint()
    source = ZmqPcmSource(endpoint)
    received: list[int] = []

    def read() -> None:
        for block in source.blocks():
            received.append(len(block.samples))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    until = time.monotonic() + seconds
    sent = 0
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        while time.monotonic() < until:
            for _ in range(10):
                # No whole samples: it may be a header of another rate, which ends the source as it should.
                socket.send_multipart([mutated(rng, HEADERS) for _ in range(rng.choice((1, 3)))])
                socket.send_multipart([mutated(rng, HEADERS), b"x"])
            socket.send_multipart(GOOD)
            sent += 1
            # Ten times as fast as real time would be a flood.
            deadline = time.monotonic() + 10
            while len(received) < sent and reader.is_alive() and time.monotonic() < deadline:
                time.sleep(0.005)
            assert len(received) == sent, "the source has ended or hangs"
            assert received[-1] == 160
    source.stop()
    reader.join(10)
    assert not reader.is_alive() and source.refused >= 20 * sent
