"""The list of events: a row a sound, the newest first, out of the journal and out of a run's own memory alike."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra web")

from glatd.daemon.journal.journal import Journal
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.history import find, read_wish, search
from glatd.daemon.web.past import JournalPast, Past, RunPast
from glatd.errors import ConfigError, GlatdError
from glatd.messages import Event, with_offset
from tests.daemon.journal.made import event

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TRUCK = "/m/07r04"


def sound(number: int, **changes: Any) -> list[Event]:
    """Start, update and end of a sound a minute, the dog's or the truck's."""
    mid, label = (TRUCK, "Truck") if number % 3 == 0 else ("/m/0bt9lr", "Dog")
    made = []
    for phase, after in (("start", 0), ("update", 65), ("end", 69)):
        time = (NOON + timedelta(minutes=number, seconds=after)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        one = event(number, phase, f"{number:020x}", "yard" if number % 2 else "gate", mid)
        made.append(replace(one, label=label, time=time, onset_at=time, peak=number / 100, **changes))
    return [*made[:2], replace(made[2], offset_time=number + 9)]


def woven(count: int) -> list[Event]:
    """Sounds of which each begins before the one before it has ended."""
    told: list[Event] = []
    held: list[Event] = []
    for number in range(1, count + 1):
        start, update, end = sound(number)
        told += [start, *held]
        held = [update, end]
    return told  # the last one goes on


@pytest.fixture(scope="module", params=["journal", "run"])
def past(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """The same 100 sounds in either."""
    if request.param == "run":
        events = tuple(with_offset(one, offset) for offset, one in enumerate(woven(100), 1))
        yield RunPast(lambda: events)
        return
    with closing(Journal(tmp_path_factory.mktemp("journal"))) as journal:
        journal.append(woven(100))
        with closing(JournalPast(journal)) as of_journal:
            yield of_journal


def asked(past: Past, verdicts: dict[str, dict[str, Any]] | None = None, **words: str) -> dict[str, Any]:
    return search(past, read_wish(words, NOON + timedelta(hours=3)), verdicts or {}, lambda: None)


def numbers(found: dict[str, Any]) -> list[int]:
    return [row["onset"] for row in found["events"]]


def test_a_sound_is_one_row_with_all_that_was_told(past: Past) -> None:
    found = asked(past, limit="3")
    assert numbers(found) == [100, 99, 98] and found["next"] is not None
    going, ended, _ = found["events"]
    assert going["phase"] == "start" and going["end"] is None and ended["phase"] == "end" and ended["end"] == 108
    assert going["offset"] > ended["offset"] and ended["verdict"] is None and ended["clip"] is False
    assert {"rate", "onset_at", "offset_at", "cause", "session", "note", "id", "peak", "evidence"} <= ended.keys()


def test_pages_have_every_sound_once(past: Past) -> None:
    seen: list[int] = []
    words: dict[str, str] = {}
    while True:
        found = asked(past, limit="7", **words)
        seen += numbers(found)
        assert all(row["phase"] == "end" for row in found["events"] if row["onset"] < 100)
        if found["next"] is None:
            break
        words["before"] = str(found["next"])
    assert seen == list(range(100, 0, -1))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ({"stream": "ya*"}, lambda n: n % 2),
        ({"label": "Truck"}, lambda n: n % 3 == 0),
        ({"label": "Vehicle"}, lambda n: n % 3 == 0),
        ({"text": "TRU"}, lambda n: n % 3 == 0),
        ({"min_peak": "0.95"}, lambda n: n >= 95),
        ({"since": "2026-01-01T13:00:00Z"}, lambda n: n >= 60),
        ({"since": "2026-01-01T13:00:00Z", "until": "2026-01-01T13:10:00+00:00"}, lambda n: 60 <= n < 70),
        ({"since": "80m"}, lambda n: n >= 100),
        ({"verdict": "confirmed"}, lambda n: n == 42),
        ({"verdict": "open"}, lambda n: n not in (42, 43)),
        ({"stream": "yard", "label": "Truck", "text": "yard", "min_peak": "0.5"}, lambda n: n % 6 == 3 and n >= 50),
        ({"text": "by ear"}, lambda n: n == 43),
    ],
)
def test_what_is_searched_is_found(past: Past, words: dict[str, str], wanted: Callable[[int], bool]) -> None:
    verdicts = {
        f"{42:020x}": {"verdict": "confirmed", "note": ""},
        f"{43:020x}": {"verdict": "rejected", "note": "Judged BY EAR"},
    }
    found = asked(past, verdicts, limit="200", **words)
    assert numbers(found) == [n for n in range(100, 0, -1) if wanted(n)]


def test_one_is_found_by_its_id(past: Past) -> None:
    story = find(past, f"{17:020x}")
    assert story is not None and [phase.phase for phase in story.phases] == ["start", "update", "end"]
    assert story.whole()["phases"][1]["phase"] == "update"
    assert find(past, "f" * 20) is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"min_peak": "nan"}, "min_peak = 'nan' must be a number from 0 to 1"),
        ({"limit": "0"}, "limit = '0' must be a whole number from 1 to 200"),
        ({"before": "1e3"}, "before"),
        ({"verdict": "maybe"}, "confirmed, rejected, open"),
        ({"label": "Dgo"}, "did you mean"),
        ({"since": "yesterday"}, "is no time"),
        ({"text": "x" * 201}, "201 characters"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(words: dict[str, str], told: str) -> None:
    with pytest.raises((Refused, ConfigError), match=told):
        read_wish(words, NOON)


def test_events_that_could_not_be_written_yet_are_there_too(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.append(woven(3))
        journal._suspend(__import__("sqlite3").OperationalError("disk full"))  # as on a full disk
        journal._tried = 1e18
        journal.append([replace(one, onset=4, id="4" * 20) for one in sound(4)])
        assert journal.waiting
        with closing(JournalPast(journal)) as past:
            assert numbers(asked(past)) == [4, 3, 2, 1]
            story = find(past, "4" * 20)
            assert story is not None and len(story.phases) == 3
        journal._tried = 0.0


def test_a_journal_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.append(woven(3))
        (tmp_path / "journal.db").rename(tmp_path / "away.db")
        with closing(JournalPast(journal)) as past, pytest.raises(Refused, match="cannot be read") as refused:
            asked(past)
        assert refused.value.status == 503 and not isinstance(refused.value, GlatdError)
        (tmp_path / "away.db").rename(tmp_path / "journal.db")
