"""What another service sees: typed messages from a real socket, what was missed, and what is no message."""

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator

import msgpack
import pytest

from glatd.clients.subscriber import Subscriber
from glatd.daemon.publish import Publisher
from glatd.errors import ConfigError, ProtocolError
from glatd.messages import Gap, Message, Tag, Tags, Unknown
from tests.daemon.processes import free_endpoint, running

HEAD = {"node": "n", "session": "s1", "stream": "yard", "time": "2026-01-01T00:00:00.000000Z"}
GAP = Gap(**HEAD, start=0, end=320, rate=32_000, cause="overload")
TAGS = Tags(
    **HEAD, seq=0, start=0, end=320_000, rate=32_000, filled=1.0, level_dbfs=-20.0, engine="e",
    tags=(Tag("Dog", "/m/0bt9lr", 0.9, 0.8, 1.0), Tag("Animal", "/m/0jbk", 0.7, 0.7, 0.7)), crops=(),
)
NEVER = threading.Event()


class Node:
    """A daemon's publisher, and the raw socket for what no daemon would send."""

    def __init__(self) -> None:
        self.publisher = Publisher(free_endpoint())
        self.endpoint = self.publisher.endpoint

    def say(self, *messages: Message) -> None:
        assert self.publisher.wait_for_subscriber(30, NEVER)
        for message in messages:
            self.publisher(message)

    def say_bytes(self, *parts: bytes) -> None:
        assert self.publisher.wait_for_subscriber(30, NEVER)
        self.publisher._socket.send_multipart(parts)


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.publisher.close()


def numbered(*seqs: int, stream: str = "yard", session: str = "s1") -> list[Message]:
    return [dataclasses.replace(TAGS, seq=seq, stream=stream, session=session) for seq in seqs]


def test_messages_come_typed_and_in_order(node: Node) -> None:
    with Subscriber(node.endpoint, timeout=1.0) as messages:
        node.say(TAGS, GAP)
        assert list(messages) == [TAGS, GAP]  # ends after a second of quiet
        assert messages.missed == 0


def test_types_and_streams_can_be_chosen(node: Node) -> None:
    with Subscriber(node.endpoint, ["tags"], stream="yard*", timeout=0.5) as messages:
        node.say(GAP, *numbered(0, stream="hall"), *numbered(0, stream="yard-2"), *numbered(5))
        assert [message.stream for message in messages if isinstance(message, Tags)] == ["yard-2", "yard"]


def test_windows_that_were_dropped_are_counted(node: Node) -> None:
    """By stream and run of the daemon; whoever comes late has missed nothing."""
    with Subscriber(node.endpoint, timeout=0.5) as messages:
        node.say(*numbered(7, 8, 11), *numbered(3, 4, stream="hall"), *numbered(0, 2, session="s2"))
        assert len(list(messages)) == 7
        assert messages.missed == 3


def test_a_type_of_a_later_version_comes_as_unknown(node: Node) -> None:
    with Subscriber(node.endpoint, timeout=0.5) as messages:
        fields = {"v": 1, "type": "weather", "wind": 3}
        node.say_bytes(b"weather/n/", msgpack.packb(fields))
        assert list(messages) == [Unknown("weather", fields)]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([b"hello"], "a message of 1 frames, not topic and payload; is this a glatd endpoint"),
        ([b"tags/n/s/", b"a", b"b"], "a message of 3 frames"),
        ([b"tags/n/s/", b"\xc1"], "is no msgpack"),
        ([b"tags/n/s/", msgpack.packb([1])], "is a list, not a map"),
        ([b"tags/n/s/", msgpack.packb({"v": 2, "type": "tags"})], "newer than 1, .*upgrade"),
    ],
)
def test_what_is_no_message_is_refused(node: Node, parts: list[bytes], said: str) -> None:
    with Subscriber(node.endpoint, timeout=10.0) as messages:
        node.say_bytes(*parts)
        with pytest.raises(ProtocolError, match=said):
            list(messages)


def test_a_node_that_starts_later_is_found() -> None:
    endpoint = free_endpoint()
    with Subscriber(endpoint, timeout=10.0) as messages:
        publisher = Publisher(endpoint)
        assert publisher.wait_for_subscriber(10, NEVER)
        publisher(GAP)
        assert next(iter(messages)) == GAP
        publisher.close()


def test_that_nobody_publishes_is_said_once(
    node: Node, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glatd.clients.subscriber.PATIENCE_S", 0.3)
    for endpoint, said in ((free_endpoint(), 1), (node.endpoint, 0)):
        caplog.clear()
        with Subscriber(endpoint, timeout=1.0) as messages:
            assert list(messages) == [] == list(messages)
        assert [record.getMessage() for record in caplog.records] == said * [
            f"nobody publishes on {endpoint}; is that what glatd.toml has under publish?"
        ]


def test_another_thread_can_end_it(node: Node) -> None:
    with Subscriber(node.endpoint) as messages:
        threading.Timer(0.2, messages.stop).start()
        assert list(messages) == []


@pytest.mark.parametrize("endpoint", ["", "garbage", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "mic:"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"tcp://HOST:PORT|up to 65535"):
        Subscriber(endpoint)


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), float("inf"), 1e9])
def test_what_is_no_time_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigError, match=r"timeout = .* must be seconds from 0"):
        Subscriber("tcp://127.0.0.1:5555", timeout=timeout)


def test_nothing_but_pyzmq_and_msgpack_is_needed() -> None:
    others = ("numpy", "av", "openvino", "soxr", "sounddevice", "click")
    hide = f"import sys; sys.modules.update(dict.fromkeys({others}));"
    code = f"{hide} from glatd.clients.subscriber import Subscriber; Subscriber('tcp://127.0.0.1:5555').close()"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_the_command_shows_one_label_of_some_streams(node: Node) -> None:
    with running(
        "listen", node.endpoint, "--format", "jsonl", "--label", "Dog", "--stream", "yard*", "--timeout", "2"
    ) as listener:
        node.say(GAP, *numbered(0, 2), *numbered(0, stream="hall"))
        node.say(dataclasses.replace(TAGS, seq=3, tags=TAGS.tags[1:]))
        assert listener.end() == 0
        found = listener.messages
        assert [(message["stream"], message["seq"]) for message in found] == [("yard", 0), ("yard", 2)]
        assert [[tag["label"] for tag in message["tags"]] for message in found] == [["Dog"], ["Dog"]]
        assert listener.errors == ["glatd: 1 windows were dropped on the way; read faster or subscribe to less"]


def test_the_command_refuses_a_newer_version_in_one_line(node: Node) -> None:
    with running("listen", node.endpoint) as listener:
        node.say_bytes(b"tags/n/s/", msgpack.packb({"v": 2, "type": "tags"}))
        assert listener.end() == 5
        assert listener.errors == [
            "glatd: message version 2 is newer than 1, which this glatd reads; upgrade this program's glatd"
        ]


def test_the_command_shows_what_it_does_not_know_as_it_is(node: Node) -> None:
    with running("listen", node.endpoint, "--format", "jsonl", "--timeout", "2") as listener:
        node.say_bytes(b"weather/n/", msgpack.packb({"v": 1, "type": "weather", "raw": b"\x00", "when": 3}))
        assert listener.end() == 0
        assert listener.messages == [{"v": 1, "type": "weather", "raw": "b'\\x00'", "when": 3}]
