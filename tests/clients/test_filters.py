"""What each client is given of what was said: by stream, class, group, phase and score; and the books stay right."""

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glatd.clients.cursor import FileCursor, MemoryCursor, Position
from glatd.clients.events import EventStream
from glatd.clients.filters import Wanted, wanted
from glatd.clients.joining import Joiner, Loss, rfc3339
from glatd.clients.reply import Reply
from glatd.clients.searching import Search
from glatd.daemon.journal.upkeep import Upkeep
from glatd.errors import ConfigError
from glatd.messages import Event, Gap, Tag, Tags, Unknown
from tests.clients.nodes import MIDS, Node
from tests.daemon.journal.made import event

PATIENCE_S = 30.0
SCORES = {"Dog": 0.9, "Truck": 0.6, "Car": 0.3}
HEAD = {"node": "n", "session": "s1", "stream": "yard", "time": "2026-01-01T00:00:00.000000Z"}
GAP = Gap(**HEAD, start=0, end=320, rate=32_000, cause="overload")
TAGS = Tags(
    **HEAD, seq=0, start=0, end=320_000, rate=32_000, filled=1.0, level_dbfs=-20.0, engine="e", crops=(),
    tags=tuple(Tag(name, MIDS[name], score, score, score) for name, score in SCORES.items()),
)  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(Node(tmp_path / "journal")) as made:
        yield made


def heard(node: Node, cursor: MemoryCursor | FileCursor | None = None, **options: object) -> list[int]:
    """Offsets of all that is there."""
    with EventStream(node.publish, node.catchup, cursor, **{"timeout": 1.0} | options) as events:  # type: ignore[arg-type]
        return [each.offset for each in events]


def test_of_tags_those_that_fit_and_no_window_without_any() -> None:
    def labels(asked: Wanted) -> list[str]:
        message = asked.message(TAGS)
        return [tag.label for tag in message.tags] if isinstance(message, Tags) else []

    assert labels(wanted()) == labels(wanted(label=["Animal", "Vehicle"])) == ["Dog", "Truck", "Car"]
    assert labels(wanted(label="Vehicle")) == ["Truck", "Car"]
    assert labels(wanted(label="Vehicle", least=0.5)) == ["Truck"]
    assert labels(wanted(least=0.95)) == labels(wanted(label="Music")) == labels(wanted("hall")) == []
    assert wanted(label="Music", least=0.9).message(GAP) == GAP
    assert wanted(["hall", "y*"]).message(GAP) == GAP and wanted(["hall", "x*"]).message(GAP) is None
    assert wanted("hall").message(Unknown("weather")) == Unknown("weather")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": "Dgo"}, "unknown label or group 'Dgo'; did you mean 'Dog'"),
        ({"label": ["Dog", "Vehicel"]}, "did you mean 'Vehicle'"),
        ({"phase": "begin"}, "phase = 'begin' must be one of start, update, end, retract"),
        ({"least": 1.5}, r"least = 1.5 must be a score from 0 to 1"),
        ({"least": float("nan")}, "least = nan must be"),
    ],
)
def test_what_cannot_be_asked_for(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        wanted(**options)  # type: ignore[arg-type]


def test_phases_scores_streams_and_groups_of_events(node: Node) -> None:
    node.say(1, phase="start", peak=0.55)
    node.say(1, phase="update", peak=0.8)
    node.say(1, phase="end", peak=0.8)
    node.say(1, "gate", "Truck", phase="start", peak=0.7)
    node.say(1, "hall", "Car", phase="retract", peak=0.4)
    assert heard(node, phase="start") == [1, 4]
    assert heard(node, phase=["end", "retract"]) == [3, 5]
    assert heard(node, least=0.7) == [2, 3, 4]
    assert heard(node, stream=["gate", "h*"]) == [4, 5]
    assert heard(node, label=["Vehicle"], least=0.5) == [4]


def test_who_asks_for_nothing_gets_everything(node: Node) -> None:
    """Also what no glatd says today: what was not asked for cannot be left out without a word."""
    node.say(2, peak=-0.5)
    node.say(1, peak=0.5)
    assert heard(node) == [1, 2, 3]
    assert heard(node, least=0.1) == [3]


def test_what_a_filter_leaves_out_moves_the_cursor(node: Node, tmp_path: Path) -> None:
    """Whether the node left it out or the client; so it is not asked for again, and is no loss when it is removed."""
    filters: list[dict[str, object]] = [{"label": "Vehicle"}, {"label": ["Vehicle", "Cat"]}, {"phase": "start"}]
    cursors = [FileCursor(tmp_path / str(number)) for number in range(3)]
    node.say(600, label="Dog")
    for cursor, options in zip(cursors, filters, strict=True):
        assert heard(node, cursor, **options) == []
        assert cursor.load("edge-1") == Position(node.journal.id, 600)
    upkeep = Upkeep(node.journal, days=1, megabytes=0)
    upkeep.retain(datetime.now(UTC).timestamp() + 1e6)
    upkeep.close()
    node.say(2, label="Truck", phase="start")
    losses: list[Loss] = []
    for cursor, options in zip(cursors, filters, strict=True):
        assert heard(node, cursor, lost=losses.append, **options) == [601, 602]
    assert not losses


def test_whoever_begins_now_goes_on_from_there(node: Node) -> None:
    """Also if nothing came before it was restarted."""
    node.say(3)
    cursor = MemoryCursor()
    assert heard(node, cursor, fresh="now") == []
    node.say(2)
    assert heard(node, cursor, fresh="now") == [4, 5]


def at(minute: int) -> datetime:
    """A time of day."""
    return datetime(2026, 1, 1, 12, minute, tzinfo=UTC)


def test_a_beginning_by_time(node: Node) -> None:
    for minute in range(30):
        node.say(1, "yard" if minute % 3 else "gate", time=rfc3339(at(minute)))
    assert heard(node, fresh=at(20)) == list(range(21, 31))
    assert heard(node, fresh=at(20).astimezone(timezone(timedelta(hours=5)))) == list(range(21, 31))
    assert heard(node, fresh=at(20), stream="gate") == [22, 25, 28]
    assert heard(node, fresh=at(59)) == []
    assert heard(node, fresh=datetime(2000, 1, 1)) == list(range(1, 31))


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 50), st.integers(1, 20), st.integers(1, 7))
def test_a_search_finds_the_first_that_is_late_enough(kept: list[bool], since: int, first: int, scan: int) -> None:
    """Offset n was told in minute n; some do not exist or do not fit, and a reply looks at no more than `scan`."""
    last = first + len(kept) - 1
    there = [first + index for index, exists in enumerate(kept) if exists]
    search = Search(rfc3339(at(since)))
    for questions in range(200):  # noqa: B007
        start, most = search.wanted()
        stop = min(start + scan, last + 1)
        found = [offset for offset in there if start <= offset < stop][:most]
        events = tuple(
            dataclasses.replace(event(offset), offset=offset, time=rfc3339(at(offset % 60))) for offset in found
        )
        following = start if not most else found[-1] + 1 if found else max(start, stop)
        begin = search.take(Reply("n", "j", first, last, following, (), events))
        if begin is not None:
            break
    else:
        raise AssertionError("asks for ever")
    assert [offset for offset in there if offset >= begin] == [offset for offset in there if offset >= since]


def test_a_search_begins_again_in_a_new_journal() -> None:
    joiner = Joiner("n", None, at(5))
    assert joiner.wanted() == (1, 0)
    joiner.reply(Reply("n", "j1", 1, 99, 1, (), ()), 1, 0)
    assert joiner.wanted() == (50, 1) and joiner.new
    joiner.reply(Reply("n", "j2", 1, 0, 1, (), ()), 50, 0)
    assert not joiner.new and list(joiner.ready) == [(Position("j2", 0), None)]


def test_an_event_is_typed(node: Node) -> None:
    node.say(1)
    with EventStream(node.publish, node.catchup, timeout=PATIENCE_S) as events:
        assert isinstance(next(events), Event)
