"""nats-server with JetStream: what stands in its streams stays on the disk over all starts."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import nats

from tests.servers.certificates import Certificates
from tests.servers.process import Server


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream."""

    subject: str
    name: str  # Nats-Msg-Id
    message: Any  # what the JSON says


class JetStream(Server):
    """nats-server on a port of its own.

    Args:
        certificates: for TLS, without which nobody is served then.
        login: user and password that are asked for.
        jetstream: whether it is enabled.
    """

    needs = ("nats-server",)

    def __init__(
        self, certificates: Certificates | None = None, login: tuple[str, str] | None = None, jetstream: bool = True
    ) -> None:
        super().__init__()
        self.certificates, self.login = certificates, login
        self.jetstream = jetstream

    @property
    def uri(self) -> str:
        """Of the server, without user and password."""
        return f"{'tls' if self.certificates else 'nats'}://localhost:{self.port}"

    def commands(self) -> None:
        """One process."""
        config: dict[str, Any] = {"host": "127.0.0.1", "port": self.port}
        if self.jetstream:
            config["jetstream"] = {"store_dir": str(self.folder / "store")}
        if self.certificates:
            config["tls"] = {"cert_file": str(self.certificates.certificate), "key_file": str(self.certificates.key)}
        if self.login:
            config["authorization"] = {"user": self.login[0], "password": self.login[1]}
        path = self.folder / "nats.conf"
        path.write_text(json.dumps(config))  # which its own format takes too
        self.run(["nats-server", "--config", path])
        self.wait_for_port()

    def count(self, stream: str = "GLATD") -> int:
        """Messages in a stream, 0 where there is none or the server is not ready yet."""
        try:
            return asyncio.run(self._count(stream))
        except (nats.errors.Error, OSError):
            return 0

    def stored(self, stream: str = "GLATD") -> list[Stored]:
        """All messages of a stream, in order."""
        return asyncio.run(self._stored(stream))

    def about(self, stream: str = "GLATD") -> Any:
        """The configuration of a stream."""
        return asyncio.run(self._about(stream))

    def make(self, name: str, subjects: list[str]) -> None:
        """Make a stream, as somebody else."""
        asyncio.run(self._make(name, subjects))

    async def _count(self, stream: str) -> int:
        client = await nats.connect(self.uri)
        try:
            return (await client.jetstream().stream_info(stream)).state.messages
        finally:
            await client.close()

    async def _stored(self, stream: str) -> list[Stored]:
        client = await nats.connect(self.uri)
        try:
            js = client.jetstream()
            state = (await js.stream_info(stream)).state
            found = [await js.get_msg(stream, number) for number in range(1, state.last_seq + 1)]
        finally:
            await client.close()
        return [
            Stored(each.subject or "", (each.headers or {})["Nats-Msg-Id"], json.loads(each.data or b"null"))
            for each in found
        ]

    async def _about(self, stream: str) -> Any:
        client = await nats.connect(self.uri)
        try:
            return (await client.jetstream().stream_info(stream)).config
        finally:
            await client.close()

    async def _make(self, name: str, subjects: list[str]) -> None:
        client = await nats.connect(self.uri)
        try:
            await client.jetstream().add_stream(name=name, subjects=subjects)
        finally:
            await client.close()
