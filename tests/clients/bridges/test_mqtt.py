"""The MQTT bridge against Mosquitto with TLS and passwords: events, states, last will, and what is refused."""

import dataclasses
import gc
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from glatd.clients.bridges.mqtt import MqttBridge
from glatd.clients.bridges.mqtt_settings import MqttSettings
from glatd.errors import ConfigError
from glatd.messages import Event, Status, Tags, to_map
from glatd.messages import Node as NodeMessage
from tests.clients.nodes import MIDS, Node
from tests.daemon.journal.made import event
from tests.daemon.processes import Running, running
from tests.servers.mosquitto import PASSWORD, Mosquitto, Watcher


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with Mosquitto(tls=True) as made:
        yield made


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(Node(tmp_path / "journal")) as made:
        yield made


@contextmanager
def bridge(broker: Mosquitto, folder: Path, node: Node, *more: str) -> Iterator[Running]:
    """`glatd bridge mqtt`, whose topics begin with the name of the folder: the module's tests share a broker."""
    told = [
        "--publish",
        node.publish,
        "--catchup",
        node.catchup,
        "--cursor",
        str(folder / "cursor"),
        "--fresh",
        "first",
    ]
    told += ["--broker", broker.uri, "--prefix", folder.name, "--homeassistant", f"{folder.name}-ha"]
    told += ["--class", "Dog", "--class", "Vehicle"]
    if broker.tls:
        told += ["--ca", str(broker.ca), "--password-file", str(broker.password_file)]
    with running("bridge", "mqtt", *told, *more) as process:
        yield process


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def status(stream: str = "yard", state: str = "live", reason: str = "", session: str = "s1") -> Status:
    return Status("edge-1", session, stream, now(), state, "mic:", "e", 32_000, 64_000, 32_000, 9, 41.0, reason)


def tags(stream: str = "yard", level: float = -30.0, session: str = "s1") -> Tags:
    return Tags("edge-1", session, stream, now(), 0, 0, 320_000, 32_000, 1.0, level, "e", (), ())


def health(session: str = "s1") -> NodeMessage:
    return NodeMessage(
        "edge-1", session, "", now(), "e", streams=1, live=1, windows=9, late_ms=41.5, policy="full", level=0, steps=0,
        crops=5, hops=1, skipped=0, dropped=0, quiet=0, memory_mb=300.5, uptime=10.0,
    )  # fmt: skip


def sound(number: int, phase: str, label: str = "Dog", **values: object) -> Event:
    made = event(number, phase, id=f"{label}{number}", mid=MIDS[label])
    return dataclasses.replace(made, **{"label": label, "time": now()} | values)


def say(node: Node, *events: Event) -> list[Event]:
    said = node.journal.append(events)
    for each in said:
        node.publisher(each)
    return said


def repeat(node: Node, watcher: Watcher, base: str) -> None:
    """A stream that tells how it fares, until the bridge has heard it."""

    def heard() -> bool:
        for message in (health(), status(), tags()):
            node.publisher(message)
        return watcher.stands(f"{base}/yard/availability") == "online"

    watcher.wait_for(heard, "the stream")


def test_events_and_states_arrive_and_the_will_is_told(broker: Mosquitto, node: Node, tmp_path: Path) -> None:
    base = f"{tmp_path.name}/edge-1"
    with Watcher(broker, f"{tmp_path.name}/#") as watcher:
        with bridge(broker, tmp_path, node) as process:
            repeat(node, watcher, base)
            availability = next(topic for topic, _, _ in watcher.messages if "/_bridge/" in topic)
            assert watcher.said(availability) == ["online"]
            assert watcher.stands(f"{base}/availability") == "online"
            assert watcher.stands(f"{base}/yard/dog/state") == "OFF"
            watcher.wait_for(lambda: watcher.said(f"{base}/yard/level"), "a level")
            assert watcher.stands(f"{base}/yard/level") == "-30.0"

            said = say(node, sound(1, "start"), sound(2, "start", "Truck"), sound(3, "start", "Bus"))
            watcher.wait_for(lambda: watcher.stands(f"{base}/yard/vehicle/state") == "ON", "the vehicle")
            said += say(node, sound(2, "end", "Truck"), sound(1, "retract"))
            watcher.wait_for(lambda: watcher.said(f"{base}/yard/dog/state") == ["OFF", "ON", "OFF"], "the dog's end")
            assert watcher.said(f"{base}/yard/vehicle/state") == ["OFF", "ON"]  # there is still a bus
            assert json.loads(watcher.stands(f"{base}/yard/last") or "")["label"] == "Bus"
            watcher.wait_for(lambda: len(watcher.said(f"{base}/yard/event")) == len(said), "the events")
            heard = [json.loads(payload) for payload in watcher.said(f"{base}/yard/event")]
            assert heard == [to_map(each) for each in said]

            node.publisher(status(state="reconnecting", reason="no route"))
            watcher.wait_for(lambda: watcher.stands(f"{base}/yard/availability") == "offline", "offline")
            assert json.loads(watcher.stands(f"{base}/yard/status") or "")["reason"] == "no route"
            assert process.end(signal.SIGKILL) == -signal.SIGKILL
        watcher.wait_for(lambda: watcher.said(availability) == ["online", "offline"], "the last will")

        say(node, sound(3, "end", "Bus"))  # while it is away
        with bridge(broker, tmp_path, node) as process:
            watcher.wait_for(lambda: watcher.said(availability)[-1] == "online", "the bridge")
            repeat(node, watcher, base)
            watcher.wait_for(lambda: watcher.stands(f"{base}/yard/vehicle/state") == "OFF", "the bus's end")
            assert process.end(signal.SIGTERM) == 0
            assert not process.errors
        watcher.wait_for(lambda: watcher.said(availability)[-1] == "offline", "the goodbye")
        # The bus had been remembered: it was ON until its end came.
        assert watcher.said(f"{base}/yard/vehicle/state")[-2:] == ["ON", "OFF"]


def test_streams_that_go_take_their_entities_with_them(broker: Mosquitto, node: Node, tmp_path: Path) -> None:
    with Watcher(broker) as watcher, bridge(broker, tmp_path, node) as process:
        repeat(node, watcher, f"{tmp_path.name}/edge-1")
        node.publisher(status("gate"))
        ours = f"{tmp_path.name}-ha/binary_sensor/glatd-edge_2d1"
        watcher.wait_for(lambda: watcher.stands(f"{ours}/gate-vehicle-sound/config"), "the gate")
        config = json.loads(watcher.stands(f"{ours}/gate-vehicle-sound/config") or "")
        assert config["unique_id"] == "glatd/edge-1/gate/vehicle-sound"
        watcher.wait_for(lambda: watcher.stands(f"{tmp_path.name}/edge-1/gate/status"), "its status")
        node.publisher(status("gate", "ended", "removed"))
        watcher.wait_for(lambda: watcher.stands(f"{tmp_path.name}/edge-1/gate/vehicle/threshold") == "", "its removal")
        left = {topic for topic, _, _ in watcher.messages if watcher.stands(topic) and "gate" in topic}
        assert not left
        assert watcher.stands(f"{ours}/yard-dog-sound/config")
        assert process.end(signal.SIGTERM) == 0


def test_nothing_is_lost_over_restarts_of_all(tmp_path: Path) -> None:
    """The broker, the bridge and the daemon's part go and come while events flow."""
    topic, count, stop = f"{tmp_path.name}/edge-1/yard/event", [0], threading.Event()
    node = Node(tmp_path / "journal")

    def flow() -> None:
        nonlocal node
        while not stop.is_set():
            if count[0] and not count[0] % 100:
                node.close()
                node.start()
            node.say(1, time=now())
            count[0] += 1
            time.sleep(0.02)

    flowing = threading.Thread(target=flow)
    with Mosquitto() as broker, Watcher(broker, topic) as watcher:
        flowing.start()
        try:
            for turn in range(3):
                with bridge(broker, tmp_path, node) as process:
                    before = len(watcher.messages)
                    watcher.wait_for(lambda before=before: len(watcher.messages) > before, "an event")
                    if turn != 1:
                        broker.restart()
                        before = len(watcher.messages)
                        watcher.wait_for(lambda before=before: len(watcher.messages) > before, "one after the restart")
                    if turn == 2:
                        stop.set()
                        flowing.join()
                        last = f"event {count[0]}, the last one,"
                        watcher.wait_for(lambda: f'"offset":{count[0]},' in watcher.messages[-1][1], last)
                    assert process.end(signal.SIGKILL if turn < 2 else signal.SIGTERM) != 1
        finally:
            stop.set()
            flowing.join()
            node.close()
        offsets = [json.loads(payload)["offset"] for payload in watcher.said(topic)]
    assert not set(range(1, count[0] + 1)) - set(offsets)
    assert list(dict.fromkeys(offsets)) == list(range(1, count[0] + 1))  # in order, but for repeats


def settings(of: Mosquitto, folder: Path, node: Node, **more: object) -> MqttSettings:
    """For a bridge in this process, which starts sooner."""
    told: dict[str, object] = {"publish": (node.publish,), "cursor": str(folder / "cursor"), "broker": of.uri}
    if of.tls:
        told |= {"ca": str(of.ca), "password_file": str(of.password_file)}
    return MqttSettings(**told | more)  # type: ignore[arg-type]


def test_a_wrong_password_is_refused_once(broker: Mosquitto, node: Node, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess\n")
    wrong.chmod(0o600)
    log = broker.folder / "mosquitto.log"
    before = log.read_text().count("New connection")
    with pytest.raises(ConfigError) as caught:
        MqttBridge(settings(broker, tmp_path, node, password_file=str(wrong))).run()
    said = str(caught.value)
    assert said.startswith(f"mqtts://localhost:{broker.port} refuses 'glatd': Not authorized; check user")
    assert "guess" not in said and PASSWORD not in said
    assert log.read_text().count("New connection") == before + 1


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_the_broker_is_must_be_sure(broker: Mosquitto, node: Node, tmp_path: Path) -> None:
    stranger = broker.uri.replace("localhost", "127.0.0.1")  # not the name in its certificate
    with pytest.raises(ConfigError, match=r"has a certificate that is not trusted: .*give who signed it \(--ca FILE\)"):
        MqttBridge(settings(broker, tmp_path, node, broker=stranger)).run()
    with pytest.raises(ConfigError, match="certificate that is not trusted"):
        MqttBridge(settings(broker, tmp_path, node, ca="")).run()
    gc.collect()  # paho leaves a socket open whose handshake fails; the process ends with that


def test_a_broker_that_does_not_allow_it_is_told_of(node: Node, tmp_path: Path) -> None:
    with (
        Mosquitto(rules="topic read #\n") as broker,
        pytest.raises(ConfigError, match="does not let a client without a user publish: Not authorized; allow it"),
    ):
        MqttBridge(settings(broker, tmp_path, node)).run()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"broker": ""}, "a broker is needed: --broker mqtt://HOST"),
        ({"broker": "http://host"}, "must be mqtt://HOST:PORT"),
        ({"broker": "mqtt://host:99999"}, "broker: Port out of range"),
        ({"broker": "mqtt://me:s3cret@host"}, "put it into a --password-file"),
        ({"broker": "mqtt://host", "ca": "x"}, "write mqtts:// for TLS"),
        ({"broker": "mqtts://host", "ca": "/no/such"}, "cannot use ca = '/no/such': No such file"),
        ({"broker": "mqtts://host", "cert": "x"}, "cert and cert_key belong together"),
        ({"broker": "mqtt://host", "classes": ("Dgo",)}, "did you mean 'Dog'"),
        ({"broker": "mqtt://host", "prefix": "a/#"}, "prefix = 'a/#' must be a topic"),
        ({"broker": "mqtt://host", "prefix": ""}, "prefix = '' must be a topic"),
        ({"broker": "mqtt://host", "phase": ("start",)}, "needs every phase"),
        ({"broker": "mqtt://host", "level_seconds": 0.0}, "level_seconds = 0.0 must be from 1"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, object], said: str, tmp_path: Path) -> None:
    told = MqttSettings(**{"cursor": str(tmp_path / "cursor")} | values)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as caught:
        MqttBridge(told)
    assert said in str(caught.value) and "s3cret" not in str(caught.value)


def test_it_waits_for_a_broker_that_is_away(node: Node, tmp_path: Path) -> None:
    broker = Mosquitto()
    with bridge(broker, tmp_path, node) as process:
        until = time.monotonic() + 60
        while not process.errors and time.monotonic() < until:
            time.sleep(0.2)
        node.say(3)
        with broker, Watcher(broker, f"{tmp_path.name}/edge-1/yard/event") as watcher:
            watcher.wait_for(lambda: len(watcher.messages) == 3, "the events")
            assert process.end(signal.SIGTERM) == 0
    away, back = process.errors
    assert f"the broker mqtt://127.0.0.1:{broker.port} is away: Connection refused; events wait" in away
    assert "is back after" in back
