"""The webhook against a real web server with TLS: order, signature, retries, kills, and what is refused."""

import base64
import email.utils
import hashlib
import hmac
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from glatd.clients.bridges.base import LONGEST_WAIT_S, read_bridge_settings
from glatd.clients.bridges.webhook import Webhook, WebhookSettings
from glatd.clients.bridges.webhook_post import LONGEST_REST_S, Answer, Poster
from glatd.clients.bridges.webhook_signature import read_secrets, signed
from glatd.clients.cursor import FileCursor
from glatd.daemon.security import keyring
from glatd.daemon.security.access import make_access
from glatd.errors import ConfigError
from glatd.messages import Event, from_map
from tests.clients.bridges.beside import beside, of
from tests.clients.nodes import PRODUCER, Node
from tests.conftest import ROOT
from tests.daemon.processes import free_endpoint, running, started
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.hooks import Hook, Receiver, Say, receiving

SECRET = base64.b64encode(bytes(range(32))).decode()
OLDER = base64.b64encode(bytes(24)).decode()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(Node(tmp_path / "journal")) as made:
        yield made


@pytest.fixture
def receiver(certificates: Certificates) -> Iterator[Receiver]:
    with receiving(certificates) as made:
        yield made


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glatd.clients.bridges.base.FIRST_WAIT_S", 0.05)


def secret_file(folder: Path, *lines: str) -> str:
    """A file that only its owner may read."""
    path = folder / "webhook.secret"
    path.touch(0o600)
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


@pytest.fixture
def settings(node: Node, receiver: Receiver, certificates: Certificates, tmp_path: Path) -> WebhookSettings:
    return WebhookSettings(
        url=receiver.url, ca=str(certificates.ca), secret_file=secret_file(tmp_path, f"whsec_{SECRET}"),
        cursor=str(tmp_path / "webhook.cursor"), **of(node),
    )  # fmt: skip


def changed(settings: WebhookSettings, **values: object) -> WebhookSettings:
    """The same with other values."""
    return type(settings)(**{name: getattr(settings, name) for name in settings.__dataclass_fields__} | values)


def offsets(hooks: list[Hook]) -> list[int]:
    """Of the events that were taken, in order."""
    return [hook.json["data"]["offset"] for hook in hooks if hook.status < 300]


def until(count: int) -> Callable[[list[Hook]], bool]:
    """So many were taken."""
    return lambda hooks: sum(hook.status < 300 for hook in hooks) >= count


def test_each_event_is_a_signed_post(node: Node, receiver: Receiver, settings: WebhookSettings) -> None:
    node.say(2, phase="start")
    with beside(Webhook(settings)):
        receiver.wait_for(until(2))
        node.say(1, phase="end", label="Cat")
        hooks = receiver.wait_for(until(3))
    assert offsets(hooks) == [1, 2, 3] and len({hook.client for hook in hooks}) == 1  # one connection
    for hook in hooks:
        assert hook.path == "/heard?by=glatd" and hook.headers["content-type"] == "application/json"
        event = from_map(hook.json["data"])
        assert isinstance(event, Event)
        assert hook.json["type"] == f"event.{event.phase}" and hook.json["timestamp"] == event.time
        name, second = hook.headers["webhook-id"], hook.headers["webhook-timestamp"]
        assert name == f"s1-{event.offset}" and abs(int(second) - time.time()) < 60
        # As the specification says, and not by the code that made it.
        text = f"{name}.{second}.".encode() + hook.body
        wanted = base64.b64encode(hmac.new(base64.b64decode(SECRET), text, hashlib.sha256).digest()).decode()
        assert hook.headers["webhook-signature"] == f"v1,{wanted}"
    position = FileCursor(settings.cursor).load("edge-1")
    assert position is not None and position.offset == 3


def test_the_example_of_the_specification() -> None:
    """Of its reference implementation's tests."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed([secret, bytes(24)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    first, second = headers["webhook-signature"].split()
    assert first == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" and second.startswith("v1,")


def test_secrets_are_read_with_care(tmp_path: Path) -> None:
    path = secret_file(tmp_path, "# the new one first", f"whsec_{SECRET}", "", OLDER)
    assert read_secrets(path) == (bytes(range(32)), bytes(24))
    for line in ("whsec_c2hvcnQ=", "no base64 at all!", "whsec_"):
        with pytest.raises(ConfigError, match="secret 1 is not 24 to 64 bytes in base64") as error:
            read_secrets(secret_file(tmp_path, line))
        assert "c2hvcn" not in str(error.value)
    with pytest.raises(ConfigError, match="is empty; it should hold the secrets of the webhook"):
        read_secrets(secret_file(tmp_path, "# nothing"))
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match=r"can be used by other users \(mode 0644\); chmod 600"):
        read_secrets(path)
    with pytest.raises(ConfigError, match="cannot read the secrets of the webhook"):
        read_secrets(tmp_path / "none")


def test_what_fails_is_tried_again_in_order(
    node: Node, receiver: Receiver, settings: WebhookSettings, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.say.extend(
        [Say(500), Say(503), Say(429), Say(408), Say(599, hang_up=True), Say(302), Say(200, body=b"thanks")]
    )
    with caplog.at_level(logging.INFO), beside(Webhook(settings)):
        node.say(3)
        hooks = receiver.wait_for(until(3))
    assert [hook.json["data"]["offset"] for hook in hooks] == [1] * 7 + [2, 3]
    assert {hook.headers["webhook-id"] for hook in hooks[:7]} == {"s1-1"}
    told = [record.getMessage() for record in caplog.records]
    far = f"https://localhost:{receiver.port}"
    assert sum(f"{far} is away: 500 Internal Server Error" in line for line in told) == 1
    assert any(line.startswith(f"{far} is back after") for line in told)
    assert "/heard" not in caplog.text  # a path may be a password


def test_the_receiver_says_when_to_come_back(node: Node, receiver: Receiver, settings: WebhookSettings) -> None:
    receiver.say.extend([Say(503, (("Retry-After", "1"),)), Say(429, (("Retry-After", "soon"),))])
    node.say(1)
    with beside(Webhook(settings)):
        hooks = receiver.wait_for(until(1))
    assert len(hooks) == 3 and hooks[1].at - hooks[0].at >= 0.95
    date = email.utils.formatdate(time.time() + 1000, usegmt=True)
    receiver.say.extend([Say(503, (("Retry-After", date),)), Say(503, (("Retry-After", "999999999"),))])
    with closing(Poster(settings.url, settings.ca, 15.0, {})) as poster:
        assert 900 < poster.post(b"{}", {}).rest <= 1000
        assert poster.post(b"{}", {}).rest == LONGEST_REST_S > LONGEST_WAIT_S


def test_what_is_refused_is_kept_and_the_rest_goes_on(
    node: Node, receiver: Receiver, settings: WebhookSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.say.extend([Say(204), Say(422, body=b"no\n such field"), Say(404), Say(204)])
    node.say(4)
    with beside(Webhook(settings)):
        hooks = receiver.wait_for(until(2))
    assert offsets(hooks) == [1, 4] and len(hooks) == 4
    path = tmp_path / "webhook.refused.jsonl"
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["status"], each["webhook-id"], each["event"]["offset"]) for each in kept] == [
        (422, "s1-2", 2), (404, "s1-3", 3),
    ]  # fmt: skip
    assert kept[0]["said"] == "422 Unprocessable Entity: no such field" and path.stat().st_mode & 0o777 == 0o600
    assert "refuses events, which go to" in caplog.text
    position = FileCursor(settings.cursor).load("edge-1")
    assert position is not None and position.offset == 4


def test_what_is_refused_may_block(node: Node, receiver: Receiver, settings: WebhookSettings) -> None:
    receiver.say.extend([Say(401), Say(401), Say(401)])
    node.say(2)
    with beside(Webhook(changed(settings, refused="block"))):
        hooks = receiver.wait_for(until(2))
    assert [hook.status for hook in hooks] == [401, 401, 401, 204, 204] and offsets(hooks) == [1, 2]


def test_gone_is_the_end(node: Node, receiver: Receiver, settings: WebhookSettings) -> None:
    receiver.say.extend([Say(204), Say(410)])
    node.say(3)
    with beside(Webhook(settings)) as bridge:
        error = bridge.end()
    assert isinstance(error, ConfigError) and "is gone for good (410)" in str(error) and "after event 2" in str(error)
    position = FileCursor(settings.cursor).load("edge-1")
    assert position is None or position.offset <= 1


def test_batches(node: Node, receiver: Receiver, settings: WebhookSettings) -> None:
    receiver.say.append(Say(500))
    node.say(25)
    with beside(Webhook(changed(settings, batch=10))):
        hooks = receiver.wait_for(lambda hooks: len(hooks) >= 4)
    assert [[each["offset"] for each in hook.json["data"]] for hook in hooks] == [
        list(range(1, 11)), list(range(1, 11)), list(range(11, 21)), list(range(21, 26)),
    ]  # fmt: skip
    assert {hook.json["type"] for hook in hooks} == {"events"}
    names = [hook.headers["webhook-id"] for hook in hooks]
    assert names[0] == names[1] and len(set(names)) == 3 and "." not in "".join(names)


def test_only_what_is_wanted_is_sent(node: Node, receiver: Receiver, settings: WebhookSettings) -> None:
    wanted = changed(settings, label=("Vehicle",), phase=("start",), stream="yard*", least=0.5)
    for label, stream, phase in (
        ("Dog", "yard", "start"), ("Truck", "yard", "end"), ("Truck", "gate", "start"), ("Truck", "yard-2", "start"),
    ):  # fmt: skip
        node.say(1, stream, label, phase=phase)
    node.say(1, label="Truck", phase="start", peak=0.4)
    node.say(1, label="Car", phase="start")
    with beside(Webhook(wanted)):
        hooks = receiver.wait_for(until(2))
    assert offsets(hooks) == [4, 6]


def test_a_receiver_that_is_not_trusted(
    node: Node, receiver: Receiver, settings: WebhookSettings, caplog: pytest.LogCaptureFixture
) -> None:
    node.say(1)
    with beside(Webhook(changed(settings, ca=""))) as running_:
        wait_for_log(caplog, "its certificate is not trusted")
        running_.stop()
    assert "--ca FILE names who vouches for it" in caplog.text and not receiver.took


def wait_for_log(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Until the log says so."""
    for _ in range(600):
        if text in caplog.text:
            return
        time.sleep(0.1)
    raise AssertionError(caplog.text)


def test_a_receiver_that_does_not_answer(certificates: Certificates, receiver: Receiver) -> None:
    receiver.say.append(Say(204, seconds=1.5))
    with closing(Poster(receiver.url, str(certificates.ca), 0.3, {})) as poster:
        assert poster.post(b"{}", {}) == Answer(0, "no answer within 0.3 s")
        receiver.stop()
        assert poster.post(b"{}", {}) == Answer(0, "connection refused")
    with closing(Poster("http://nobody.invalid/", "", 5.0, {})) as poster:
        assert poster.post(b"{}", {}) == Answer(0, "nobody knows its name")


def test_an_answer_without_end_is_not_read(receiver: Receiver, certificates: Certificates) -> None:
    receiver.say.append(Say(500, body=b"x" * 5_000_000))
    with closing(Poster(receiver.url, str(certificates.ca), 5.0, {})) as poster:
        answer = poster.post(b"{}", {})
        assert answer.status == 500 and len(answer.said) < 300
        assert poster.post(b"{}", {}).verdict == "taken"


def test_further_headers_and_a_login(certificates: Certificates, receiver: Receiver) -> None:
    url = receiver.url.replace("localhost", "me:p%40ss@localhost")
    with closing(Poster(url, str(certificates.ca), 5.0, {"x-token": "t"})) as poster:
        poster.post(b"{}", {"webhook-id": "1"})
        assert "p%40ss" not in poster.far
    (hook,) = receiver.took
    assert hook.headers["authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert (hook.headers["x-token"], hook.headers["webhook-id"]) == ("t", "1")
    assert hook.headers["user-agent"].startswith("glatd/")


def test_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "localhost")
        with closing(Poster("http://nobody.invalid/x", "", 5.0, {})) as poster:
            assert poster.post(b"{}", {}).verdict == "taken"
        with closing(Poster(proxy.url, "", 5.0, {})) as poster:
            assert poster.post(b"{}", {}).verdict == "taken"
    assert [hook.path for hook in proxy.took] == ["http://nobody.invalid/x", "/heard?by=glatd"]


def test_the_configuration_of_the_documentation_reads(tmp_path: Path) -> None:
    text = (
        (ROOT / "docs" / "bridges.md").read_text(encoding="utf-8").partition("## Webhook")[2].partition("## Apprise")[0]
    )
    path = tmp_path / "webhook.toml"
    path.write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    read = read_bridge_settings(WebhookSettings, path, batch=None, label=())
    assert (read.phase, read.url, read.batch) == (("start", "end"), "https://example.org/heard", 1)


def test_the_receiver_and_the_node_are_started_again(node: Node, receiver: Receiver, settings: WebhookSettings) -> None:
    with beside(Webhook(settings)):
        node.say(2)
        receiver.wait_for(until(2))
        receiver.stop()
        node.say(3)
        time.sleep(0.3)  # so that it is tried while nobody is there
        receiver.start()
        receiver.wait_for(until(5))
        node.close()
        node.session = "s2"
        node.start()
        node.say(2)
        hooks = receiver.wait_for(until(7))
    assert offsets(hooks) == [1, 2, 3, 4, 5, 6, 7]
    assert hooks[-1].headers["webhook-id"] == "s2-7"


def test_a_node_with_keys(tmp_path: Path, receiver: Receiver, settings: WebhookSettings) -> None:
    ring = tmp_path / "keys"
    keyring.init(ring)
    keys = keyring.add(ring, "hook", ["subscribe"])
    with closing(Node(tmp_path / "locked", access=make_access(str(ring), False))) as node:
        node.say(2)
        with beside(Webhook(changed(settings, keys=str(keys), cursor=str(tmp_path / "locked.cursor"), **of(node)))):
            hooks = receiver.wait_for(until(2))
    assert offsets(hooks) == [1, 2]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(1, marks=pytest.mark.timeout(300)),
        pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_a_bridge_that_is_killed_sends_again_by_the_same_name(
    receiver: Receiver, certificates: Certificates, tmp_path: Path, kills: int
) -> None:
    """kill -9 of the command, and then of the node too, while events flow: none is lost, in order."""
    publish, catchup = free_endpoint(), free_endpoint()
    config = tmp_path / "webhook.toml"
    config.write_text(
        f'publish = ["{publish}"]\ncatchup = ["{catchup}"]\nfresh = "first"\nurl = "{receiver.url}"\n'
        f'ca = "{certificates.ca}"\nsecret_file = "{secret_file(tmp_path, SECRET)}"\n'
    )
    command = ["bridge", "webhook", "--config", config, "--cursor", tmp_path / "cursor"]
    produce = [sys.executable, str(PRODUCER), str(tmp_path / "journal"), publish, catchup]
    most = 0
    with started([*produce, "50"]):
        for _ in range(kills):
            most += 20
            with running(*command):  # killed at the end of the block
                most = max(offsets(receiver.wait_for(reached(most))))
    with started([*produce, "50"]), running(*command):
        hooks = receiver.wait_for(reached(most + 40))
    taken = offsets(hooks)
    assert sorted(set(taken)) == list(range(1, max(taken) + 1))
    names = {hook.json["data"]["offset"]: hook.headers["webhook-id"] for hook in hooks}
    assert all(names[hook.json["data"]["offset"]] == hook.headers["webhook-id"] for hook in hooks)
    fresh = [offset for index, offset in enumerate(taken) if offset > max(taken[:index], default=0)]
    assert fresh == sorted(fresh)


def reached(offset: int) -> Callable[[list[Hook]], bool]:
    """The event of an offset was taken."""
    return lambda hooks: max(offsets(hooks), default=0) >= offset


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    def made(**values: object) -> Webhook:
        return Webhook(WebhookSettings(**{"url": "https://x", "cursor": str(tmp_path / "c")} | values))  # type: ignore[arg-type]

    for values, said in (
        ({"url": ""}, "needs a URL"),
        ({"url": "ftp://me:secret@x/y"}, r"url = 'ftp://\*\*\*@x/y' must be https://HOST/PATH"),
        ({"url": "https://x:99999/"}, "is no URL: Port out of range"),
        ({"batch": 0}, "batch = 0 must be 1 to 500"),
        ({"timeout": 0.0}, "timeout = 0 must be"),
        ({"ca": str(tmp_path / "none")}, "ca = .* cannot be used: No such file"),
        ({"header_file": secret_file(tmp_path, "hunter2")}, r"line 1 is no header; write \"Name: value\""),
    ):
        with pytest.raises(ConfigError, match=said) as error:
            made(**values)
        assert "secret@" not in str(error.value) and "hunter2" not in str(error.value)
    with pytest.raises(ConfigError, match="unknown key 'secret'; did you mean 'secret_file'"):
        read_bridge_settings(WebhookSettings, None, secret="x")
    assert read_bridge_settings(WebhookSettings, None, url="https://x", batch=7).batch == 7
