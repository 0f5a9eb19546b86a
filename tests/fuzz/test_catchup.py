"""What arrives at the catch-up socket, and what a client may be answered: refused by name, or taken."""

import random
import time
from contextlib import closing
from pathlib import Path

import msgpack
import zmq
from hypothesis import strategies as st

from glatd.clients.catchup import parse_reply
from glatd.clients.joining import Reply
from glatd.daemon.journal.catchup import LARGEST_REQUEST, CatchUp, Request, pack_reply, parse_request
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.mark import Mark, pack, parse
from glatd.daemon.journal.reader import Batch
from glatd.daemon.journal.rows import Hole
from glatd.errors import ProtocolError
from glatd.messages import pack as pack_message
from tests.daemon.journal.made import events
from tests.daemon.processes import free_endpoint
from tests.fuzz.exploring import explore, explore_bytes, mutated, seconds, seed_of
from tests.fuzz.test_wire import trees

REQUESTS = [
    msgpack.packb(request)
    for request in (
        {"v": 1, "from": 1},
        {"v": 1, "from": 17, "limit": 5, "stream": "yard*", "label": "Vehicle", "id": 3},
    )
]
REPLY = pack_reply(
    "edge-1", "j", 3, Batch(2, 9, 10, (Hole(1, 2, "x"),), tuple(pack_message(event)[1] for event in events(0, 3)))
)
KEYS = ("v", "from", "limit", "stream", "label", "id")


def read_request(payload: bytes) -> None:
    request = parse_request(payload)
    assert isinstance(request, Request) and request.start >= 1 and request.limit <= 1000


def read_reply(payload: bytes) -> None:
    _, reply = parse_reply([payload])
    assert isinstance(reply, Reply | str)


def read_mark(line: bytes) -> None:
    """A mark is whole or none."""
    try:
        mark = parse(line)
    except ValueError as error:
        raise ProtocolError(type(error).__name__) from error
    assert pack(mark)[:60] == line[:60] or isinstance(mark, Mark)


@seconds
def test_requests(seconds: float) -> None:
    requests = st.fixed_dictionaries(
        {}, optional={key: trees | st.sampled_from([1, "yard", "Dog", 2**63]) for key in KEYS}
    )
    explore(read_request, st.builds(msgpack.packb, requests | trees), seconds)


@seconds
def test_bytes_of_requests(seconds: float) -> None:
    explore_bytes(read_request, REQUESTS, seconds)


@seconds
def test_bytes_of_replies(seconds: float) -> None:
    explore_bytes(read_reply, [REPLY], seconds)


@seconds
def test_bytes_of_marks(seconds: float) -> None:
    explore_bytes(read_mark, [pack(Mark("0123abcd", 10_000, "normal", "boot"))], seconds)


@seconds
def test_a_catch_up_socket(seconds: float, tmp_path: Path) -> None:
    """Whatever comes, the next good request is answered."""
    rng = random.Random(seed_of(seconds, "catchup"))
    endpoint = free_endpoint()
    until = time.monotonic() + seconds
    with closing(Journal(tmp_path)) as journal:
        journal.append(events(0, 50))
        with closing(CatchUp(endpoint, journal, "edge-1")), zmq.Context() as context:
            while time.monotonic() < until:
                with context.socket(zmq.DEALER) as socket:
                    socket.linger = 0
                    socket.connect(endpoint)
                    for _ in range(20):
                        frames = [mutated(rng, REQUESTS) for _ in range(rng.randrange(1, 4))]
                        # Who sends more is hung up on.
                        socket.send_multipart([frame[:LARGEST_REQUEST] for frame in frames])
                        socket.send_multipart([b"", msgpack.packb({"v": 1, "from": 49, "id": 77})])
                        replies = []
                        for _ in range(2):
                            assert socket.poll(10_000), "no reply"
                            replies.append(parse_reply(socket.recv_multipart()[-1:]))
                        number, reply = replies[-1]
                        assert number == 77 and isinstance(reply, Reply)
                        assert [event.offset for event in reply.events] == [49, 50]
