"""The guard of a socket: who comes in, who does not and is told so once, and who is shown out."""

import dataclasses
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import zmq

from glatd.clients.feeder import AudioFeeder
from glatd.clients.keys import Handshakes, Keys, probe, read_keys, use_keys
from glatd.clients.subscriber import Subscriber
from glatd.daemon.endpoint import Endpoint, Purpose
from glatd.daemon.publish import Publisher
from glatd.daemon.security import keyring
from glatd.daemon.security.access import Access, make_access
from glatd.daemon.security.guard import UNKNOWN_AN_HOUR, Told, hang_up
from glatd.errors import ConfigError
from glatd.messages import Gap
from tests.daemon.processes import free_endpoint

PURPOSE = Purpose("be asked", "catchup", "subscribe", largest=1024, waiting=100, linger_ms=100)
SOON_MS = 20_000
HEAD = ("n", "s", "yard", "2026-01-01T00:00:00.000000Z")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keyring.init(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def access(folder: Path) -> Access:
    return make_access(str(folder), False)


@pytest.fixture
def phone(folder: Path) -> Keys:
    return read_keys(keyring.add(folder, "phone", ["subscribe"]))


@pytest.fixture(params=["tcp", "ipc"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="glatd-") as short:
        yield free_endpoint() if request.param == "tcp" else f"ipc://{short}/socket"


class Caller:
    """A client with a DEALER."""

    def __init__(self, address: str, keys: Keys | None) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.linger = 0
        use_keys(self.socket, keys)
        self.handshakes = Handshakes(self.socket, address, keys)
        self.socket.connect(address)

    def is_answered(self, endpoint: Endpoint) -> bool:
        self.socket.send(b"hello")
        assert endpoint.socket.poll(SOON_MS)
        frames = endpoint.receive()
        if frames:
            endpoint.socket.send_multipart(frames)
        return bool(frames) and self.handshakes.wait(SOON_MS) and self.socket.recv() == b"hello"

    def refusal(self) -> str:
        with pytest.raises(ConfigError) as caught:
            assert not self.handshakes.wait(SOON_MS), "was answered"
        return str(caught.value)

    def close(self) -> None:
        self.handshakes.close()
        self.socket.close()
        self._context.term()


@contextmanager
def calling(address: str, keys: Keys | None) -> Iterator[Caller]:
    with closing(Caller(address, keys)) as caller:
        yield caller


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def told(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    """The warnings, when there are so many."""
    until = time.monotonic() + 20
    while len(warnings(caplog)) < count and time.monotonic() < until:
        time.sleep(0.02)
    return warnings(caplog)


def test_who_has_a_key_comes_in(address: str, access: Access, phone: Keys, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Endpoint(zmq.ROUTER, address, PURPOSE, access)) as endpoint, calling(address, phone) as caller:
        assert caller.is_answered(endpoint) and caller.is_answered(endpoint)
    assert not warnings(caplog)


def test_who_has_none_or_another_is_refused_and_told_once(
    address: str, folder: Path, access: Access, phone: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    mouth = read_keys(keyring.add(folder, "mouth", ["feed"]))
    public, secret = (key.decode() for key in zmq.curve_keypair())
    unknown = dataclasses.replace(phone, public=public, secret=secret)
    elsewhere = dataclasses.replace(phone, node=public)
    cases = [
        (mouth, "refuses 'mouth': its key is unknown or revoked there, or lacks", "mouth has no right to subscribe"),
        (unknown, "refuses 'phone': its key is unknown", f"the key {public} is unknown"),
        (None, "asks for keys; give the file that `glatd keys add NAME` made", "without a key"),
        (elsewhere, "is another node than the one that the keys of 'phone' are", "another key for this node"),
    ]  # fmt: skip
    with closing(Endpoint(zmq.ROUTER, address, PURPOSE, access)) as endpoint:
        for count, (keys, said, logged) in enumerate(cases, 1):
            for _ in range(2):
                with calling(address, keys) as caller:
                    assert said in caller.refusal()
                    # Before it leaves: a client that sees that it has no keys may hang up before the node sees it.
                    assert len(told(caplog, count)) == count
            assert logged in warnings(caplog)[-1] and f"refused to subscribe on {address}" in warnings(caplog)[-1]
        assert not endpoint.socket.poll(0)  # nothing of it came through
        with calling(address, phone) as caller:
            assert caller.is_answered(endpoint)


def test_a_revoked_key_loses_its_connection_and_nobody_else_does(
    address: str, folder: Path, access: Access, phone: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    other = read_keys(keyring.add(folder, "other", ["subscribe"]))
    with (
        closing(Endpoint(zmq.ROUTER, address, PURPOSE, access)) as endpoint,
        calling(address, phone) as revoked,
        calling(address, other) as stays,
    ):
        assert revoked.is_answered(endpoint) and stays.is_answered(endpoint)
        stays.handshakes.check()
        keyring.revoke(folder, "phone")
        assert "refuses 'phone'" in revoked.refusal()
        assert "closed a connection" in warnings(caplog)[0] and "the key of phone was revoked on" in warnings(caplog)[0]
        assert not stays.handshakes._monitor.poll(300)  # it had no reason to connect again
        assert stays.is_answered(endpoint)
        assert len(warnings(caplog)) == 2  # the connection, and the try after it


def test_a_right_that_is_taken_away_ends_the_connection(
    folder: Path, access: Access, phone: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    address = free_endpoint()
    with closing(Endpoint(zmq.ROUTER, address, PURPOSE, access)) as endpoint, calling(address, phone) as caller:
        assert caller.is_answered(endpoint)
        path = folder / "clients.toml"
        path.write_text(path.read_text().replace('["subscribe"]', '["feed"]'))
        assert "lacks the right" in caller.refusal()


def test_a_message_that_was_under_way_as_its_key_was_revoked_is_not_taken(
    folder: Path, access: Access, phone: Keys
) -> None:
    address = free_endpoint()
    with closing(Endpoint(zmq.ROUTER, address, PURPOSE, access)) as endpoint, calling(address, phone) as caller:
        caller.socket.send(b"hello")
        assert endpoint.socket.poll(SOON_MS)
        keyring.revoke(folder, "phone")
        assert endpoint.receive() == []
        assert "refuses 'phone'" in caller.refusal()


def test_a_subscriber_hears_until_its_key_is_revoked(folder: Path, access: Access, phone: Keys) -> None:
    other = read_keys(keyring.add(folder, "other", ["subscribe"]))
    publisher = Publisher(free_endpoint(), access)
    gap = Gap(*HEAD, start=0, end=1, rate=32_000, cause="x")
    with (
        closing(publisher),
        Subscriber(publisher.endpoint, ["gap"], timeout=20, keys=phone) as revoked,
        Subscriber(publisher.endpoint, ["gap", "tags"], timeout=20, keys=other) as stays,
    ):
        until = time.monotonic() + 20
        while publisher.subscriptions < 2 and time.monotonic() < until:
            publisher._notice()
            time.sleep(0.01)
        time.sleep(0.2)  # two of the three subscriptions are to one topic, which is told once
        publisher(gap)
        ears = [iter(revoked), iter(stays)]
        assert [next(ear) for ear in ears] == [gap, gap]
        keyring.revoke(folder, "phone")
        publisher(gap)
        with pytest.raises(ConfigError, match="refuses 'phone'"):
            list(ears[0])
        assert next(ears[1]) == gap


def push_for_ever(feeder: AudioFeeder) -> None:
    while True:
        assert not feeder.push(bytes(320))
        time.sleep(0.01)


def test_a_feeder_is_told_that_it_may_not(access: Access, phone: Keys) -> None:
    address = free_endpoint()
    feed = dataclasses.replace(PURPOSE, right="feed")
    with (
        closing(Endpoint(zmq.PULL, address, feed, access)),
        AudioFeeder(address, 16_000, keys=phone) as feeder,
        pytest.raises(ConfigError, match="refuses 'phone'"),
    ):
        push_for_ever(feeder)


def test_keys_for_a_node_without_keys_are_refused_by_the_client(phone: Keys) -> None:
    address = free_endpoint()
    with closing(Endpoint(zmq.ROUTER, address, PURPOSE)), calling(address, phone) as caller:
        assert "has no keys, so nobody could tell who it is" in caller.refusal()
        assert probe(address) == "NULL"


def test_a_node_that_is_not_there_is_waited_for(access: Access, phone: Keys) -> None:
    address = free_endpoint()
    with calling(address, phone) as caller:
        assert not caller.handshakes.wait(300)
        with closing(Endpoint(zmq.ROUTER, address, PURPOSE, access)) as endpoint:
            assert caller.is_answered(endpoint)
        assert not caller.handshakes.wait(300)  # it went, and may come again
        with closing(Endpoint(zmq.ROUTER, address, PURPOSE, access)) as endpoint:
            assert caller.is_answered(endpoint)
    assert probe(address) is None


def test_new_keys_for_every_try_do_not_fill_the_log() -> None:
    told = Told()
    assert sum(told.is_news(f"key {i}", known=False) for i in range(10_000)) == UNKNOWN_AN_HOUR
    assert told.is_news("phone", known=True) and not told.is_news("phone", known=True)


def test_only_connections_of_the_endpoint_are_hung_up(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert not hang_up(file.fileno(), "tcp://127.0.0.1:5555")
    assert not hang_up(-1, "tcp://127.0.0.1:5555") and not hang_up(10_000, "ipc:///x")


def test_an_ipc_socket_is_for_its_owner_alone(access: Access) -> None:
    with tempfile.TemporaryDirectory(prefix="glatd-") as short:
        path = Path(short) / "socket"
        with closing(Publisher(f"ipc://{path}")):
            assert path.stat().st_mode & 0o777 == 0o600 == Path(f"{path}.lock").stat().st_mode & 0o777
            with pytest.raises(ConfigError, match="is taken"):
                Publisher(f"ipc://{path}", access)
