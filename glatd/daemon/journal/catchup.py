"""The catch-up socket: whoever was away asks for the events since an offset.

A ROUTER in a thread of its own, with a connection of its own to the journal. A request is one msgpack map
`{"v": 1, "from": OFFSET, "limit": N, "stream": GLOB, "label": NAME, "id": ANY NUMBER}`, all but `v` and `from`
optional. Its reply is `{"v": 1, "ok": true, "id", "node", "journal", "first", "last", "next", "holes", "events"}` or
`{"v": 1, "ok": false, "id", "error": TEXT}`. The thread rests for as long as it worked, so that no number of requests
takes more than half of its time from the daemon; sizes and queues are bounded.
"""

import fnmatch
import logging
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field

import msgpack
import zmq

from glatd.daemon.answering import Answering
from glatd.daemon.endpoint import Endpoint, Purpose
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.reader import Batch, Reader
from glatd.daemon.security.access import LOCAL, Access
from glatd.errors import ConfigError, GlatdError, ProtocolError
from glatd.labels import mids_below

VERSION = 1
LARGEST_REQUEST = 4096  # bytes; ZeroMQ hangs up on whoever sends more
LARGEST_REPLY = 512 << 10  # bytes of events, but one event at least
MOST_EVENTS = 1000  # a reply
LARGEST_NUMBER = 2**62  # of an offset; SQLite's have 63 bits
LONGEST_TEXT = 200  # of a glob or a label
POLL_MS = 200  # how late a stop is seen
LONGEST_REST = 0.2  # s
PURPOSE = Purpose("answer who was away", "catchup", "subscribe", largest=LARGEST_REQUEST, waiting=100, linger_ms=200)
KEYS = ("from", "limit", "stream", "label", "id")

log = logging.getLogger("glatd.catchup")


@dataclass(frozen=True, slots=True)
class Request:
    """What someone wants to hear."""

    start: int
    limit: int = MOST_EVENTS
    stream: str = "*"  # a glob
    mids: frozenset[str] | None = field(default=None)  # of a label and all below it; None for every class
    id: int = 0

    def fits(self, stream: str, mid: str) -> bool:
        """Whether an event is wanted."""
        return (self.mids is None or mid in self.mids) and (
            self.stream == "*" or fnmatch.fnmatchcase(stream, self.stream)
        )


class CatchUp(Answering):
    """Answers requests until it is closed.

    Args:
        endpoint: ZeroMQ endpoint to bind.
        node: name of this box.
        access: the keys of the node.

    Raises:
        ConfigError: as of `Endpoint`.
    """

    def __init__(self, endpoint: str, journal: Journal, node: str, access: Access = LOCAL) -> None:
        self._journal, self._node = journal, node
        super().__init__("catchup", endpoint, PURPOSE, access, leave=2.0)

    def _serve(self, bound: Endpoint) -> None:
        with closing(Reader(self._journal)) as reader:
            while not self._stopped.is_set():
                if bound.socket.poll(POLL_MS):
                    began = time.monotonic()
                    frames = bound.receive()
                    if frames:
                        self._answer(bound.socket, reader, frames)
                    self._stopped.wait(min(time.monotonic() - began, LONGEST_REST))

    def _answer(self, router: zmq.Socket[bytes], reader: Reader, frames: list[bytes]) -> None:
        # [who] and, from a REQ socket, an empty frame; then the request.
        *envelope, payload = frames
        number = 0
        try:
            if len(envelope) not in (1, 2):
                raise ProtocolError(f"a request of {len(envelope)} frames; send one msgpack map")
            request = parse_request(payload)
            number = request.id
            batch = reader.read(request.start, request.limit, LARGEST_REPLY, request.fits)
            packed = pack_reply(self._node, self._journal.id, request.id, batch)
        except GlatdError as error:
            packed = refusal(number, str(error))
        except sqlite3.Error as error:
            log.error("the journal cannot be read: %s", error)
            packed = refusal(number, f"the journal cannot be read: {error}; try again, and see the log of glatd")
        except Exception as error:  # one request must not end the others
            log.exception("a request failed: %s", error)
            packed = refusal(number, f"{type(error).__name__}: {error}; see the log of glatd")
        try:
            router.send_multipart([*envelope[:2], packed], zmq.DONTWAIT)
        except zmq.ZMQError as error:
            log.debug("a reply could not be sent: %s", error)


def pack_reply(node: str, journal: str, number: int, batch: Batch) -> bytes:
    """The reply with a batch. The events are spliced in as they stand in the journal."""
    head = {
        "v": VERSION,
        "ok": True,
        "id": number,
        "node": node,
        "journal": journal,
        "first": batch.first,
        "last": batch.last,
        "next": batch.next,
        "holes": [[hole.start, hole.stop, hole.cause] for hole in batch.holes],
    }
    packer = msgpack.Packer()
    parts: list[bytes] = [packer.pack_map_header(len(head) + 1)]
    for key, value in head.items():
        parts += (packer.pack(key), packer.pack(value))
    parts += (packer.pack("events"), packer.pack_array_header(len(batch.payloads)), *batch.payloads)
    return b"".join(parts)


def refusal(number: int, text: str) -> bytes:
    """The reply to what cannot be done."""
    packed: bytes = msgpack.packb({"v": VERSION, "ok": False, "id": number, "error": text}, unicode_errors="replace")
    return packed


def parse_request(payload: bytes) -> Request:
    """What someone asks for.

    Raises:
        ProtocolError: no msgpack map, a newer version, an unknown key, or a value that cannot be.
    """
    try:
        request = msgpack.unpackb(payload)
    except Exception as error:  # msgpack raises errors of many kinds
        raise ProtocolError(
            f"a request of {len(payload)} bytes is no msgpack: {str(error) or type(error).__name__}"
        ) from error
    if not isinstance(request, dict):
        raise ProtocolError(f"a request must be a map, this is a {type(request).__name__}")
    version = request.pop("v", None)
    if type(version) is not int or version < 1:
        raise ProtocolError(f'a request needs its version, "v": {VERSION}')
    if version > VERSION:
        raise ProtocolError(f"a request of version {version}; this glatd knows {VERSION}: upgrade it")
    for key in request:
        if key not in KEYS:
            raise ProtocolError(f"unknown key {shown(key)}; known: v, {', '.join(KEYS)}")
    stream, label = request.get("stream", "*"), request.get("label")
    if not isinstance(stream, str) or not 0 < len(stream) <= LONGEST_TEXT:
        raise ProtocolError(f'"stream" must be a glob of 1 to {LONGEST_TEXT} characters; this is {shown(stream)}')
    mids = None
    if label is not None:
        if not isinstance(label, str) or len(label) > LONGEST_TEXT:
            raise ProtocolError(f'"label" must be the name of a class; this is {shown(label)}')
        try:
            mids = mids_below(label)
        except ConfigError as error:
            raise ProtocolError(str(error)) from error
    if "from" not in request:
        raise ProtocolError('a request needs "from", the offset to begin with')
    limit = min(_whole(request, "limit", MOST_EVENTS), MOST_EVENTS)
    return Request(max(1, _whole(request, "from", 1)), limit, stream, mids, _whole(request, "id", 0))


def _whole(request: dict[str, object], key: str, default: int) -> int:
    value = request.get(key, default)
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise ProtocolError(f'"{key}" must be a whole number from 0 on; this is {shown(value)}')
    return value


def shown(value: object) -> str:
    """A value of a request in an error, not longer than a line."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
