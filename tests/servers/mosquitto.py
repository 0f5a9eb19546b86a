"""Mosquitto, an MQTT broker, with or without TLS and passwords; and a plain client to look at it with."""

import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.servers.process import PATIENCE_S, Server

USER, PASSWORD = "glatd", "open sesame"


class Mosquitto(Server):
    """A broker.

    Args:
        tls: with a certificate of its own for localhost, and none of its clients let in without a password.
        rules: lines of an access list; everything is allowed when empty.
    """

    needs = ("mosquitto", "mosquitto_passwd", "openssl")

    def __init__(self, tls: bool = False, rules: str = "") -> None:
        super().__init__()
        self.tls = tls
        self.ca, self.password_file = self.folder / "ca.pem", self.folder / "password"
        lines = [f"listener {self.port} 127.0.0.1", "user root", "set_tcp_nodelay true", "max_queued_messages 0"]
        lines += ["persistence true", f"persistence_location {self.folder}/"]  # what it has taken survives `restart`
        if tls:
            self._certify()
            self.password_file.write_text(f"{PASSWORD}\n")
            self.password_file.chmod(0o600)
            self._call("mosquitto_passwd", "-b", "-c", "passwords", USER, PASSWORD)
            self._call("mosquitto_passwd", "-b", "passwords", "watcher", PASSWORD)
            lines += ["certfile broker.pem", "keyfile broker.key", "allow_anonymous false", "password_file passwords"]
        else:
            lines += ["allow_anonymous true"]
        if rules:
            (self.folder / "rules").write_text(rules)
            lines += ["acl_file rules"]
        named = ("certfile ", "keyfile ", "password_file ", "acl_file ")
        lines = [line.replace(" ", f" {self.folder}/", 1) if line.startswith(named) else line for line in lines]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    @property
    def uri(self) -> str:
        """As the bridge wants it."""
        return f"mqtts://{USER}@localhost:{self.port}" if self.tls else f"mqtt://127.0.0.1:{self.port}"

    def commands(self) -> None:
        """The broker alone."""
        self.run(["mosquitto", "-c", self.folder / "mosquitto.conf"])
        self.wait_for_port()

    def _certify(self) -> None:
        self._call(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.pem",
        )  # fmt: skip
        self._call(
            "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/CN=localhost", "-keyout", "broker.key", "-out", "broker.csr",
        )  # fmt: skip
        (self.folder / "names").write_text("subjectAltName=DNS:localhost\n")
        self._call(
            "openssl", "x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", "broker.pem",
        )  # fmt: skip

    def _call(self, *command: str) -> None:
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=PATIENCE_S)


class Watcher:
    """Hears all that a broker says, in order; connects again by itself, and misses nothing that the broker took."""

    def __init__(self, broker: Mosquitto, topic: str = "#") -> None:
        self.messages: list[tuple[str, str, bool]] = []  # topic, payload, and whether it had been kept
        self._came = threading.Condition()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, uuid.uuid4().hex, protocol=paho.MQTTv5)
        if broker.tls:
            self._client.username_pw_set("watcher", PASSWORD)
            self._client.tls_set_context(ssl.create_default_context(cafile=str(broker.ca)))
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_message = self._take
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._ready = threading.Event()
        self._client.reconnect_delay_set(1, 1)
        lasting = Properties(PacketTypes.CONNECT)
        lasting.SessionExpiryInterval = 3600
        host = "localhost" if broker.tls else "127.0.0.1"
        self._client.connect(host, broker.port, clean_start=False, properties=lasting)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _take(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        with self._came:
            self.messages.append((message.topic, message.payload.decode(), message.retain))
            self._came.notify_all()

    def say(self, topic: str, payload: str, retain: bool = False) -> None:
        """Publish."""
        self._client.publish(topic, payload, 1, retain).wait_for_publish(PATIENCE_S)

    def said(self, topic: str) -> list[str]:
        """Payloads of a topic, in order."""
        return [payload for of, payload, _ in self.messages if of == topic]

    def stands(self, topic: str) -> str | None:
        """What a topic said last."""
        return next((payload for of, payload, _ in reversed(self.messages) if of == topic), None)

    def wait_for(self, found: Callable[[], Any], what: str, seconds: float = 90.0) -> None:
        """Wait until something has come."""
        until = time.monotonic() + seconds
        with self._came:
            while not found():
                left = until - time.monotonic()
                if left <= 0:
                    pytest.fail(f"{what} did not come; last: {self.messages[-8:]}")
                self._came.wait(min(left, 1.0))

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
