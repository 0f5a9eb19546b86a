"""A daemon whose peers mean it ill: garbage, frames without end, subscriptions by the thousand. It goes on."""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgpack
import pytest
import zmq

from glatd.clients.control import ask
from glatd.clients.feeder import AudioFeeder
from glatd.clients.keys import Keys, read_keys, use_keys
from glatd.clients.subscriber import Subscriber
from glatd.daemon.publish import MOST_TOPIC_BYTES, Publisher
from glatd.daemon.security import keyring
from glatd.daemon.security.access import make_access
from glatd.messages import Gap, Tags
from tests.daemon.processes import Running, free_endpoint, running

RATE = 16_000
NULL = b"NULL".ljust(20, b"\0")
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + NULL + bytes(32)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
HUGE = b"\x02" + struct.pack(">Q", 2**62)  # the head of a frame of 4 EiB
RAW = {
    "nothing": b"",
    "noise": os.urandom(4096),
    "zeros": bytes(4096),
    "http": b"GET / HTTP/1.1\r\nHost: glatd\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
    "half a greeting": GREETING[:20],
    "another mechanism": GREETING.replace(NULL, b"PLAIN".ljust(20, b"\0")) + b"\x04\x08\x05HELLO\x01a\x01b",
    "no READY": GREETING + HUGE,
    "a huge command": GREETING + b"\x06" + struct.pack(">Q", 2**40) + bytes(1 << 16),
    "READY of lies": GREETING + b"\x04\x10\x05READY\x7fSocket\xff\xff\xff\xff",
    "a huge frame": GREETING + READY + HUGE + bytes(1 << 20),
    "reserved flags": GREETING + READY + b"\xf8\x01x" + os.urandom(500),
    "a long curve": GREETING.replace(NULL, b"CURVE".ljust(20, b"\0")) + b"\x04\xc8\x05HELLO\x01\x00" + os.urandom(400),
}


@dataclass
class Node:
    """A daemon that hears what is pushed to it."""

    process: Running
    publish: str
    control: str
    feed: str
    keys: Keys | None

    def is_well(self) -> None:
        """Commands, audio and messages go through."""
        assert ask(self.control, "version", timeout=30, keys=self.keys)["node"] == "node"
        with (
            Subscriber(self.publish, ["tags"], timeout=1.0, keys=self.keys) as messages,
            AudioFeeder(self.feed, RATE, keys=self.keys) as feeder,
        ):
            until = time.monotonic() + 60
            while time.monotonic() < until:
                for _ in range(10):
                    feeder.push(bytes(RATE // 5))
                    time.sleep(0.1)
                while messages._socket.poll(0):
                    if isinstance(next(iter(messages)), Tags):
                        return
        raise AssertionError(f"no window within 60 s: {self.process.errors[-5:]}")

    def connect(self, kind: int, endpoint: str) -> "zmq.Socket[bytes]":
        socket_ = zmq.Context.instance().socket(kind)
        socket_.linger, socket_.sndhwm = 0, 0  # or it would drop subscriptions itself
        use_keys(socket_, self.keys)
        socket_.connect(endpoint)
        return socket_


@pytest.fixture(scope="module", params=[False, True], ids=["without keys", "with keys"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    keys = None
    config = [f'{name} = "{free_endpoint()}"' for name in ("publish", "control")]
    if request.param:
        keyring.init(folder / "keys")
        keys = read_keys(keyring.add(folder / "keys", "all", ["subscribe", "feed", "control"]))
        config.append(f'keys = "{folder}/keys"')
    config += [
        'node = "node"',
        "status_seconds = 0.5",
        "top = 3",
        "[[source]]",
        'name = "yard"',
        f'uri = "zmq+{free_endpoint()}"',
    ]
    (folder / "glatd.toml").write_text("\n".join(config), encoding="utf-8")
    publish, control, feed = (line.split('"')[1] for line in (config[0], config[1], config[-1]))
    with running("run", "--config", folder / "glatd.toml") as process:
        made = Node(process, publish, control, feed.removeprefix("zmq+"), keys)
        made.is_well()
        yield made
        assert process.process.poll() is None, process.errors


def say(endpoint: str, data: bytes) -> None:
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), 10) as peer, suppress(OSError):
        peer.settimeout(0.2)
        peer.sendall(data)
        while peer.recv(4096):
            pass


def test_bytes_that_are_no_zeromq_change_nothing(node: Node) -> None:
    for endpoint in (node.publish, node.control, node.feed):
        for data in RAW.values():
            say(endpoint, data)
    node.is_well()
    assert not [line for line in node.process.errors if "Traceback" in line or "CRITICAL" in line]
    assert len(node.process.errors) < 40, "each kind of refusal is told once"


def test_a_hundred_that_connect_and_say_nothing(node: Node) -> None:
    host, _, port = node.publish.removeprefix("tcp://").rpartition(":")
    silent = [socket.create_connection((host, int(port)), 10) for _ in range(100)]
    node.is_well()
    for peer in silent:
        peer.close()


@pytest.mark.parametrize("kind", [zmq.PUSH, zmq.REQ, zmq.PUB, zmq.DEALER, zmq.PAIR, zmq.SUB, zmq.XSUB])
def test_sockets_of_the_wrong_kind_and_messages_that_are_none(node: Node, kind: int) -> None:
    for endpoint in (node.publish, node.control, node.feed):
        with node.connect(kind, endpoint) as peer:
            for frames in (
                [b""],
                [b"\xc1" * 100],
                [os.urandom(50_000)],
                [bytes(3 << 20)],
                [b""] * 50,
                [msgpack.packb({"v": 99})],
            ):
                with suppress(zmq.ZMQError):
                    peer.send_multipart(frames, zmq.DONTWAIT)
            time.sleep(0.05)
    assert ask(node.control, "version", timeout=30, keys=node.keys)


def test_ten_thousand_subscriptions_come_and_go(node: Node) -> None:
    with node.connect(zmq.XSUB, node.publish) as peer:
        for change in (b"\x01", b"\x00"):
            for number in range(10_000):
                peer.send(change + b"tags/node/%d/" % number)
        for number in range(10_000):
            peer.send(b"\x01tags/node/%d/" % number)
            peer.send(b"\x00tags/node/%d/" % number)
        peer.send(b"\x01status/")
        assert peer.poll(30_000), "its last subscription was not taken"
        node.is_well()
    with node.connect(zmq.XSUB, node.publish) as peer:  # ever more of them: it is hung up on, and nobody else
        for number in range(20_000):
            peer.send(b"\x01" + b"%0300d" % number)
    node.is_well()


def test_one_that_never_reads_hurts_only_itself(tmp_path: Path) -> None:
    keyring.init(tmp_path / "keys")
    keys = read_keys(keyring.add(tmp_path / "keys", "phone", ["subscribe"]))
    publisher = Publisher(free_endpoint(), make_access(str(tmp_path / "keys"), False))
    gap = Gap("n", "s", "yard", "2026-01-01T00:00:00.000000Z", start=0, end=1, rate=32_000, cause="x" * 500)
    heard, slowest = 0, 0.0
    with zmq.Context() as context, context.socket(zmq.SUB) as deaf, context.socket(zmq.SUB) as ear:
        for peer, waiting in ((deaf, 1), (ear, 1000)):
            peer.linger, peer.rcvhwm, peer.rcvbuf = 0, waiting, 4096
            use_keys(peer, keys)
            peer.subscribe("gap/" if peer is ear else "")
            peer.connect(publisher.endpoint)
        while publisher.subscriptions < 2:
            publisher._notice()
            time.sleep(0.01)
        for _ in range(60):
            began = time.monotonic()
            for _ in range(500):
                publisher(gap)
            slowest = max(slowest, time.monotonic() - began)
            for _ in range(500):
                assert ear.poll(20_000), f"heard {heard} of 30,000"
                ear.recv_multipart()
                heard += 1
    assert slowest < 5.0
    publisher.close()


def published(many: int, publisher: Publisher, watch: Callable[[], None]) -> float:
    """The longest that a message took, in seconds."""
    gap = Gap("n", "s", "yard", "2026-01-01T00:00:00.000000Z", start=0, end=1, rate=32_000, cause="x")
    longest = 0.0
    for number in range(many):
        began = time.monotonic()
        publisher(gap)
        longest = max(longest, time.monotonic() - began)
        if number % 100 == 0:
            watch()
    return longest


def test_subscriptions_without_end_do_not_stop_the_publisher(caplog: pytest.LogCaptureFixture) -> None:
    """In one process, so that what becomes of it can be seen."""
    publisher = Publisher(free_endpoint())
    with zmq.Context() as context, context.socket(zmq.XSUB) as peer:
        peer.linger, peer.sndhwm = 0, 0
        peer.connect(publisher.endpoint)
        sent = 0

        def subscribe() -> None:
            nonlocal sent
            for _ in range(500):
                peer.send(b"\x01" + b"%0300d" % sent)
                sent += 1

        longest = published(3_000, publisher, subscribe)
        assert longest < 5.0
        publisher._notice()
    assert "bytes of topics; subscribe to a part" in caplog.text
    assert sum(publisher._bytes.values()) <= 3 * MOST_TOPIC_BYTES
    publisher.close()
