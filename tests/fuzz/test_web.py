"""What arrives at the dashboard: any bytes are a request or a refusal, and the next good request is answered."""

import http.client
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="needs the extra web")

from glatd.daemon.assembly import Assembly
from glatd.daemon.events.settings import KEYS, EventSettings
from glatd.daemon.live_rules import LiveRules
from glatd.daemon.manage import Manager
from glatd.daemon.settings import Settings
from glatd.daemon.web.asking import Refused, parse
from glatd.daemon.web.guard import Guard
from glatd.daemon.web.history import KEYS as WORDS
from glatd.daemon.web.history import read_wish
from glatd.daemon.web.rehearsal import Trial, as_toml
from glatd.daemon.web.serving import Dashboard
from glatd.daemon.web.settings import WebSettings
from glatd.daemon.web.verdicts import Verdicts
from glatd.daemon.web.viewer import read_watch
from glatd.engines.load import load_engine
from glatd.errors import ProtocolError
from tests.fuzz.exploring import explore, explore_bytes, mutated, seconds, seed_of
from tests.fuzz.test_wire import trees

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
JSON = HEAD + b"Content-Type: application/json\r\nContent-Length: "
UPGRADE = (
    b"GET /live" + HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://localhost\r\n\r\n"
)
WATCH = b'{"watch":{"streams":["yard"],"labels":["Dog"]}}'


def masked(code: int, data: bytes) -> bytes:
    """A frame of a client, short, with a key of zeros."""
    return bytes([code, 0x80 | len(data)]) + bytes(4) + data


def post(path: bytes, body: bytes) -> bytes:
    """A POST."""
    return b"POST " + path + JSON + str(len(body)).encode() + b"\r\n\r\n" + body


# What was found by an earlier look: a head that is refused, and behind it a body that makes no sense.
FOUND = [b"POST /api/judge HTTP/1.1\r\nHost: evil\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
REQUESTS = [
    b"GET /" + HEAD + b"\r\n",
    b"GET /static/main.js" + HEAD + b'If-None-Match: "a"\r\n\r\n',
    b"GET /api/state" + HEAD + b"Authorization: Bearer abc\r\nCookie: glatd-80=a; b=c\r\n\r\n",
    b"GET /api/events?stream=ya*&label=Dog&text=x&since=2h&min_peak=0.5&verdict=open&before=9&limit=5" + HEAD + b"\r\n",
    b"GET /api/events/0123456789abcdef0123/clip" + HEAD + b"Range: bytes=0-99,200-\r\n\r\n",
    b"GET /api/timeline?stream=yard&label=Dog&seconds=60" + HEAD + b"\r\nGET /favicon.ico" + HEAD + b"\r\n",
    b"HEAD /api/verdicts.tsv?session=abc" + HEAD + b"Connection: close\r\n\r\n",
    post(b"/api/login", b'{"token":"abc"}'),
    post(b"/api/rehearse", b'{"stream":"yard","label":"Dog","threshold":0.5,"confirm":[1,2]}'),
    post(b"/api/verdicts", b'{"id":"0123","verdict":"confirmed","note":"x"}'),
    b"POST /api/logout"
    + HEAD
    + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    UPGRADE + masked(0x81, WATCH) + masked(0x89, b"ping") + masked(0x81, b"{}"),
    UPGRADE + masked(0x01, WATCH[:9]) + masked(0x80, WATCH[9:]) + masked(0x88, b"\x03\xe8bye"),
]


def refused(error: Refused) -> ProtocolError:
    """As the house's readers refuse."""
    assert 400 <= error.status < 500
    return ProtocolError(str(error))


def read_wish_of(words: dict[str, str]) -> None:
    try:
        assert read_wish(words, NOW).limit >= 1
    except Refused as error:
        raise refused(error) from error


def read_viewer(data: bytes) -> None:
    try:
        streams, labels = read_watch(data.decode("utf-8", "replace"))
    except Refused as error:
        raise refused(error) from error
    assert all(isinstance(name, str) for name in (*streams, *labels))


def read_host(data: bytes) -> None:
    guard = Guard(lambda scope, receive, send: None, "localhost", ["https://box.example"])  # type: ignore[arg-type, return-value]
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "http_version": "1.1", "query_string": b"",
        "headers": [(b"host", data), (b"origin", b"http://" + data)],
    }  # fmt: skip
    found = guard.refusal(scope)
    name = data.decode("latin-1").rpartition("]")[0].strip("[") or data.decode("latin-1").partition(":")[0]
    assert (
        found is not None
        or name.lower() in ("localhost", "box.example")
        or set(name) <= set("0123456789abcdefABCDEF:.")
    )


@pytest.fixture(scope="module")
def rules() -> LiveRules:
    """Of the default engine."""
    manifest = load_engine().manifest
    return LiveRules(EventSettings(), manifest.labels, manifest.geometry, 30_720, "yard")


@seconds
def test_wishes(seconds: float) -> None:
    texts = st.text(max_size=30) | st.sampled_from(["Dog", "Vehicle", "2h", "14:30", "0.5", "9" * 30, "1e999", "open"])
    explore(read_wish_of, st.dictionaries(st.sampled_from(WORDS), texts, max_size=5), seconds)


@seconds
def test_rehearsals(seconds: float, rules: LiveRules) -> None:
    def read_trial(fields: dict[str, Any]) -> None:
        try:
            text = json.dumps(fields)
        except (TypeError, ValueError):  # bytes, keys of other kinds: JSON has none
            return
        try:
            trial = Trial.of(parse(text))
        except Refused as error:
            raise refused(error) from error
        assert as_toml(trial.rule(rules)).startswith("[[events.rule]]")

    head = {"stream": st.just("yard"), "label": st.sampled_from(["Dog", "Animal", "Dgo"]), "threshold": st.floats(0, 1)}
    fields = st.fixed_dictionaries(head, optional={key: trees for key in KEYS if key != "on"})
    explore(read_trial, fields, seconds)


@seconds
def test_bytes_of_viewers(seconds: float) -> None:
    explore_bytes(read_viewer, [WATCH, b'{"watch":{}}'], seconds)


@seconds
def test_bytes_of_hosts(seconds: float) -> None:
    explore_bytes(read_host, [b"localhost:80", b"[::1]:80", b"127.0.0.1", b"box.example", b"evil.example"], seconds)


@seconds
def test_bytes_of_verdicts(seconds: float, tmp_path: Path) -> None:
    line = (
        b'{"v":1,"id":"0123","verdict":"confirmed","note":"","given":"","session":"s","stream":"yard","label":"Dog",'
        b'"mid":"/m/0bt9lr","rate":32000,"onset":320,"end":null,"onset_at":"2026-01-01T00:00:00Z","peak":0.5}\n'
    )
    logging.getLogger("glatd.web").setLevel(logging.ERROR)

    def read_verdicts(data: bytes) -> None:
        (tmp_path / "verdicts.jsonl").write_bytes(data)
        assert Verdicts(tmp_path).table().startswith("filename\t")

    try:
        explore_bytes(read_verdicts, [line, 3 * line], seconds)
    finally:
        logging.getLogger("glatd.web").setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a dashboard whose loop runs."""
    folder = tmp_path_factory.mktemp("web")
    settings = Settings(
        node="edge-1", control="x", web=WebSettings("http://127.0.0.1:0", str(folder / "token"), listen=True)
    )
    assembly = Assembly(settings, load_engine())
    loop = assembly.loop([], [], live=True, every_pass=lambda: dashboard.feed.look())
    loop.stays = True
    manager = Manager(assembly, loop, None)
    with closing(Dashboard(assembly, loop, manager)) as dashboard:
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            yield dashboard.port
        finally:
            loop.stop()
            thread.join(20)


def state(port: int) -> int:
    """The status of a good request."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        client.request("GET", "/api/state", headers={"Host": "localhost"})
        return client.getresponse().status


@seconds
def test_a_dashboard(seconds: float, port: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever comes, the next good request is answered, and no error of ours is in the log."""
    rng = random.Random(seed_of(seconds, "dashboard"))
    until = time.monotonic() + seconds
    sent = FOUND
    while time.monotonic() < until:
        for data in sent:
            with socket.create_connection(("127.0.0.1", port), timeout=0.02) as connection, suppress(OSError):
                connection.sendall(data)
                connection.recv(1 << 16)
        assert state(port) == 200
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert not errors, (errors[0].getMessage(), errors[0].exc_text, [data.hex() for data in sent])
        caplog.clear()
        sent = [mutated(rng, REQUESTS) for _ in range(20)]
