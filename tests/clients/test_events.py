"""`EventStream` against the real journal, publisher and catch-up."""

import json
import logging
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgpack
import pytest
import zmq

from glatd.clients.cursor import Cursor, FileCursor, MemoryCursor, Position, SqliteCursor
from glatd.clients.events import EventStream
from glatd.clients.joining import NEW_JOURNAL, Loss
from glatd.daemon.journal.catchup import LARGEST_REQUEST, MOST_EVENTS
from glatd.daemon.journal.reader import REMOVED, Batch, Reader
from glatd.daemon.journal.upkeep import Upkeep
from glatd.daemon.security import keyring
from glatd.daemon.security.access import make_access
from glatd.errors import ConfigError, DataError
from glatd.messages import Event
from tests.clients.nodes import PRODUCER, Node
from tests.conftest import ROOT
from tests.daemon.processes import free_endpoint, started

PATIENCE_S = 30.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(Node(tmp_path / "journal")) as made:
        yield made


def take(events: EventStream, count: int) -> list[int]:
    """Offsets of the next events."""
    return [next(events).offset for _ in range(count)]


def listen(node: Node, cursor: Cursor | None = None, **options: object) -> EventStream:
    """A stream that gives up after a while."""
    return EventStream(node.publish, node.catchup, cursor, **{"timeout": PATIENCE_S} | options)  # type: ignore[arg-type]


def test_what_was_missed_comes_first_then_what_is_live(node: Node) -> None:
    node.say(2500)
    with listen(node) as events:
        assert take(events, 2500) == list(range(1, 2501))
        for count in (1, 3, 40):
            before = node.journal.last
            node.say(count)
            assert take(events, count) == list(range(before + 1, before + count + 1))
        position = events.position("edge-1")
        assert position == Position(node.journal.id, 2544) and events.position("nobody") is None


def test_what_is_dropped_on_the_way_is_asked_for(node: Node) -> None:
    node.say(1)
    with listen(node) as events:
        assert take(events, 1) == [1]
        node.say(1)
        assert take(events, 1) == [2]
        node.say(5, live=False)
        node.say(1)  # which tells that there is a hole
        assert take(events, 6) == [3, 4, 5, 6, 7, 8]
        node.say(3, live=False)  # of which nothing tells
        assert take(events, 3) == [9, 10, 11]


def test_a_cursor_in_a_file_goes_on_where_it_was(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    node.say(10)
    with listen(node, FileCursor(path)) as events:
        assert take(events, 4) == [1, 2, 3, 4]  # and the fourth is in hand: it may not have been dealt with
    assert json.loads(path.read_text()) == {"edge-1": {"journal": node.journal.id, "offset": 3}}
    with listen(node, FileCursor(path)) as events:
        assert take(events, 2) == [4, 5]
        events.save()
    with listen(node, FileCursor(path), timeout=1.0) as events:
        assert [each.offset for each in events] == [6, 7, 8, 9, 10]
    assert FileCursor(path).load("edge-1") == Position(node.journal.id, 10)
    path.write_text("[1]")
    with pytest.raises(DataError, match=r"is no cursor .*; delete it to hear all that is kept once more"):
        FileCursor(path)


def test_a_cursor_in_the_database_of_the_application(node: Node) -> None:
    node.say(10)
    with closing(sqlite3.connect(":memory:")) as database:
        cursor = SqliteCursor(database, 'odd "name"')
        database.execute("CREATE TABLE heard (offset INTEGER)")
        with listen(node, cursor, saves=False) as events:
            for each in events:
                with database:
                    database.execute("INSERT INTO heard VALUES (?)", (each.offset,))
                    events.save()
                if each.offset == 5:
                    break
            next(events)  # and nothing is saved of it
        assert cursor.load("edge-1") == Position(node.journal.id, 5) and cursor.load("x") is None
        with listen(node, cursor, saves=False) as events:
            assert take(events, 5) == [6, 7, 8, 9, 10]
        assert cursor.load("edge-1") == Position(node.journal.id, 5)


def test_filters(node: Node) -> None:
    for _ in range(3):
        node.say(1, "yard", "Dog")
        node.say(1, "gate", "Truck")
        node.say(1, "yard-2", "Car")
    with listen(node, label="Vehicle") as events:
        assert take(events, 6) == [2, 3, 5, 6, 8, 9]
        node.say(1, "yard", "Dog")
        node.say(1, "yard", "Truck")
        assert take(events, 1) == [11]
    with listen(node, stream="yard*", label=["Dog", "Vehicle"], timeout=1.5) as events:
        assert [each.offset for each in events] == [1, 3, 4, 6, 7, 9, 10, 11]
    with pytest.raises(ConfigError, match="did you mean 'Vehicle'"):
        listen(node, label="Vehicel")


def test_several_nodes_each_with_a_place_of_its_own(tmp_path: Path) -> None:
    cursor = MemoryCursor()
    with (
        closing(Node(tmp_path / "a", "a")) as a,
        closing(Node(tmp_path / "b", "b", "s2")) as b,
    ):
        a.say(3)
        b.say(5)
        with EventStream([a.publish, b.publish], [b.catchup, a.catchup], cursor, timeout=PATIENCE_S) as events:
            first = [next(events) for _ in range(8)]
            a.say(1, live=False)
            b.say(1)
            first += [next(events) for _ in range(2)]
        for node, count in (("a", 4), ("b", 6)):
            assert [each.offset for each in first if each.node == node] == list(range(1, count + 1))
        a.say(1)
        b.say(1)
        with EventStream([a.publish, b.publish], [b.catchup, a.catchup], cursor, timeout=PATIENCE_S) as events:
            again = {(each.node, each.offset) for each in (next(events) for _ in range(2))}
        assert ("a", 5) in again or ("b", 7) in again


def test_a_node_without_a_catch_up_is_heard_live(node: Node) -> None:
    losses: list[Loss] = []
    with EventStream(node.publish, timeout=PATIENCE_S, lost=losses.append) as events:
        teller = threading.Thread(target=lambda: [node.say(1) for _ in range(20) if time.sleep(0.1) is None])
        teller.start()
        first = take(events, 3)
        teller.join()
    assert first == list(range(first[0], first[0] + 3)) and not losses


def test_a_daemon_that_is_started_again_goes_on(node: Node) -> None:
    with listen(node) as events:
        node.say(3)
        assert take(events, 3) == [1, 2, 3]
        node.close()
        node.session = "s2"
        node.start()
        node.say(2)
        assert take(events, 2) == [4, 5]


def test_answers_that_are_always_late_are_taken(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that is so busy that each of its answers comes when it was asked again already."""
    read = Reader.read

    def slowly(*arguments: object) -> Batch:
        time.sleep(0.5)
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("glatd.daemon.journal.reader.Reader.read", slowly)
    monkeypatch.setattr("glatd.clients.catchup.ANSWER_SECONDS", 0.2)
    monkeypatch.setattr("glatd.clients.catchup.LONGEST_SECONDS", 0.3)
    node.say(2500)
    with listen(node) as events:
        assert take(events, 2500) == list(range(1, 2501))


def test_a_journal_that_was_deleted_is_told(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    losses: list[Loss] = []
    with listen(node, lost=losses.append) as events, listen(node) as silent:
        node.say(3)
        assert take(events, 3) == take(silent, 3) == [1, 2, 3]
        node.close()
        for path in node.folder.iterdir():
            path.unlink()
        node.session = "s2"
        node.start()
        node.say(5)
        assert take(events, 5) == take(silent, 5) == [1, 2, 3, 4, 5]
    assert losses == [Loss("edge-1", 4, 4, NEW_JOURNAL)]
    assert NEW_JOURNAL in caplog.text and events.position("edge-1") == Position(node.journal.id, 5)


def test_what_retention_removed_is_told(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.say(600)
    upkeep = Upkeep(node.journal, days=1, megabytes=0)
    upkeep.retain(time.time() + 1e6)
    upkeep.close()
    node.say(2)
    cursor = MemoryCursor()
    cursor.save("edge-1", Position(node.journal.id, 10))
    with listen(node, cursor) as events:
        assert take(events, 2) == [601, 602]
    assert f"edge-1: events 11 to 600 are lost: {REMOVED}" in caplog.text
    with listen(node) as events:
        caplog.clear()
        assert take(events, 2) == [601, 602] and not caplog.records  # nothing was promised to who is new


def test_stopping_and_timeouts(node: Node) -> None:
    with listen(node, timeout=None) as events:
        threading.Timer(0.3, events.stop).start()
        began = time.monotonic()
        assert list(events) == [] and time.monotonic() - began < 5
    events.stop()
    with listen(node, timeout=0.0) as events:
        assert list(events) == []
    with pytest.raises(ConfigError, match="timeout = -1"):
        listen(node, timeout=-1)
    with pytest.raises(ConfigError, match=r'fresh = .* must be "first", "now" or a datetime'):
        listen(node, fresh="later")
    with pytest.raises(ConfigError, match="cannot connect"):
        EventStream("garbage")
    with pytest.raises(ConfigError, match="under catchup"):
        EventStream(node.publish, "garbage")


def test_a_wrong_catch_up_is_told(
    node: Node, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glatd.clients.receiving.PATIENCE_S", 0.2)
    with (
        caplog.at_level(logging.WARNING),
        EventStream(node.publish, "tcp://127.0.0.1:1", timeout=1.0) as events,
    ):
        assert list(events) == []
    assert "nobody answers on tcp://127.0.0.1:1; is that what glatd.toml has under catchup?" in caplog.text


def request(node: Node, payload: object) -> dict[str, object]:
    """One request, as another language would make it."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.connect(node.catchup)
        socket.send(payload if isinstance(payload, bytes) else msgpack.packb(payload))
        assert socket.poll(10_000)
        reply: dict[str, object] = msgpack.unpackb(socket.recv())
        return reply


def test_a_node_with_keys(tmp_path: Path) -> None:
    ring = tmp_path / "keys"
    keyring.init(ring)
    good, other = keyring.add(ring, "door", ["subscribe"]), keyring.add(ring, "remote", ["control"])
    with closing(Node(tmp_path / "journal", access=make_access(str(ring), False))) as node:
        node.say(3)
        with listen(node, keys=good) as events:
            assert take(events, 3) == [1, 2, 3]
            node.say(1)
            assert take(events, 1) == [4]
        for keys in (other, None):
            with listen(node, keys=keys) as events, pytest.raises(ConfigError, match=r"refuses|asks for keys"):
                next(events)


def test_the_wire(node: Node) -> None:
    node.say(3)
    reply = request(node, {"v": 1, "from": 2, "limit": 1, "id": 7})
    events = reply.pop("events")
    assert isinstance(events, list)
    assert reply == {
        "v": 1, "ok": True, "id": 7, "node": "edge-1", "journal": node.journal.id, "first": 1, "last": 3, "next": 3,
        "holes": [],
    }  # fmt: skip
    assert [(each["type"], each["offset"], each["label"]) for each in events] == [("event", 2, "Dog")]
    node.say(2 * MOST_EVENTS)
    many = request(node, {"v": 1, "from": 0, "limit": 10**9})
    assert isinstance(many["events"], list) and len(many["events"]) == MOST_EVENTS and many["next"] == MOST_EVENTS + 1


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\xc1", "is no msgpack"),
        ([1], "must be a map"),
        ({"from": 1}, 'needs its version, "v": 1'),
        ({"v": 2, "from": 1}, "this glatd knows 1: upgrade it"),
        ({"v": 1}, 'needs "from"'),
        ({"v": 1, "from": -1}, '"from" must be a whole number from 0 on; this is -1'),
        ({"v": 1, "from": True}, '"from" must be'),
        ({"v": 1, "from": 2**63}, '"from" must be'),
        ({"v": 1, "from": 1, "limit": 1.5}, '"limit" must be'),
        ({"v": 1, "from": 1, "stream": ""}, '"stream" must be a glob'),
        ({"v": 1, "from": 1, "stream": "x" * 300}, '"stream" must be a glob'),
        ({"v": 1, "from": 1, "label": "Dgo"}, "unknown label or group 'Dgo'; did you mean 'Dog'?"),
        ({"v": 1, "from": 1, "label": 7}, '"label" must be the name'),
        ({"v": 1, "from": 1, "since": 7}, "unknown key 'since'; known: v, from, limit"),
    ],
)
def test_a_request_that_is_none_is_answered_with_an_error(node: Node, payload: object, said: str) -> None:
    reply = request(node, payload)
    assert reply["ok"] is False and said in str(reply["error"]) and len(str(reply["error"])) < 250
    assert request(node, {"v": 1, "from": 1})["ok"] is True


@pytest.mark.parametrize("count", [8_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_subscriber_that_never_reads_hurts_only_itself(tmp_path: Path, count: int) -> None:
    """It is sent no more than may wait for it, and asks for the rest when it reads again; the others hear all."""
    folder, publish, catchup = tmp_path / "journal", free_endpoint(), free_endpoint()
    command = [sys.executable, str(PRODUCER), str(folder), publish, catchup, "6000", "edge-1", str(count)]
    with (
        EventStream(publish, catchup, timeout=PATIENCE_S) as sleeper,
        EventStream(publish, catchup, timeout=PATIENCE_S) as reader,
        started(command) as daemon,
    ):
        heard: list[Event] = [next(reader)]
        first = next(sleeper).offset
        before = memory_mb(daemon.process.pid)
        heard += [next(reader) for _ in range(count - 1)]
        grown = memory_mb(daemon.process.pid) - before
        assert [each.offset for each in heard] == list(range(1, count + 1))
        assert [first, *take(sleeper, count - 1)] == list(range(1, count + 1))
    assert grown < 60  # MB; what may wait is 10,000 events


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1000


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_documentation_run(node: Node, tmp_path: Path, number: int) -> None:
    text = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    program = re.findall(r"```python\n(.*?)```", text, re.S)[number]
    program = program.replace("tcp://127.0.0.1:5555", node.publish).replace("tcp://127.0.0.1:5557", node.catchup)
    program = program.replace('"heard.db"', f'"{tmp_path}/heard.db"').replace('"doorbell', f'"{tmp_path}/doorbell')
    node.say(3)
    node.say(4, label="Truck")
    with started([sys.executable, "-u", "-c", program]) as running:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and len(running.lines) < 7 and rows(tmp_path / "heard.db") < 7:
            time.sleep(0.1)
        assert running.process.poll() is None, running.errors
        assert max(len(running.lines), rows(tmp_path / "heard.db")) == 7


def rows(database: Path) -> int:
    """Of the table in the documentation's program."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):
        return int(connection.execute("SELECT count(*) FROM heard").fetchone()[0])
    return 0


def test_a_request_that_is_too_long_ends_in_a_hang_up(node: Node) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(node.catchup)
        socket.send(bytes(LARGEST_REQUEST + 1))
        assert not socket.poll(500)
    assert request(node, {"v": 1, "from": 1})["ok"] is True
