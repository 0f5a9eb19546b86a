"""The bridge to NATS against the real nats-server: once, in order, whatever is killed."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from glatd.clients.bridges.base import Away
from glatd.clients.bridges.nats_bridge import NatsBridge, NatsSettings, subject_of
from glatd.clients.cursor import FileCursor
from glatd.errors import ConfigError
from glatd.messages import Event, from_map
from tests.clients.bridges.beside import beside, of
from tests.clients.nodes import PRODUCER, Node
from tests.daemon.journal.made import event
from tests.daemon.processes import free_endpoint, running, started
from tests.servers.certificates import make_certificates
from tests.servers.jetstream import JetStream, Stored

PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def server() -> Iterator[JetStream]:
    with JetStream() as made:
        yield made


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(Node(tmp_path / "journal", session=f"s{time.monotonic_ns()}")) as made:
        yield made


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glatd.clients.bridges.base.FIRST_WAIT_S", 0.1)
    monkeypatch.setattr("glatd.clients.bridges.base.LONGEST_WAIT_S", 1.0)


def settings(far: JetStream, node: Node, stream: str, folder: Path, **other: object) -> NatsSettings:
    """A bridge to a stream of a test's own."""
    values = {"server": (far.uri,), "jetstream": stream, "subject": stream.lower(), **of(node), **other}
    return NatsSettings(cursor=str(folder / "nats.cursor"), **values)  # type: ignore[arg-type]


def wait_for(server: JetStream, stream: str, count: int) -> list[Stored]:
    """Until so many stand in the stream; all of them."""
    reach(server, stream, count)
    return server.stored(stream)


def reach(server: JetStream, stream: str, count: int) -> int:
    """Until so many stand in the stream; how many do."""
    until = time.monotonic() + PATIENCE_S
    while (there := server.count(stream)) < count:
        assert time.monotonic() < until, f"{there} of {count}"
        time.sleep(0.3)
    return there


def test_each_event_has_a_subject_and_stands_in_the_stream(
    server: JetStream, node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node.say(2, phase="start")
    wanted = settings(server, node, "ONE", tmp_path, window=120.0, days=2.0)
    with caplog.at_level(logging.INFO), beside(NatsBridge(wanted)):
        wait_for(server, "ONE", 2)
        node.say(1, "gate", "Cat", phase="end")
        stored = wait_for(server, "ONE", 3)
    assert [each.subject for each in stored] == [
        "one.edge-1.yard.event.m-0bt9lr.start", "one.edge-1.yard.event.m-0bt9lr.start",
        "one.edge-1.gate.event.m-01yrx.end",
    ]  # fmt: skip
    for number, each in enumerate(stored, 1):
        said = from_map(each.message)
        assert isinstance(said, Event) and said.offset == number and each.name == f"{node.session}-{number}"
    config = server.about("ONE")
    assert config.subjects == ["one.>"] and (config.duplicate_window, config.max_age) == (120.0, 172_800.0)
    assert "had no stream for glatd; made stream ONE of one.>: repeats within 120 s are dropped" in caplog.text
    position = FileCursor(wanted.cursor).load("edge-1")
    assert position is not None and position.offset == 3


def test_what_was_published_before_is_dropped(
    server: JetStream, node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a kill between the stream's answer and the cursor."""
    node.say(5)
    for name, repeats in (("a", 0), ("b", 5)):
        wanted = settings(server, node, "TWO", tmp_path / name)
        (tmp_path / name).mkdir()
        bridge = NatsBridge(wanted)
        with caplog.at_level(logging.INFO), beside(bridge):
            until = time.monotonic() + PATIENCE_S
            while (position := FileCursor(wanted.cursor).load("edge-1")) is None or position.offset < 5:
                assert time.monotonic() < until
                time.sleep(0.2)
        assert bridge.link.repeats == repeats
    assert len(server.stored("TWO")) == 5
    assert "has stream TWO of two.>: repeats within 3600 s are dropped, events are kept 30 days" in caplog.text


@pytest.mark.parametrize(
    ("kills", "rate"),
    [
        pytest.param(1, 50, marks=pytest.mark.timeout(300)),
        pytest.param(20, 50, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_the_server_and_the_bridge_are_killed(tmp_path: Path, kills: int, rate: int) -> None:
    """kill -9 of one after the other while events flow: none is lost, none is there twice, and all are in order."""
    publish, catchup = free_endpoint(), free_endpoint()
    produce = [sys.executable, str(PRODUCER), str(tmp_path / "journal"), publish, catchup, str(rate)]
    with JetStream() as server, started(produce):
        command = ["bridge", "nats", "--publish", publish, "--catchup", catchup, "--server", server.uri]
        command += ["--cursor", str(tmp_path / "cursor"), "--fresh", "first"]
        there = 0
        for kill in range(kills):
            with running(*command):  # killed at the end of the block
                there = reach(server, "GLATD", there + 20)
                if kill % 2 == 0:
                    server.kill()
                    time.sleep(0.5)
                    server.start()
                    there = reach(server, "GLATD", there + 20)
        with running(*command):
            stored = wait_for(server, "GLATD", there + 20)
    offsets = [each.message["offset"] for each in stored]
    assert offsets == list(range(1, len(offsets) + 1))


def test_a_server_that_comes_late_and_goes(node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = JetStream()
    node.say(2)
    with caplog.at_level(logging.INFO), beside(NatsBridge(settings(server, node, "LATE", tmp_path))):
        wait_for_log(caplog, f"nats://localhost:{server.port} is away: ")
        with server:
            wait_for(server, "LATE", 2)
            server.freeze()
            node.say(1)
            time.sleep(0.5)
            server.thaw()
            node.say(1)
            stored = wait_for(server, "LATE", 4)
            wait_for_log(caplog, "is back after")
    assert [each.message["offset"] for each in stored] == [1, 2, 3, 4]


def wait_for_log(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Until the log says so."""
    until = time.monotonic() + PATIENCE_S
    while text not in caplog.text:
        assert time.monotonic() < until, caplog.text
        time.sleep(0.1)


def test_tls_and_a_password(node: Node, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    secret = tmp_path / "password"
    secret.touch(0o600)
    secret.write_text("p@ss word\n")
    with JetStream(certificates, ("glatd", "p@ss word")) as server:
        node.say(2)
        url = f"tls://glatd@localhost:{server.port}"
        good = settings(
            server, node, "SAFE", tmp_path, server=(url,), ca=str(certificates.ca), password_file=str(secret)
        )
        with beside(NatsBridge(good)):
            until = time.monotonic() + PATIENCE_S
            while (position := FileCursor(good.cursor).load("edge-1")) is None or position.offset < 2:
                assert time.monotonic() < until
                time.sleep(0.2)
        secret.write_text("other\n")
        with beside(NatsBridge(good)) as bridge:
            error = bridge.end()
        assert isinstance(error, ConfigError) and "does not let this in; check user, password" in str(error)
        assert "other" not in str(error)
        distrustful = settings(server, node, "SAFE", tmp_path, server=(url,), password_file=str(secret))
        with closing(NatsBridge(distrustful)) as alone, pytest.raises(Away, match="is not trusted"):
            alone.link.connect()


def test_nothing_is_told_in_clear_that_was_to_be_encrypted(server: JetStream, node: Node, tmp_path: Path) -> None:
    """A server, or somebody on the way to it, that says it has no TLS."""
    url = f"tls://glatd:hunter2@localhost:{server.port}"
    with (
        closing(NatsBridge(settings(server, node, "CLEAR", tmp_path, server=(url,)))) as bridge,
        pytest.raises(ConfigError, match="the server offers no TLS"),
    ):
        bridge.link.connect()


def test_subjects_of_another_stream(server: JetStream, node: Node, tmp_path: Path) -> None:
    server.make("THEIRS", ["ours.>"])
    with (
        closing(NatsBridge(settings(server, node, "OURS", tmp_path))) as bridge,
        pytest.raises(ConfigError, match=r"the subjects ours\.> belong to stream 'THEIRS' there, not to 'OURS'"),
    ):
        bridge.link.connect()


def test_a_server_without_jetstream(node: Node, tmp_path: Path) -> None:
    with (
        JetStream(jetstream=False) as server,
        closing(NatsBridge(settings(server, node, "NONE", tmp_path))) as bridge,
        pytest.raises(Away, match="JetStream does not answer; is it enabled there"),
    ):
        bridge.link.connect()


def test_subjects() -> None:
    odd = event(1, "retract", stream="the gate.2>")
    assert subject_of(odd, "site.glatd") == "site.glatd.edge-1.the_gate_2_.event.m-0bt9lr.retract"


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    for values, said in (
        ({"jetstream": "a.b"}, r"jetstream = 'a\.b' must be letters"),
        ({"subject": "a.>"}, r"subject = 'a\.>' must be such as"),
        ({"server": ("http://me:hunter2@x",)}, r"server = 'http://\*\*\*@x' must be nats://HOST:4222"),
        ({"server": ("nats://a@x", "nats://b@y")}, "have one user"),
        ({"window": 0.0}, "window must be"),
        ({"ca": str(tmp_path / "none")}, "ca = .* cannot be used"),
        ({"credentials": str(tmp_path / "none")}, "cannot read credentials of NATS"),
    ):
        with pytest.raises(ConfigError, match=said):
            NatsBridge(NatsSettings(**{"cursor": str(tmp_path / "c")} | values))  # type: ignore[arg-type]
