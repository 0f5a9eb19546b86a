"""Whoever reaches the dashboard's port, with whatever: no file, no socket and no wait that was not meant for him."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra web")

from starlette.requests import Request
from starlette.responses import Response
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from glatd.daemon.settings import read_settings
from glatd.daemon.web.access import TRIES, Doorman, read_token
from glatd.daemon.web.asking import LARGEST_BODY, Refused
from glatd.daemon.web.board import MOST_VIEWERS
from glatd.daemon.web.guard import Guard
from glatd.daemon.web.protocol import MOST_CONNECTIONS, REQUEST_S
from glatd.errors import ConfigError
from tests.daemon.web.served import Served, Viewer, of, served

pytestmark = pytest.mark.timeout(240)
UPGRADE = (
    b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
LOGIN = b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNK = b"400\r\n" + b"x" * 1024 + b"\r\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that hears noise."""
    with served(tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py", "/static/%2e%2e/settings.py", "/static/..%2fsettings.py", "/static//etc/passwd",
        "/static/%2fetc%2fpasswd", "/static/..\\settings.py", "/static/%00", "/static/", "/static/vendor",
        "/static/vendor/../../settings.py", "//etc/passwd", "/static/index.html/..", "/../etc/passwd",
        "/static/" + "../" * 40 + "etc/passwd",
        "/api/events/../../token", "/api/events/..%2f..%2ftoken/clip", "/static/%c0%ae%c0%ae/settings.py",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_page(daemon: Served, path: str) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)) as client:
        client.putrequest("GET", path, skip_accept_encoding=True)
        client.putheader("Authorization", f"Bearer {daemon.token}")
        client.endheaders()
        reply = client.getresponse()
        body = reply.read()
    assert reply.status in (400, 404), body
    assert b"root:" not in body and b"class WebSettings" not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:80", "", "[::1", "127.0.0.1.evil"]
)
def test_a_name_that_was_made_to_point_here_is_refused(daemon: Served, host: str) -> None:
    status, line = daemon.refused("/api/state", Host=host)
    assert status == 403 and "web.origins" in line
    with pytest.raises(InvalidStatus) as refused, daemon.viewer(Host=host):
        pass
    assert refused.value.response.status_code in (400, 403)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]:8080", "192.168.1.7", "box.example"]
)
def test_addresses_and_names_that_were_given_are_let_in(daemon: Served, host: str) -> None:
    assert daemon.ask("/api/state", Host=host)[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://localhost", "http://localhost:1", "file://"]
)
def test_another_page_reaches_neither_socket_nor_post(daemon: Served, origin: str) -> None:
    status, line = daemon.refused("/api/verdicts", {"id": "a", "verdict": None}, Origin=origin, **daemon.bearer)
    assert status == 403 and "origin of another page" in line
    with pytest.raises(InvalidStatus) as refused, daemon.viewer(origin):
        pass
    assert refused.value.response.status_code == 403
    assert "Access-Control-Allow-Origin" not in daemon.ask("/api/state", Origin=origin)[1]


def test_its_own_page_and_that_of_a_proxy_reach_both(daemon: Served) -> None:
    for origin in (daemon.address, "https://box.example"):
        with daemon.viewer(origin) as viewer:
            viewer.until(of("hello"))
        assert daemon.ask("/api/logout", {}, Origin=origin)[0] == 200


def test_a_form_of_another_page_is_no_post(daemon: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert "Content-Type" in daemon.refused("/api/login", {"token": daemon.token}, Content_Type=kind)[1]


def test_what_is_too_large_is_refused(daemon: Served) -> None:
    assert daemon.refused("/api/login", {"token": "x" * LARGEST_BODY})[0] == 413
    for head in (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"GET /"):
        assert daemon.raw(head + b"x" * 100_000 + b"\r\n\r\n")[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"")
    assert daemon.raw(LOGIN + b"Transfer-Encoding: chunked\r\n\r\n" + 40 * CHUNK)[:12] in (b"HTTP/1.1 413", b"")
    with daemon.viewer() as viewer:
        viewer.connection.send("x" * (17 << 10))
        with pytest.raises(ConnectionClosed) as closed:
            viewer.until(lambda message: False)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\n\r\n", b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /api/state HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-,0-\r\nX\x00: 1\r\n\r\n",
        UPGRADE.replace(b"13", b"1"), UPGRADE.replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"x"),
        UPGRADE.replace(b"/live", b"/nowhere"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(daemon: Served, data: bytes) -> None:
    answer = daemon.raw(data)
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"403", b"404", b"405", b"426", b"505"), answer[:200]


@pytest.mark.parametrize(
    "said",
    ["", "{}", "[]", "null", '{"watch": 1}', '{"watch": {"streams": "yard"}}', '{"watch": {"streams": [1]}}',
     "[" * 9000, json.dumps({"watch": {"labels": ["Dog"] * 65}}), '{"watch": {}, "x": 1}',
     '{"watch": {"streams": [NaN]}}',
    ],
)  # fmt: skip
def test_a_viewer_that_says_nonsense_is_told_and_hung_up_on(daemon: Served, said: str) -> None:
    with daemon.viewer() as viewer:
        viewer.connection.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            viewer.until(lambda message: False)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008 and closed.value.rcvd.reason


def test_a_viewer_that_sends_bytes_or_bad_text_is_hung_up_on(daemon: Served) -> None:
    for sent, text in ((b"\x00", None), (b"\xff\xfe", True)):
        with daemon.viewer() as viewer:
            viewer.connection.send(sent, text=text)
            with pytest.raises(ConnectionClosed) as closed:
                viewer.until(lambda message: False)
            assert closed.value.rcvd is not None and closed.value.rcvd.code in (1007, 1008)


def let_in(daemon: Served, stack: ExitStack) -> Viewer:
    """A viewer, as soon as there is a place: those of before leave theirs a moment after they have gone."""
    end = time.monotonic() + 60
    while True:
        with ExitStack() as trying:
            viewer = trying.enter_context(daemon.viewer())
            try:
                viewer.until(of("hello"))
            except ConnectionClosed:
                assert time.monotonic() < end
                continue
            stack.push(trying.pop_all())
            return viewer


def test_one_viewer_too_many_is_told_so_and_the_others_go_on(daemon: Served) -> None:
    with ExitStack() as stack:
        viewers = [let_in(daemon, stack) for _ in range(MOST_VIEWERS)]
        with daemon.viewer() as one_more:
            with pytest.raises(ConnectionClosed) as closed:
                one_more.until(of("hello"))
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
            assert str(MOST_VIEWERS) in closed.value.rcvd.reason
        viewers[0].until(of("tags"))
    with ExitStack() as stack:
        let_in(daemon, stack)  # their places are free again


def test_who_sends_a_request_byte_by_byte_is_hung_up_on(daemon: Served) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 20)) for _ in range(8)]
        began = time.monotonic()
        for number, connection in enumerate(slow):
            if number:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "[: 4 * number])
        assert daemon.ask("/api/state")[0] == 200
        for connection in slow:
            with suppress(ConnectionResetError):
                assert connection.recv(1000) == b""
        assert REQUEST_S - 1 < time.monotonic() - began < REQUEST_S + 15
    body = (
        b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    assert b"did not come within" in daemon.raw(body)


def test_connections_are_bounded(daemon: Served) -> None:
    with ExitStack() as stack:
        held = []
        for _ in range(MOST_CONNECTIONS + 20):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 20))
            held.append(connection)
        refused = 0
        for connection in held:
            connection.settimeout(0.05)
            try:
                refused += connection.recv(1) == b""
            except TimeoutError:
                pass
            except OSError:
                refused += 1
        assert refused >= 15
    end = time.monotonic() + 60
    while True:
        try:
            assert daemon.ask("/api/state")[0] == 200
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.5)


def test_a_viewer_that_does_not_read_loses_and_slows_nobody(daemon: Served) -> None:
    stuck = socket.create_connection(("127.0.0.1", daemon.port), 20)
    with closing(stuck), daemon.viewer() as viewer:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(UPGRADE)
        viewer.until(of("hello"))
        for _ in range(3):
            viewer.until(of("tags"))
        # Pings whose answers nobody reads do not heap up either.
        ping = b"\x89\xfd\x00\x00\x00\x00" + b"p" * 125
        with pytest.raises(OSError):
            flood(stuck, 100 * ping)
    assert daemon.ask("/api/state")[0] == 200


def flood(connection: socket.socket, data: bytes) -> None:
    """Send for as long as it is taken."""
    for _ in range(100_000):
        connection.sendall(data)


def drain(viewer: ClientConnection) -> None:
    """Read for as long as something comes."""
    while True:
        viewer.recv(20)


def test_wrong_tokens_are_counted() -> None:
    doorman = Doorman("x" * 20, 80)
    for _ in range(TRIES):
        with pytest.raises(Refused, match="not the token"):
            doorman.log_in("y" * 20, Response(), False)
    with pytest.raises(Refused) as refused:
        doorman.log_in("x" * 20, Response(), False)
    assert refused.value.status == 429
    scope = {"type": "http", "headers": [(b"authorization", b"Bearer " + b"x" * 20)]}
    with pytest.raises(Refused):
        Doorman.check(doorman, Request(scope))


def test_without_a_token_nobody_is_let_in() -> None:
    doorman = Doorman("", 80)
    assert not doorman.knows(Request({"type": "http", "headers": [(b"cookie", b"glatd-80=")]}))
    assert not doorman.knows(Request({"type": "http", "headers": [(b"authorization", b"Bearer ")]}))
    with pytest.raises(Refused, match=r"web\.token"):
        doorman.log_in("", Response(), False)


def test_a_token_is_made_for_its_owner_alone_and_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "token"
    token = read_token(path)
    assert len(token) >= 32 and read_token(path) == token and path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_token(path)
    path.chmod(0o600)
    for text in ("short", "two words of a token", "ü" * 20, ""):
        path.write_text(text)
        with pytest.raises(ConfigError, match="holds no token"):
            read_token(path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("listen = true", "needs web.token"),
        ('origins = ["https://box.example/"]', "no path"),
        ('origins = ["box.example"]', "scheme and host"),
        ('adress = ""', "did you mean 'address'"),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, line: str, told: str) -> None:
    config = tmp_path / "glatd.toml"
    config.write_text(f"[web]\n{line}\n")
    with pytest.raises(ConfigError, match=told):
        read_settings(config)


def test_a_guard_knows_its_own_names() -> None:
    guard = Guard(lambda scope, receive, send: None, "box", ["https://Door.example:8443"])  # type: ignore[arg-type, return-value]
    assert all(map(guard.knows, ("box:8080", "BOX", "door.example", "10.0.0.1:80", "[fe80::1]:80")))
    assert not any(map(guard.knows, ("box.evil", "door.example.evil", "", "0x7f000001", "127.1.evil", "@box", "[x]")))
    assert guard.is_ours("https://door.example:8443", "x") and guard.is_ours("http://box:8080", "box:8080")
    assert not guard.is_ours("https://door.example", "x") and not guard.is_ours("http://box", "box:8080")


def test_it_closes_at_once_whoever_looks(daemon: Served) -> None:
    """The last test of this daemon: it is stopped."""
    url = daemon.address.replace("http", "ws") + "/live"
    with ExitStack() as stack:
        viewers = [stack.enter_context(connect(url, close_timeout=1)) for _ in range(3)]
        for viewer in viewers:
            viewer.send(json.dumps({"watch": {"streams": ["yard"], "labels": ["Dog"]}}))
            viewer.recv(60)
        stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 20)).sendall(b"GET /")
        listening = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 20))
        head = "GET /api/listen?stream=yard HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        listening.sendall(f"{head}{daemon.token}\r\n\r\n".encode())
        assert listening.recv(100)
        os.kill(daemon.process.process.pid, signal.SIGTERM)
        assert daemon.process.end() == 0
        with pytest.raises(ConnectionClosed) as closed:
            drain(viewers[0])
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    errors = "\n".join(daemon.process.errors)
    assert "did not close" not in errors and "Traceback" not in errors and daemon.token not in errors, errors
