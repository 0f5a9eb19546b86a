"""Several boxes into one subscriber, directly and through a hub: none lost, none twice, whatever is killed."""

import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgpack
import pytest
import zmq

from glatd.clients.cursor import MemoryCursor
from glatd.clients.events import EventStream
from glatd.clients.subscriber import Subscriber
from glatd.daemon import hub as hubs
from glatd.daemon.hub import Box, Hub, HubSettings, read_hub
from glatd.daemon.journal.catchup import LARGEST_REQUEST
from glatd.daemon.security import keyring
from glatd.daemon.security.access import make_access
from glatd.errors import ConfigError
from tests.clients.nodes import Node
from tests.clients.test_exactly_once import Part, journalled, last
from tests.conftest import ROOT
from tests.daemon.processes import free_endpoint, glatd, started

PATIENCE_S = 30.0
PRODUCER = ROOT / "tests" / "daemon" / "journal" / "producer.py"
NAMES = ("north", "south", "west")


def take(events: EventStream, count: int) -> list[int]:
    """Offsets of the next events."""
    return [next(events).offset for _ in range(count)]


class Fleet:
    """Three boxes as processes of their own, and a hub for them."""

    def __init__(self, folder: Path, per_second: int) -> None:
        self.folder, self._per_second = folder, per_second
        self.publish = {name: free_endpoint() for name in NAMES}
        self.catchup = {name: free_endpoint() for name in NAMES}
        self.answer = {name: free_endpoint() for name in NAMES}
        self.out = free_endpoint()
        self.boxes = {name: self.box(name, per_second) for name in NAMES}

    def box(self, name: str, per_second: float, log: str = "log") -> Part:
        """One box, that says so many events a second."""
        command = [PRODUCER, self.folder / name, self.publish[name], self.catchup[name], str(per_second), name]
        return Part(command, self.folder / f"{name}.{log}")

    def hub(self) -> Part:
        """`glatd hub`."""
        config = self.folder / "hub.toml"
        tables = [
            f'[[box]]\npublish = "{self.publish[name]}"\n'
            f'catchup = "{self.catchup[name]}"\nanswer = "{self.answer[name]}"\n'
            for name in NAMES
        ]
        config.write_text("\n".join([f'out = "{self.out}"', *tables]))
        return Part(["-m", "glatd.cli", "hub", "--config", config], self.folder / "hub.log")

    def quiet(self) -> None:
        """No box says more; what was going on when it was killed ends."""
        for name in NAMES:
            self.boxes[name].kill()
            self.boxes[name] = self.box(name, 0.001, "last")
        until = time.monotonic() + 2 * PATIENCE_S
        while not all("ready" in (self.folder / f"{name}.last").read_text() for name in NAMES):
            assert time.monotonic() < until
            time.sleep(0.2)


@pytest.mark.parametrize("through_hub", [False, True], ids=["direct", "hub"])
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(2, marks=pytest.mark.timeout(300)),
        pytest.param(30, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_three_boxes_into_one_subscriber(tmp_path: Path, through_hub: bool, kills: int) -> None:
    """Boxes are killed and started again in turn while events flow, and the hub too, and the subscriber starts anew."""
    fleet, cursor = Fleet(tmp_path, per_second=100), MemoryCursor()
    parts = [*fleet.boxes.values(), *([fleet.hub()] if through_hub else [])]
    publish = [fleet.out] if through_hub else list(fleet.publish.values())
    catchup = list((fleet.answer if through_hub else fleet.catchup).values())
    heard: dict[str, list[int]] = {name: [] for name in NAMES}

    def read(events: EventStream, goal: dict[str, int]) -> None:
        """Until so much of each box was heard."""
        while any(len(heard[name]) < goal[name] for name in NAMES):
            event = next(events)
            heard[event.node].append(event.offset)

    def more() -> dict[str, int]:
        return {name: len(heard[name]) + 50 for name in NAMES}

    try:
        for kill in range(kills):
            with EventStream(publish, catchup, cursor, timeout=2 * PATIENCE_S) as events:
                read(events, more())
                part = parts[-1 - kill % len(parts)]
                part.kill()
                time.sleep(0.2)
                part.start()
                read(events, more())
                events.save()
        fleet.quiet()
        with EventStream(publish, catchup, cursor, timeout=2 * PATIENCE_S) as events:
            read(events, {name: last(tmp_path / name) for name in NAMES})
            events.timeout = 0.5
            assert list(events) == []
    finally:
        for part in [*parts, *fleet.boxes.values()]:
            part.kill(quietly=True)
    for name in NAMES:
        assert heard[name] == [offset for *_, offset in journalled(tmp_path / name)]
        assert heard[name] == list(range(1, len(heard[name]) + 1)) and len(heard[name]) >= 100 * kills


@contextmanager
def running(settings: HubSettings) -> Iterator[Hub]:
    """A hub in a thread."""
    stopped, ready = threading.Event(), threading.Event()
    made: list[Hub] = []

    def run() -> None:
        with closing(Hub(settings)) as hub:
            made.append(hub)
            ready.set()
            hub.run(stopped)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield made[0]
    finally:
        stopped.set()
        thread.join(PATIENCE_S)


def told(caplog: pytest.LogCaptureFixture, text: str) -> int:
    """How often the log says something, waited for."""
    until = time.monotonic() + PATIENCE_S
    while not (count := caplog.text.count(text)) and time.monotonic() < until:
        time.sleep(0.1)
    return count


def test_keys_on_both_sides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rings = {name: tmp_path / name for name in ("box", "hub")}
    for ring in rings.values():
        keyring.init(ring)
    for_hub = keyring.add(rings["box"], "hub", ["subscribe"])
    ear, hand = keyring.add(rings["hub"], "ear", ["subscribe"]), keyring.add(rings["hub"], "hand", ["control"])
    out, answer = free_endpoint(), free_endpoint()
    with closing(Node(tmp_path / "journal", access=make_access(str(rings["box"]), False))) as node:
        anywhere = out.replace("127.0.0.1", "0.0.0.0")  # with keys it need not be said twice
        box = Box(node.publish, node.catchup, answer, str(for_hub))
        with running(HubSettings(anywhere, str(rings["hub"]), box=(box,))):
            node.say(5)
            with EventStream(out, answer, keys=ear, timeout=PATIENCE_S) as events:
                assert take(events, 5) == [1, 2, 3, 4, 5]
                node.say(2)
                assert take(events, 2) == [6, 7]
                for keys, said in ((hand, "refuses 'hand'"), (None, "asks for keys")):
                    with (
                        EventStream(out, answer, keys=keys, timeout=PATIENCE_S) as others,
                        pytest.raises(ConfigError, match=said),
                    ):
                        next(others)
                keyring.revoke(rings["hub"], "ear")
                with pytest.raises(ConfigError, match="refuses 'ear'"):
                    list(events)
            keyring.revoke(rings["box"], "hub")
            node.say(1)
            assert told(caplog, "refuses 'hub'") and "it is asked again every 60 s" in caplog.text


def test_a_box_that_is_away_is_said_and_a_name_that_two_have(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "SILENT_S", 0.5)
    out, answer = free_endpoint(), free_endpoint()
    with closing(Node(tmp_path / "a")) as first, closing(Node(tmp_path / "b")) as second:
        away = free_endpoint()
        settings = HubSettings(out, box=(Box(first.publish), Box(second.publish), Box(away, free_endpoint(), answer)))
        with running(settings), Subscriber(out, timeout=PATIENCE_S) as messages:
            assert told(caplog, f"nothing comes from {away}; does glatd run there?")
            until = time.monotonic() + PATIENCE_S
            while "both called" not in caplog.text and time.monotonic() < until:
                first.say(1)
                second.say(1)
                time.sleep(0.1)
            assert told(caplog, "are both called 'edge-1': subscribers take them for one") == 1
            assert next(iter(messages)).node == "edge-1"
            for kind in (zmq.REQ, zmq.DEALER):
                with zmq.Context() as context, context.socket(kind) as socket:
                    socket.linger = 0
                    socket.connect(answer)
                    socket.send(msgpack.packb({"v": 1, "from": 1, "id": 7}))
                    assert socket.poll(10_000)
                    reply = msgpack.unpackb(socket.recv())
                    assert (reply["ok"], reply["id"]) == (False, 7) and "does not reach" in reply["error"]


def test_a_request_of_any_socket_passes_and_a_hostile_one_does_not(tmp_path: Path) -> None:
    out, answer = free_endpoint(), free_endpoint()
    with closing(Node(tmp_path / "journal")) as node:
        node.say(3)
        with running(HubSettings(out, box=(Box(node.publish, node.catchup, answer),))):
            for kind in (zmq.REQ, zmq.DEALER, zmq.REQ):
                with zmq.Context() as context, context.socket(kind) as socket:
                    socket.linger = 0
                    socket.connect(answer)
                    until = time.monotonic() + PATIENCE_S
                    while True:
                        socket.send(msgpack.packb({"v": 1, "from": 2, "id": 5}))
                        assert socket.poll(10_000)
                        reply = msgpack.unpackb(socket.recv())
                        if reply["ok"] or time.monotonic() > until:
                            break
                    assert [event["offset"] for event in reply["events"]] == [2, 3] and reply["node"] == "edge-1"
            with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
                socket.linger = 0
                socket.connect(answer)
                socket.send(b"\xc1")
                assert socket.poll(10_000) and b"is no msgpack" in socket.recv()
                socket.send_multipart([b"a", b"b", b"c"])
                assert socket.poll(10_000) and b"a request of 4 frames" in socket.recv()
                socket.send(bytes(LARGEST_REQUEST + 1))  # the hub hangs up, and the box never hears of it
                assert not socket.poll(300)
            with EventStream(out, answer, timeout=PATIENCE_S) as events:
                assert take(events, 3) == [1, 2, 3]


def test_nodes_that_each_have_their_own_keys_and_one_without(tmp_path: Path) -> None:
    """With the same connections in any order."""
    with ExitStack() as nodes:
        keys: dict[str, Path | None] = {}
        made = []
        for name in ("a", "b", "c"):
            ring = tmp_path / f"{name}.keys"
            keyring.init(ring)
            file = keyring.add(ring, "door", ["subscribe"]) if name != "b" else None
            access = make_access(str(ring) if file else "", False)
            made.append(nodes.enter_context(closing(Node(tmp_path / name, name, access=access))))
            keys |= {made[-1].publish: file, made[-1].catchup: file}
            made[-1].say(2)
        publish, catchup = [node.publish for node in made], [node.catchup for node in made]
        with EventStream(publish, catchup, timeout=PATIENCE_S, keys=keys) as events:
            assert sorted(next(events).node for _ in range(6)) == ["a", "a", "b", "b", "c", "c"]
        for endpoints in (publish, publish[::-1]):
            with EventStream(endpoints, timeout=0.2, keys=keys, lost=lambda loss: None) as events:  # live alone
                heard: set[str] = set()
                until = time.monotonic() + PATIENCE_S
                while len(heard) < 3 and time.monotonic() < until:
                    for node in made:
                        node.say(1)
                    heard |= {event.node for event in events}
                assert heard == {"a", "b", "c"}
        with pytest.raises(ConfigError, match="keys= has none for tcp"):
            EventStream("tcp://127.0.0.1:1", keys=keys)


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("", (), "no box to listen to; give --in tcp://HOST:5555"),
        ("", ("--in", "tcp://127.0.0.1:5555", "--out", "tcp://0.0.0.0:5555"), "other machines reach it"),
        ("", ("--in", "garbage"), "cannot connect to 'garbage'"),
        ("", ("--in", "tcp://127.0.0.1:70000"), "there is no port 70000"),
        ('[[box]]\npublish = "tcp://127.0.0.1:1"\ncatchup = "tcp://127.0.0.1:2"', (), "go together; give both"),
        ('[[box]]\npublsh = "tcp://127.0.0.1:1"', (), "did you mean 'publish'"),
        ('[[box]]\npublish = "tcp://127.0.0.1:1"\nkeys = "nowhere.key"', (), "cannot read the keys nowhere.key"),
        ('keys = "nowhere"\n[[box]]\npublish = "tcp://127.0.0.1:1"', (), "make it with `glatd keys init"),
        (
            '[[box]]\npublish = "tcp://127.0.0.1:1"\ncatchup = "tcp://127.0.0.1:2"\nanswer = "tcp://0.0.0.0:3"',
            ("--out", free_endpoint()),
            "cannot answer who was away on tcp://0.0.0.0:3: other machines reach it",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path, text: str, arguments: tuple[str, ...], said: str
) -> None:
    config = tmp_path / "hub.toml"
    config.write_text(text)
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    boxes, out = [value for key, value in options.items() if key == "--in"], options.get("--out", free_endpoint())
    with pytest.raises(ConfigError, match=re.escape(said)):
        Hub(read_hub(config, boxes, out))


def test_the_command(tmp_path: Path) -> None:
    done = glatd("hub", "--out", free_endpoint())
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "no box to listen to" in done.stderr
    with closing(Node(tmp_path / "journal")) as node:
        out = free_endpoint()
        hub = Part(["-m", "glatd.cli", "hub", "--in", node.publish, "--out", out], tmp_path / "log")
        try:
            with Subscriber(out, types=["event"], timeout=0.5) as messages:
                until = time.monotonic() + PATIENCE_S
                while not (found := list(messages)[:1]) and time.monotonic() < until:
                    node.say(1)
            assert found and found[0].node == "edge-1"
            assert hub._process is not None
            hub._process.send_signal(signal.SIGTERM)
            assert hub._process.wait(PATIENCE_S) == 0
        finally:
            hub.kill(quietly=True)
        assert "Traceback" not in (tmp_path / "log").read_text()


def test_the_hub_of_the_documentation_reads(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"```toml\n(out = .*?)```", text, re.S)
    (tmp_path / "hub.toml").write_text(settings)
    read = read_hub(tmp_path / "hub.toml")
    assert [box.answer for box in read.box] == ["tcp://0.0.0.0:5561", "tcp://0.0.0.0:5562"]


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_documentation_run(tmp_path: Path, number: int) -> None:
    text = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    program = re.findall(r"```python\n(.*?)```", text, re.S)[number]
    program = re.sub(r"\n    keys=.*?\},", "", program, flags=re.S).replace("fleet.cursor", f"{tmp_path}/cursor")
    with ExitStack() as nodes:
        for name in ("north", "south"):
            node = nodes.enter_context(closing(Node(tmp_path / name, name)))
            program = program.replace(f"tcp://{name}:5555", node.publish).replace(f"tcp://{name}:5557", node.catchup)
            node.say(1, "yard-1" if name == "north" else "gate")
        with started([sys.executable, "-u", "-c", program]) as process:
            until = time.monotonic() + PATIENCE_S
            while len(process.lines) < 2 + number and process.process.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            assert len(process.lines) >= 2 + number, process.errors
        if number:  # the sound of the first, and then of both
            assert "'north'" in process.lines[-1] and "'south'" in process.lines[-1]
