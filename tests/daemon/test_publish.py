"""The publisher's socket: who is there, what is taken, and that it never waits for a reader."""

import dataclasses
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from glatd.daemon.publish import Publisher
from glatd.errors import ConfigError
from glatd.messages import Gap, pack
from tests.daemon.processes import free_endpoint, started

MESSAGE = Gap("n", "s", "yard", "2026-01-01T00:00:00.000000Z", start=0, end=1, rate=32_000, cause="x")
PLAIN = Path(__file__).with_name("plain_subscriber.py")
NEVER = threading.Event()


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as made:
        yield made


def test_a_subscriber_is_noticed_and_hears(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    publisher = Publisher(free_endpoint())
    assert not publisher.wait_for_subscriber(0.05, NEVER)
    with context.socket(zmq.SUB) as subscriber:
        subscriber.subscribe("gap/n/")
        subscriber.connect(publisher.endpoint)
        assert publisher.wait_for_subscriber(10, NEVER)
        publisher(MESSAGE)
        assert subscriber.poll(10_000)
        assert tuple(subscriber.recv_multipart()) == pack(MESSAGE)
    publisher.close()


def test_a_subscription_to_a_topic_brings_that_alone() -> None:
    publisher = Publisher(free_endpoint())
    with started([sys.executable, str(PLAIN), publisher.endpoint, "gap/n/yard/"]) as listener:
        assert publisher.wait_for_subscriber(30, NEVER)
        for stream in ("yard-2", "yar", "yard"):
            publisher(dataclasses.replace(MESSAGE, stream=stream))
        assert listener.wait_for(lambda message: True)["stream"] == "yard"
    publisher.close()


def test_waiting_ends_when_told() -> None:
    publisher, stopped = Publisher(free_endpoint()), threading.Event()
    stopped.set()
    assert not publisher.wait_for_subscriber(1e9, stopped)
    publisher.close()


def test_what_nobody_reads_is_dropped_and_not_waited_for(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    publisher = Publisher(free_endpoint())
    with context.socket(zmq.SUB) as subscriber:
        subscriber.rcvhwm = 1
        subscriber.subscribe("")
        subscriber.connect(publisher.endpoint)
        assert publisher.wait_for_subscriber(10, NEVER)
        for _ in range(40_000):
            publisher(MESSAGE)
    publisher.close()


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_a_taken_address_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    endpoint = free_endpoint() if kind == "tcp" else f"ipc://{tmp_path}/glatd.ipc"
    publisher = Publisher(endpoint)
    with pytest.raises(ConfigError, match=f"cannot publish on {endpoint}: the address is taken; .*another --publish"):
        Publisher(endpoint)
    publisher.close()
    Publisher(endpoint).close()  # free again


def test_a_port_of_another_program_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match="is taken"):
            Publisher(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "garbage",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:port",
        "tcp://127.0.0.1:99999",
        "udp://127.0.0.1:5",
        "tcp://no.such.host.invalid:5",
        "",
    ],
)
def test_what_is_no_endpoint_is_refused_with_an_example(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=f"{endpoint}.*tcp://127.0.0.1:PORT"):
        Publisher(endpoint)


def test_an_ipc_path_in_no_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        Publisher("ipc:///no/such/folder/glatd.ipc")
