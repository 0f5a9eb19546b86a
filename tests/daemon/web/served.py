"""A daemon that serves its dashboard, and programs that ask it."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.daemon.processes import PATIENCE_S, Running, free_endpoint, running
from tests.daemon.sounds import noise, write_wav
from tests.servers.pcm import PcmTcp

Reply = tuple[int, Mapping[str, str], bytes]
Found = Callable[[dict[str, Any]], bool]


class Served:
    """One of them.

    Attributes:
        address: http://HOST:PORT.
        control: its control socket.
        uri: of what it hears.
    """

    def __init__(self, folder: Path, address: str, control: str, uri: str, process: Running) -> None:
        self.folder, self.address, self.process = folder, address, process
        self.control, self.uri = control, uri

    @property
    def port(self) -> int:
        """Of the dashboard."""
        return int(self.address.rpartition(":")[2])

    @property
    def token(self) -> str:
        """That it has made."""
        return (self.folder / "token").read_text().strip()

    @property
    def bearer(self) -> dict[str, str]:
        """The header of who has the token."""
        return {"Authorization": f"Bearer {self.token}"}

    def ask(self, path: str, fields: object = None, method: str = "", **headers: str) -> Reply:
        """Status, headers and body of a GET, or of a POST where there are fields."""
        data = None if fields is None else json.dumps(fields).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            given = {"Content-Type": "application/json"} | given
        request = urllib.request.Request(f"{self.address}{path}", data, given, method=method or None)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                return reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def get(self, path: str, **headers: str) -> Any:
        """The JSON of a GET that is answered with 200."""
        status, _, body = self.ask(path, **headers)
        assert status == 200, body
        return json.loads(body)

    def refused(self, path: str, fields: object = None, method: str = "", **headers: str) -> tuple[int, str]:
        """Status and line of a request that is refused."""
        status, _, body = self.ask(path, fields, method, **headers)
        assert status >= 400, body
        line = json.loads(body)["error"]
        assert line and "\n" not in line
        return status, line

    @contextmanager
    def viewer(self, origin: str | None = None, **headers: str) -> Iterator["Viewer"]:
        """A WebSocket."""
        url = self.address.replace("http", "ws") + "/live"
        with connect(url, origin=origin, additional_headers=headers, compression=None, close_timeout=2) as connection:  # type: ignore[arg-type]
            yield Viewer(connection)

    def raw(self, data: bytes, seconds: float = 20.0) -> bytes:
        """What is answered to any bytes until it hangs up or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            answer = b""
            try:
                connection.sendall(data)
                while piece := connection.recv(1 << 16):
                    answer += piece
            except OSError:  # it hung up while we spoke
                pass
            return answer


class Viewer:
    """What comes over `/live`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.pictures: list[bytes] = []
        self.messages: list[dict[str, Any]] = []

    def watch(self, streams: list[str], labels: list[str]) -> None:
        """Ask for spectrograms and scores."""
        self.connection.send(json.dumps({"watch": {"streams": streams, "labels": labels}}))

    def until(self, found: Found) -> dict[str, Any]:
        """The next message that fits; pictures are put aside."""
        end = time.monotonic() + PATIENCE_S
        while True:
            came = self.connection.recv(max(0.1, end - time.monotonic()))
            if isinstance(came, bytes):
                self.pictures.append(came)
                continue
            self.messages.append(json.loads(came))
            if found(self.messages[-1]):
                return self.messages[-1]

    def picture(self) -> bytes:
        """The next spectrogram."""
        while not self.pictures:
            came = self.connection.recv(PATIENCE_S)
            if isinstance(came, bytes):
                self.pictures.append(came)
            else:
                self.messages.append(json.loads(came))
        return self.pictures.pop(0)


def of(kind: str) -> Found:
    """Messages of a type."""
    return lambda message: message["type"] == kind


@contextmanager
def served(folder: Path, sound: Path | None = None) -> Iterator[Served]:
    """A daemon that hears a sound in a loop, with a journal, clips, a token and live listening."""
    address, control = free_endpoint().replace("tcp", "http"), free_endpoint()
    config = folder / "glatd.toml"
    config.write_text(
        f'node = "edge-1"\npublish = ""\nstatus_seconds = 1.0\ncrops = 2\njournal = "{folder / "journal"}"\n'
        f'control = "{control}"\n'
        f"[events]\non = 0.15\noff = 0.1\nhold = 0.5\n"
        f'[clips]\nfolder = "{folder / "clips"}"\npost_roll = 0.0\nlongest = 5.0\n'
        f'[web]\naddress = "{address}"\ntoken = "{folder / "token"}"\nlisten = true\n'
        'origins = ["https://box.example"]\n'
    )
    sound = sound or write_wav(folder / "noise.wav", noise(5 * 48_000, 1), 48_000)
    with (
        PcmTcp(sound) as server,
        running("run", "--config", config, "--source", f"yard={server.uri}", "--format", "jsonl") as process,
    ):
        process.wait_for(of("tags"))
        yield Served(folder, address, control, server.uri, process)
