"""What arrives over ZeroMQ: any bytes are a message, or a `ProtocolError`."""

import random
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import zmq
from hypothesis import strategies as st

from glatd.clients.subscriber import Subscriber
from glatd.daemon.control import LARGEST_REQUEST, REQUESTS, Control, parse_request
from glatd.errors import ProtocolError
from glatd.messages import Crop, Event, Gap, Message, Node, Status, Tag, Tags, Unknown, from_map, pack, to_map, unpack
from tests.daemon.processes import free_endpoint
from tests.fuzz.exploring import explore, explore_bytes, mutated, seconds, seed_of

HEAD = ("edge-1", "5f0c", "yard", "2026-01-01T00:00:25.920000Z")
MESSAGES: tuple[Message, ...] = (
    Tags(
        *HEAD, seq=17, start=509_440, end=829_440, rate=32_000, filled=1.0, level_dbfs=-31.2, engine="eac5",
        tags=(Tag("Dog", "/m/0bt9lr", 0.91, 0.84, 0.93), Tag("Animal", "/m/0jbk", 0.8, 0.7, 0.8)),
        crops=(Crop("Dog", 604_800, 700_800, 0.77),),
    ),
    Event(
        *HEAD, offset=3, id="a", phase="start", label="Dog", mid="/m/0bt9lr", rate=32_000, onset=1, offset_time=None,
        peak=0.9, mean=0.5, evidence={"crop": [1, 2], "fused": 0.5}, cause="",
    ),
    Gap(*HEAD, start=1, end=2, rate=32_000, cause="overload"),
    Status(
        *HEAD, state="live", uri="mic:", engine="eac5", rate=32_000, samples=5, lost=0, windows=1, late_ms=4.0,
        findings=("very quiet: -85 dBFS",), drift_ppm=3.5,
    ),
    Node(
        *HEAD, engine="eac5", streams=1, live=1, windows=2, late_ms=3.0, policy="full", level=0, steps=0, crops=5,
        hops=1, skipped=0, dropped=0, quiet=0, memory_mb=100.0, uptime=5.0,
    ),
)  # fmt: skip
PAYLOADS = [pack(message)[1] for message in MESSAGES]
REQUESTED = [msgpack.packb({"v": 1, "do": do} | dict.fromkeys(names, "yard=mic:")) for do, names in REQUESTS.items()]

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
trees = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def maps(draw: st.DrawFn) -> dict[str, Any]:
    """The map of a message in which some values are others, or absent."""
    fields = to_map(draw(st.sampled_from(MESSAGES)))
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        if draw(st.booleans()):
            fields[name] = draw(trees)
        else:
            fields.pop(name, None)
    return fields


def read_map(fields: dict[str, Any]) -> None:
    """What is taken for a message can be said again, and is the same then."""
    message = from_map(fields)
    if not isinstance(message, Unknown):
        assert unpack(pack(message)[1]) == message


def read_payload(payload: bytes) -> None:
    assert isinstance(unpack(payload), Message | Unknown)


@seconds
def test_maps(seconds: float) -> None:
    explore(read_map, maps(), seconds)


@seconds
def test_trees(seconds: float) -> None:
    explore(read_payload, st.builds(msgpack.packb, trees), seconds)


@seconds
def test_bytes(seconds: float) -> None:
    explore_bytes(read_payload, PAYLOADS, seconds)


def read_request(payload: bytes) -> None:
    do, values = parse_request(payload)
    assert len(values) == len(REQUESTS[do]) and all(values)


@seconds
def test_requests(seconds: float) -> None:
    requests = st.fixed_dictionaries({}, optional={"v": trees | st.just(1), "do": trees | st.sampled_from([*REQUESTS])})
    explore(read_request, st.builds(msgpack.packb, requests | trees), seconds)


@seconds
def test_bytes_of_requests(seconds: float) -> None:
    explore_bytes(read_request, REQUESTED, seconds)


@pytest.fixture
def publisher() -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        socket.bind("tcp://127.0.0.1:0")
        yield socket


@seconds
def test_a_subscriber(publisher: "zmq.Socket[bytes]", seconds: float) -> None:
    """It gives every payload or refuses it, and lives on: the message behind is given as it is."""
    rng = random.Random(seed_of(seconds, "subscriber"))
    endpoint = publisher.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")
    topic, good = pack(MESSAGES[2])
    until = time.monotonic() + seconds
    with Subscriber(endpoint, timeout=10.0) as messages:
        time.sleep(0.2)  # a subscription takes its time
        while time.monotonic() < until:
            frames = rng.choice(([topic, mutated(rng, PAYLOADS)], [mutated(rng, PAYLOADS)] * rng.randrange(1, 4)))
            publisher.send_multipart(frames)
            publisher.send_multipart([topic, good])
            try:
                first = next(iter(messages))
            except ProtocolError:
                pass
            else:
                assert isinstance(first, Message | Unknown)
            assert next(iter(messages), None) == MESSAGES[2], frames  # None: it was quiet for too long


@seconds
def test_a_control_socket(seconds: float) -> None:
    """Whatever comes, the next good request is answered."""
    rng = random.Random(seed_of(seconds, "control"))
    endpoint = free_endpoint()
    control = Control(endpoint, {do: lambda *values: {"got": list(values)} for do in REQUESTS})
    good = msgpack.packb({"v": 1, "do": "add", "source": "mic:"})
    until = time.monotonic() + seconds
    try:
        with zmq.Context() as context:
            while time.monotonic() < until:
                with context.socket(zmq.DEALER) as socket:
                    socket.linger = 0
                    socket.connect(endpoint)
                    for _ in range(20):
                        frames = [mutated(rng, REQUESTED) for _ in range(rng.randrange(1, 4))]
                        # Who sends more is hung up on.
                        socket.send_multipart([frame[:LARGEST_REQUEST] for frame in frames])
                        socket.send_multipart([b"", good])
                        replies = []
                        for _ in range(2):
                            assert socket.poll(10_000), "no reply"
                            *_, reply = socket.recv_multipart()
                            replies.append(msgpack.unpackb(reply))
                        assert all(reply["v"] == 1 and isinstance(reply["ok"], bool) for reply in replies)
                        assert replies[-1] == {"v": 1, "ok": True, "got": ["mic:"]}
    finally:
        control.close()
