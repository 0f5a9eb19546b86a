"""Notifications, through the real Apprise, to a web server that takes its json:// service."""

import base64
import dataclasses
import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from glatd.clients.bridges.apprise_bridge import AppriseBridge, AppriseSettings
from glatd.clients.bridges.apprise_pace import MOST_KEPT, Kept, Pace
from glatd.clients.bridges.apprise_text import Template
from glatd.clients.bridges.base import read_bridge_settings
from glatd.clients.cursor import FileCursor
from glatd.errors import ConfigError
from glatd.messages import Event
from tests.clients.bridges.beside import beside, of
from tests.clients.nodes import Node
from tests.daemon.journal.made import event
from tests.daemon.processes import glatd
from tests.servers.hooks import Receiver, Say, receiving

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Apprise's own imports
    pytest.mark.timeout(240),  # of which most may go into those, on a busy machine
]
PATIENCE_S = 60.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(Node(tmp_path / "journal")) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        made.otherwise = Say(200)
        yield made


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glatd.clients.bridges.apprise_services.FIRST_WAIT_S", 0.1)


def now(seconds: float = 0.0) -> dict[str, str]:
    """Times of an event that began so many seconds ago."""
    at = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    return {"time": at, "onset_at": at}


def settings(node: Node, folder: Path, *receivers: Receiver, **values: object) -> AppriseSettings:
    """A bridge that tells its receivers."""
    urls = tuple(f"json://glatd:hunter2@localhost:{each.port}/told" for each in receivers)
    return AppriseSettings(url=urls, cursor=str(folder / "apprise.cursor"), **of(node) | values)  # type: ignore[arg-type]


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """Titles and texts that were taken."""
    return [(hook.json["title"], hook.json["message"]) for hook in receiver.took if hook.status < 300]


def dealt_with(wanted: AppriseSettings, offset: int) -> None:
    """Until the cursor is there."""
    until = time.monotonic() + PATIENCE_S
    while (position := FileCursor(wanted.cursor).load("edge-1")) is None or position.offset < offset:
        assert time.monotonic() < until, position
        time.sleep(0.2)


def test_the_start_of_an_event_is_told(node: Node, receiver: Receiver, tmp_path: Path) -> None:
    node.say(1, phase="start", **now())
    node.say(1, phase="end", **now())
    node.say(1, "gate", "Truck", phase="start", peak=0.8, **now())
    wanted = settings(node, tmp_path, receiver, title="{label}: {stream}", text="{node}, {peak:.0%}")
    with beside(AppriseBridge(wanted)):
        receiver.wait_for(lambda hooks: len(hooks) >= 2)
    assert told(receiver) == [("Dog: yard", "edge-1, 90%"), ("Truck: gate", "edge-1, 80%")]
    assert receiver.took[0].headers["authorization"] == "Basic " + base64.b64encode(b"glatd:hunter2").decode()


def test_many_are_told_as_a_number(node: Node, receiver: Receiver, tmp_path: Path) -> None:
    wanted = settings(node, tmp_path, receiver, every=4.0)
    with beside(AppriseBridge(wanted)):
        node.say(13, phase="start", **now())
        node.say(1, "gate", "Cat", phase="start", **now())
        hooks = receiver.wait_for(lambda hooks: len(hooks) >= 3)
        dealt_with(wanted, 14)
    titles = [title for title, _ in told(receiver)]
    assert titles == ["Dog on yard", "Cat on gate", "12 more: Dog on yard"]
    assert hooks[2].json["message"].startswith("12 × Dog on yard (edge-1), ")
    assert hooks[2].at - hooks[0].at >= 3.9


def test_what_is_only_counted_is_not_done_before_it_is_told(node: Node, receiver: Receiver, tmp_path: Path) -> None:
    """A kill before that would lose the number; a stop tells it."""
    wanted = settings(node, tmp_path, receiver, every=1000.0)
    with beside(AppriseBridge(wanted)):
        node.say(5, phase="start", **now())
        receiver.wait_for(lambda hooks: len(hooks) >= 1)
        time.sleep(1.5)
        position = FileCursor(wanted.cursor).load("edge-1")
        assert position is None or position.offset <= 1
    assert [title for title, _ in told(receiver)] == ["Dog on yard", "4 more: Dog on yard"]
    dealt_with(wanted, 5)


def test_quiet_hours(node: Node, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        at = datetime.now(UTC)
        span = f"{at - timedelta(minutes=30):%H:%M}-{at + timedelta(minutes=30):%H:%M}"
        wanted = settings(node, tmp_path, receiver, quiet=span)
        node.say(3, phase="start", **now())
        node.say(2, "gate", "Cat", phase="start", **now())
        bridge = AppriseBridge(wanted)
        with beside(bridge):
            time.sleep(2.5)
            assert not receiver.took
        position = FileCursor(wanted.cursor).load("edge-1")
        assert not receiver.took and (position is None or position.offset == 0)  # not even when it is stopped
        later = f"{at + timedelta(hours=2):%H:%M}-{at + timedelta(hours=3):%H:%M}"
        bridge = AppriseBridge(dataclasses.replace(wanted, quiet=later, every=1.0))
        with beside(bridge):
            dealt_with(wanted, 5)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [title for title, _ in told(receiver)][:2] == ["Dog on yard", "Cat on gate"]


def test_what_is_old_is_counted(node: Node, receiver: Receiver, tmp_path: Path) -> None:
    node.say(30, phase="start", **now(8000.0))
    node.say(10, "gate", "Cat", phase="start", **now(7300.0))
    node.say(1, "door", "Knock", phase="start", **now(60.0))
    wanted = settings(node, tmp_path, receiver)
    with beside(AppriseBridge(wanted)):
        dealt_with(wanted, 41)
    texts = dict(told(receiver))
    assert texts.keys() == {"40 more sounds", "Knock on door"}
    lines = texts["40 more sounds"].splitlines()
    assert [line.partition(" (")[0] for line in lines] == ["30 × Dog on yard", "10 × Cat on gate"]


def test_one_service_that_is_away_does_not_hold_up_the_others_for_ever(
    node: Node, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as other:
        other.otherwise = Say(500)
        wanted = settings(node, tmp_path, receiver, other, give_up=0.5, every=0.0)
        with caplog.at_level(logging.INFO), beside(AppriseBridge(wanted)):
            node.say(1, phase="start", **now())
            dealt_with(wanted, 1)
            assert len(other.took) >= 2 and len(receiver.took) == 1
            tries = len(other.took)
            node.say(2, phase="start", **now())
            dealt_with(wanted, 3)
            assert len(other.took) == tries + 2 and len(receiver.took) == 3
            other.otherwise = Say(200)
            node.say(1, phase="start", **now())
            dealt_with(wanted, 4)
    assert "has not taken 'Dog on yard' for 0.5 s, and does not get it" in caplog.text
    assert "takes notifications again; 3 did not reach it" in caplog.text
    assert "hunter2" not in caplog.text and "glatd:****@localhost" not in caplog.text


def test_a_clip_is_sent_along(node: Node, receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a1.flac").write_bytes(b"fLaC sound")
    (tmp_path / "outside.flac").write_bytes(b"fLaC other")
    wanted = settings(node, tmp_path, receiver, phase=("end",), clips=str(tmp_path / "clips"), every=0.0)
    for clip in ("a1.flac", "../outside.flac", None):
        node.say(1, phase="end", evidence={"crop": [0, 1], "clip": clip}, **now())
    with beside(AppriseBridge(wanted)):
        hooks = receiver.wait_for(lambda hooks: len(hooks) >= 3)
    sent = [
        [(each["filename"], base64.b64decode(each["base64"])) for each in hook.json["attachments"]] for hook in hooks
    ]
    assert sent == [[("a1.flac", b"fLaC sound")], [], []]


def test_the_command_notifies_for_a_test(receiver: Receiver, tmp_path: Path) -> None:
    path = tmp_path / "urls"
    path.touch(0o600)
    path.write_text(f"# my telephone\njson://localhost:{receiver.port}/x\n")
    cursor = tmp_path / "cursor"
    done = glatd("bridge", "apprise", "--url-file", path, "--cursor", cursor, "--test")
    assert (done.returncode, done.stderr) == (0, "") and told(receiver) == [("glatd can notify you", "This is a test.")]
    receiver.otherwise = Say(403)
    with pytest.raises(ConfigError, match="not all services have taken the test"):
        AppriseBridge(AppriseSettings(url_file=str(path), cursor=str(cursor))).test()
    os.chmod(path, 0o640)
    done = glatd("bridge", "apprise", "--url-file", path, "--cursor", cursor, "--test")
    assert done.returncode == 2 and f"chmod 600 {path}" in done.stderr


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    for values, said in (
        ({"url": ()}, "there is nobody to notify"),
        ({"url": ("nosuch://me:hunter2@x",)}, r"URL 1 \(nosuch://\.\.\.\) is none that Apprise knows"),
        ({"url": ("hunter2",)}, r"URL 1 \(no scheme://\.\.\.\)"),
        ({"title": "{lable}"}, "title = .* has an unknown field 'lable'; known: label, stream, node"),
        ({"text": "{peak:.0q}"}, "text = .* is no template"),
        ({"quiet": "22-7"}, "quiet = '22-7' is no span of the day"),
        ({"quiet": "22:00-07:00", "quiet_days": ("someday",)}, "'someday' is no day"),
        ({"every": -1.0}, "every = -1 must be"),
    ):
        with pytest.raises(ConfigError, match=said) as error:
            AppriseBridge(AppriseSettings(**{"url": ("json://x",), "cursor": str(tmp_path / "c")} | values))  # type: ignore[arg-type]
        assert "hunter2" not in str(error.value)
    assert read_bridge_settings(AppriseSettings, None, every=5).phase == ("start",)


def a(number: int, stream: str = "yard") -> Event:
    """An event."""
    return event(number, "start", stream=stream)


def test_the_pace() -> None:
    pace, done = Pace(60.0), []
    assert pace.may(a(1), 1000.0)
    pace.told(a(1), 1000.0)
    assert not pace.may(a(2), 1059.0) and pace.may(a(2, "gate"), 1059.0) and pace.may(a(2), 1060.0)
    for number in range(3):
        pace.keep(a(number), lambda: done.append(1), 1050.0)
    assert pace.kept == 3 and not pace.may(a(9), 1060.0)  # those that wait are told first
    assert pace.due(1059.0) == []
    (kept,) = pace.due(1060.0)
    assert (kept.count, kept.first.onset, kept.last.onset, len(kept.done), done) == (3, 0, 2, 3, [])
    assert pace.kept == 0
    for number in range(MOST_KEPT + 5):
        pace.keep(a(number, f"s{number % 3}"), lambda: done.append(1), 1070.0)
    assert pace.kept == MOST_KEPT + 5 and len(done) == 5
    assert pace.due(1071.0) == [] and len(pace.due(1072.0)) == 3 and pace.kept == 0
    pace.keep(a(1), lambda: done.append(1), 1080.0)
    assert len(done) == 5


def test_a_number_of_one_is_the_event_itself_and_many_kinds_are_cut_short() -> None:
    template = Template("{label} on {stream}", "{seconds:.1f} s")
    assert template.about_many([Kept(a(1), a(1))]) == ("Dog on yard", "0.0 s")
    title, text = template.about_many([Kept(a(1, f"s{n}"), a(2), 0.0, n + 1) for n in range(30)])
    lines = text.splitlines()
    assert title == "465 more sounds" and len(lines) == 21 and lines[0].startswith("30 × Dog on s29 (edge-1), ")
    assert lines[-1] == "and 55 more of 10 other kinds"
