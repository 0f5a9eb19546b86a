"""The searchable list of events, newest first, a page at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from glatd.clients.since import parse_since
from glatd.daemon.journal.catchup import LARGEST_NUMBER, LONGEST_TEXT, Request
from glatd.daemon.web.asking import Refused, number
from glatd.daemon.web.past import Past, read_event
from glatd.daemon.web.stories import Story
from glatd.labels import mids_below

KEYS = ("stream", "label", "text", "since", "until", "min_peak", "verdict", "before", "limit")
VERDICTS = ("confirmed", "rejected", "open")
MOST = 200  # rows a page
PAGE = 50
MOST_READ = 5000  # messages that one request unpacks; where that finds too few, `next` goes on from there
MOST_PASSED = 200_000  # and that it passes over, because of their stream or class

Verdicts = Mapping[str, Mapping[str, Any]]  # by the event's id


@dataclass(frozen=True, slots=True)
class Wish:
    """What is looked for."""

    of: Request  # stream and classes, as a catch-up asks for them
    text: str = ""  # in its label, stream, cause or note, in whatever case
    since: datetime | None = None
    until: datetime | None = None
    min_peak: float = 0.0
    verdict: str = ""
    before: int = LARGEST_NUMBER
    limit: int = PAGE

    def fits(self, story: Story, verdict: Mapping[str, Any] | None) -> bool:
        """Whether an event is wanted, as far as only its story tells."""
        last = story.last
        given = verdict["verdict"] if verdict else "open"
        texts = (last.label, last.stream, last.cause, verdict["note"] if verdict else "")
        return (
            last.peak >= self.min_peak
            and (not self.verdict or given == self.verdict)
            and (not self.text or any(self.text in text.casefold() for text in texts))
        )


def read_wish(words: Mapping[str, str], now: datetime) -> Wish:
    """The wish in a query.

    Args:
        now: with its zone.

    Raises:
        Refused: a value that cannot be.
        ConfigError: a label or a time that is none.
    """
    for key, value in words.items():
        if len(value) > LONGEST_TEXT:
            raise Refused(400, f"{key} has {len(value)} characters; {LONGEST_TEXT} are the most")
    if words.get("verdict", "open") not in VERDICTS:
        raise Refused(400, f"verdict = {words['verdict']!r} is none of {', '.join(VERDICTS)}")
    mids = mids_below(words["label"]) if "label" in words else None
    return Wish(
        Request(1, stream=words.get("stream", "*"), mids=mids),
        words.get("text", "").casefold(),
        _time(words, "since", now),
        _time(words, "until", now),
        number(words.get("min_peak", "0"), "min_peak", 0, 1),
        words.get("verdict", ""),
        _whole(words, "before", LARGEST_NUMBER, LARGEST_NUMBER),
        _whole(words, "limit", PAGE, MOST),
    )


def search(past: Past, wish: Wish, verdicts: Verdicts, step: Callable[[], None]) -> dict[str, Any]:
    """The newest events that fit, and where to go on.

    Args:
        step: called between two messages.
    """
    first = past.since(wish.since) if wish.since else 1
    before = min(wish.before, past.since(wish.until)) if wish.until else wish.before
    rows: list[dict[str, Any]] = []
    read = passed = 0
    following: int | None = None
    for entry in past.back(before):
        if entry.offset < first:
            break
        if len(rows) == wish.limit or read == MOST_READ or passed == MOST_PASSED:
            following = entry.offset + 1
            break
        if not wish.of.fits(entry.stream, entry.mid):
            passed += 1
            continue
        step()
        read += 1
        event = read_event(entry.payload)
        if event is None or event.phase != "start":
            continue
        story = past.story(entry, event)
        verdict = verdicts.get(event.id)
        if wish.fits(story, verdict):
            rows.append(with_verdict(story.row(), verdict))
    return {"events": rows, "next": following}


def find(past: Past, identity: str) -> Story | None:
    """The story of an event by its id."""
    phases = []
    for entry in past.back(LARGEST_NUMBER, identity):
        event = read_event(entry.payload)
        if event is not None and event.id == identity:
            phases.append(event)
            if event.phase == "start":
                break
    return Story(tuple(reversed(phases))) if phases else None


def with_verdict(row: dict[str, Any], verdict: Mapping[str, Any] | None) -> dict[str, Any]:
    """A row with what somebody said of it."""
    return row | {"verdict": verdict["verdict"] if verdict else None, "note": verdict["note"] if verdict else ""}


def _time(words: Mapping[str, str], key: str, now: datetime) -> datetime | None:
    if key not in words:
        return None
    found = parse_since(words[key], now)
    if found == "first":
        return None
    return now.astimezone(UTC) if not isinstance(found, datetime) else found


def _whole(words: Mapping[str, str], key: str, usual: int, most: int) -> int:
    text = words.get(key)
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and 1 <= int(text) <= most):
        raise Refused(400, f"{key} = {text[:60]!r} must be a whole number from 1 to {most}")
    return int(text)
