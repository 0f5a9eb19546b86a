"""`glatd listen` as people and programs see it: events in their lines, what is lost in its place, tags as ever."""

import dataclasses
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from glatd.clients.joining import Loss, rfc3339
from glatd.clients.lines import EventLines
from glatd.clients.since import parse_since
from glatd.daemon.journal.reader import REMOVED
from glatd.daemon.journal.upkeep import Upkeep
from glatd.errors import ConfigError
from tests.clients.nodes import Node
from tests.daemon.journal.made import event
from tests.daemon.processes import Running, glatd, running

NOW = datetime(2026, 1, 31, 14, 0, tzinfo=UTC)
BARK = dataclasses.replace(
    event(32_000, "start"), onset_at="2026-01-31T14:03:07.250000Z", time="2026-01-31T14:03:09.000000Z", peak=0.93
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(Node(tmp_path / "journal")) as made:
        yield made


def heard(process: Running, count: int) -> list[str]:
    """Its first lines."""
    found: list[str] = []
    came = threading.Event()

    def look() -> None:
        while len(process.lines) < count and process.process.poll() is None and not came.wait(0.2):
            pass

    looking = threading.Thread(target=look)
    looking.start()
    looking.join(60)
    came.set()
    found += process.lines[:count]
    return found


def test_an_event_is_a_line_with_its_own_time() -> None:
    view = EventLines(zone=UTC)
    assert view.event(BARK) == ["Sat 2026-01-31", "14:03:07.2  yard          start    0.93  Dog"]
    end = dataclasses.replace(
        BARK, phase="end", offset_time=32_000 * 13, offset_at="2026-01-31T14:03:19.400000Z", cause="muted"
    )
    assert view.event(end) == ["14:03:19.4  yard          end      0.93  Dog, 12.0 s (muted)"]
    update = dataclasses.replace(BARK, phase="update", time="2026-02-01T00:00:00.000000Z", stream="gate-camera-north")
    assert view.event(update) == ["Sun 2026-02-01", "00:00:00.0  gate-camera-north  update   0.93  Dog"]
    other = dataclasses.replace(BARK, node="edge-2", phase="retract", cause="not confirmed", peak=0.26)
    assert view.event(other) == [
        "Sat 2026-01-31", "14:03:09.0  edge-2/yard        retract  0.26  Dog (not confirmed)"
    ]  # fmt: skip
    assert "1970" in view.event(dataclasses.replace(BARK, onset_at="yesterday"))[0]


def test_lines_fit_the_terminal() -> None:
    view = EventLines(width=80, zone=UTC)
    long = dataclasses.replace(BARK, stream="s" * 64, label="Vehicle horn, car horn, honking", cause="x" * 99)
    for line in [*view.event(long), *view.event(BARK), *view.lost(Loss("edge-1", 1, 9, "y" * 99))]:
        assert len(line) <= 80
    assert "Vehicle horn, car horn, honk" in view.event(long)[-1]
    plain, painted = EventLines(zone=UTC).event(BARK), EventLines(colour=True, zone=UTC).event(BARK)
    assert "\033" not in "".join(plain) and "\033" in "".join(painted)


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("first", "first"),
        ("now", "now"),
        ("10m", NOW - timedelta(minutes=10)),
        ("1.5h", NOW - timedelta(hours=1.5)),
        ("7 d", NOW - timedelta(days=7)),
        ("13:30", NOW.replace(hour=13, minute=30)),
        ("14:30:15", NOW.replace(day=30, hour=14, minute=30, second=15)),
        ("2026-01-15", datetime(2026, 1, 15, tzinfo=UTC)),
        ("2026-01-15T12:00:00+01:00", datetime(2026, 1, 15, 11, tzinfo=UTC)),
    ],
)
def test_when_to_begin(text: str, begin: object) -> None:
    assert parse_since(text, NOW) == begin


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "10", "-5m", "999999999w", "2026-13-01"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ConfigError, match=r"since = .* is no time; give for example 10m, 2h"):
        parse_since(text, NOW)


def test_events_that_were_missed_come_first_and_what_is_lost_is_told(node: Node, tmp_path: Path) -> None:
    cursor = tmp_path / "cursor"
    where = ("listen", node.publish, "--catchup", node.catchup, "--cursor", cursor)
    now = datetime.now(UTC)
    node.say(2, time=rfc3339(now - timedelta(hours=3)))
    node.say(2, time=rfc3339(now - timedelta(minutes=5)))
    with running(*where, "--since", "2h", "--format", "jsonl") as listener:
        heard(listener, 2)
        node.say(1)
        assert [json.loads(line)["offset"] for line in heard(listener, 3)] == [3, 4, 5]
        assert listener.end(signal.SIGTERM) == 0 and not listener.errors
    assert json.loads(cursor.read_text())["edge-1"]["offset"] == 5
    node.say(3)
    upkeep = Upkeep(node.journal, days=1, megabytes=0)
    upkeep.retain(now.timestamp() + 1e6)
    upkeep.close()
    node.say(1, "gate", "Truck", phase="start")
    node.say(1, "gate", "Dog")
    with running(*where, "--label", "Vehicle", "--timeout", "2", "--format", "jsonl") as listener:
        assert listener.end() == 0
        lost, truck = listener.messages
    assert lost == {"v": 1, "type": "lost", "node": "edge-1", "start": 6, "stop": 9, "cause": REMOVED}
    assert (truck["type"], truck["offset"], truck["label"]) == ("event", 9, "Truck")
    with running("listen", node.publish, "--catchup", node.catchup, "--since", "first", "--timeout", "2") as listener:
        assert listener.end() == 0
        assert [line.split()[1:3] for line in listener.lines if ":" in line] == [["gate", "start"], ["gate", "end"]]


def test_events_alone_as_they_come(node: Node) -> None:
    with running("listen", node.publish, "--phase", "start", "--format", "jsonl", "--timeout", "10") as listener:
        assert node.publisher.wait_for_subscriber(60, threading.Event())
        node.say(1)
        node.say(1, phase="start")
        assert [json.loads(line)["offset"] for line in heard(listener, 1)] == [2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--since", "2h"), "--since needs --catchup ENDPOINT, what glatd.toml has under catchup"),
        (("--cursor", "x"), "--cursor needs --catchup ENDPOINT"),
        (("--events", "--label", "Dgo"), "unknown label or group 'Dgo'; did you mean 'Dog'?"),
        (("--phase", "begin"), "phase = 'begin' must be one of start, update, end, retract"),
    ],
)
def test_what_cannot_be_listened_to_is_said_in_a_line(options: tuple[str, ...], said: str) -> None:
    done = glatd("listen", "tcp://127.0.0.1:5555", *options)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
