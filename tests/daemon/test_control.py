"""The control socket: what is asked for is done before the reply, and no request ends it."""

import os
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from glatd.clients.control import Refused, ask
from glatd.daemon.control import LARGEST_REQUEST, REQUESTS, Control, parse_request
from glatd.errors import ConfigError, ProtocolError, SourceError
from tests.daemon.processes import free_endpoint


class Streams:
    """What the daemon does, without one."""

    def __init__(self) -> None:
        self.names: dict[str, bool] = {}
        self.threads: set[str] = set()

    def commands(self) -> dict[str, Any]:
        return {
            "version": lambda: {"glatd": "1.2.3"},
            "list": lambda: {"streams": [{"stream": name, "muted": muted} for name, muted in self.names.items()]},
            "reload": self._break,
            "add": self._add,
            "remove": self._remove,
            "mute": lambda name: self.names.update({name: True}) or {},
            "unmute": lambda name: self.names.update({name: False}) or {},
        }

    def _add(self, source: str) -> dict[str, str]:
        self.threads.add(threading.current_thread().name)
        name = source.partition("=")[0]
        if name in self.names:
            raise ConfigError(f"two sources are named {name!r}")
        time.sleep(0.05)
        self.names[name] = False
        return {"name": name}

    def _remove(self, name: str) -> dict[str, str]:
        if name not in self.names:
            raise SourceError(f"no stream {name!r} of rtsp://admin:s3cret@cam/")
        del self.names[name]
        return {}

    def _break(self) -> dict[str, str]:
        raise RuntimeError("rtsp://admin:s3cret@cam/ was a surprise")


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture(params=["tcp", "ipc"])
def control(request: pytest.FixtureRequest, streams: Streams) -> Iterator[Control]:
    # Not pytest's folder: the path of a Unix socket has 108 bytes at most.
    with tempfile.TemporaryDirectory(prefix="glatd-") as folder:
        endpoint = free_endpoint() if request.param == "tcp" else f"ipc://{folder}/control"
        with closing(Control(endpoint, streams.commands())) as made:
            yield made


def test_what_is_asked_for_is_done_when_the_reply_comes(control: Control, streams: Streams) -> None:
    assert ask(control.endpoint, "version") == {"glatd": "1.2.3"}
    assert ask(control.endpoint, "add", source="yard=mic:USB") == {"name": "yard"}
    assert streams.names == {"yard": False} and streams.threads == {"control"}
    ask(control.endpoint, "mute", stream="yard")
    assert ask(control.endpoint, "list") == {"streams": [{"stream": "yard", "muted": True}]}
    ask(control.endpoint, "unmute", stream="yard")
    ask(control.endpoint, "remove", stream="yard")
    assert streams.names == {}


def test_what_cannot_be_done_is_said_without_passwords(control: Control, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Refused, match=r"^no stream 'gate' of rtsp://\*\*\*@cam/$"):
        ask(control.endpoint, "remove", stream="gate")
    with pytest.raises(Refused, match=r"^RuntimeError: rtsp://\*\*\*@cam/ was a surprise; see the log"):
        ask(control.endpoint, "reload")
    assert [record.levelname for record in caplog.records] == ["ERROR"]  # the surprise, with its traceback
    assert ask(control.endpoint, "version")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b"\xc1", "is no msgpack"),
        (b"", "is no msgpack"),
        (b"\x81" * 3000, "is no msgpack"),
        (msgpack.packb([1]), "must be a map, this is a list"),
        (msgpack.packb({"do": "list"}), 'needs its version, "v": 1'),
        (msgpack.packb({"v": True, "do": "list"}), "needs its version"),
        (msgpack.packb({"v": 2, "do": "list"}), "version 2; this glatd knows 1: upgrade it"),
        (msgpack.packb({"v": 1}), "unknown request None; known: version, list"),
        (msgpack.packb({"v": 1, "do": "x" * 9000}), "unknown request 'xxxxx"),
        (msgpack.packb({"v": 1, "do": ["list"]}), "unknown request"),
        (msgpack.packb({"v": 1, "do": "remove"}), 'remove needs "stream", a text; this is None'),
        (msgpack.packb({"v": 1, "do": "add", "source": ""}), 'add needs "source"'),
        (msgpack.packb({"v": 1, "do": "add", "source": b"mic:"}), 'add needs "source"'),
        (msgpack.packb({"v": 1, "do": "remove", "stream": "a", "name": 1}), "remove takes stream, not 'name'"),
        (msgpack.packb({"v": 1, "do": "list", 7: 1}), "is no msgpack"),
    ],
)
def test_a_request_that_is_none_is_refused_by_name(request_: bytes, said: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_request(request_)
    assert said in str(caught.value) and len(str(caught.value)) < 250


def judge(payload: bytes) -> None:
    try:
        do, values = parse_request(payload)
    except ProtocolError:
        return
    assert len(values) == len(REQUESTS[do])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_protocol_error(payload: bytes) -> None:
    judge(payload)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["v", "do", "stream", "source"]) | st.text(), VALUES | st.sampled_from([1, *REQUESTS])
    )
)
def test_any_map_is_a_request_or_a_protocol_error(request_: dict[str, Any]) -> None:
    judge(msgpack.packb(request_))


def test_garbage_on_the_wire_ends_nothing(control: Control, streams: Streams) -> None:
    family, address = socket.AF_UNIX, control.endpoint.removeprefix("ipc://")
    where: Any = address
    if control.endpoint.startswith("tcp"):
        family, where = socket.AF_INET, ("127.0.0.1", int(control.endpoint.rpartition(":")[2]))
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" + bytes(8) + b"\x7f\x03", os.urandom(5000), b""):
        with socket.socket(family, socket.SOCK_STREAM) as raw:
            raw.connect(where)
            with suppress(OSError):  # it hung up already
                raw.sendall(rubbish)
    with zmq.Context() as context:
        with context.socket(zmq.DEALER) as many:
            many.linger = 0
            many.connect(control.endpoint)
            many.send_multipart([b""] * 40)
            many.send_multipart([b"a", b"b", msgpack.packb({"v": 1, "do": "version"})])
            many.send(msgpack.packb({"v": 1, "do": "version"}))
            replies = [msgpack.unpackb(many.recv_multipart()[-1]) for _ in range(3) if many.poll(10_000)]
            assert [reply["ok"] for reply in replies] == [False, False, True]
            assert "frames; send one msgpack map" in replies[0]["error"]
        with context.socket(zmq.DEALER) as large:
            large.linger = 0
            large.connect(control.endpoint)
            large.send(msgpack.packb({"v": 1, "do": "add", "source": "x" * LARGEST_REQUEST}))
            assert not large.poll(300)  # hung up on
        with context.socket(zmq.DEALER) as flood:
            flood.linger = 0
            flood.sndhwm = 0
            flood.connect(control.endpoint)
            for _ in range(5000):  # whoever does not read loses replies, and blocks nobody
                flood.send(b"\xc1")
            assert ask(control.endpoint, "add", source="yard=mic:") == {"name": "yard"}
    assert streams.names == {"yard": False}


def test_an_ipc_path_is_for_its_owner_alone_and_locked(streams: Streams) -> None:
    with tempfile.TemporaryDirectory(prefix="glatd-") as folder:
        endpoint = f"ipc://{folder}/control"
        with closing(Control(endpoint, streams.commands())):
            for name in ("control", "control.lock"):
                assert stat.S_IMODE(os.stat(f"{folder}/{name}").st_mode) == 0o600, name
            with pytest.raises(
                ConfigError, match=r"cannot be controlled on .*: the address is taken; .*another control"
            ):
                Control(endpoint, streams.commands())
            assert ask(endpoint, "version")
        Control(endpoint, streams.commands()).close()  # free again


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match="is taken"):
            Control(endpoint, {})


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://0.0.0.0:5556", "tcp://*:5556", "tcp://192.168.1.5:5556", "tcp://host:5556", "tcp://[::]:5556", "udp://127.0.0.1:1",
     "5556", "tcp://", "tcp://127.0.0.1.example.org:5556", "tcp://lo:5556"],
)  # fmt: skip
def test_what_others_could_reach_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"could be reached by others.*write ipc:///run/glatd/control or tcp://127"):
        Control(endpoint, {})


@pytest.mark.parametrize("endpoint", ["ipc://control", "ipc://@control", "ipc://./control"])
def test_an_ipc_path_must_be_absolute(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="needs an absolute path"):
        Control(endpoint, {})


def test_closing_waits_for_nobody(streams: Streams) -> None:
    control = Control(free_endpoint(), streams.commands())
    began = time.monotonic()
    control.close()
    assert time.monotonic() - began < 5
    with pytest.raises(Refused, match=r"nobody answers on .* within 0.2 s; is glatd running"):
        ask(control.endpoint, "version", timeout=0.2)


def test_the_client_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no socket"):
        ask(f"ipc://{tmp_path}/none", "version")
    with pytest.raises(ConfigError, match="cannot connect to 'garbage'"):
        ask("garbage", "version")
    with pytest.raises(ConfigError, match="no port 99999"):
        ask("tcp://127.0.0.1:99999", "version")
    with pytest.raises(ConfigError, match="timeout"):
        ask("tcp://127.0.0.1:1", "version", timeout=float("nan"))
