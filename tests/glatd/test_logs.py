"""The log: its forms, what it hides, and that a failure of a week does not fill a disk."""

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from datetime import datetime

import pytest

from glatd.logs import MOST_LINES, JsonLines, RepeatFilter, TextLines, is_journal, set_up_logging, stream_of

URL = "rtsp://admin:s3cret@cam/live?token=abc"
WEEK_S = 7 * 24 * 3600


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging and the hooks as they were."""
    root, glatd = logging.getLogger(), logging.getLogger("glatd")
    before = root.handlers[:], root.level, glatd.level, sys.excepthook, threading.excepthook
    yield
    root.handlers[:], root.level, _, sys.excepthook, threading.excepthook = before
    glatd.setLevel(before[2])


def record(text: str, *values: object, level: int = logging.WARNING, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("glatd.test", level, __file__, 1, text, values, None)
    made.__dict__.update(extra)
    return made


def lines(form: str) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    set_up_logging(form, stream)
    return logging.getLogger("glatd"), stream


def test_json_has_time_level_logger_message_and_stream() -> None:
    log, stream = lines("json")
    log.info("%s live", "yard", extra={"stream": "yard"})
    thread = threading.Thread(target=lambda: log.error("gone"), name="source gate")
    thread.start()
    thread.join()
    log.warning("plain\nof two lines")
    live, gone, plain = map(json.loads, stream.getvalue().splitlines())
    assert list(live) == ["time", "level", "logger", "message", "stream"]
    assert (live["level"], live["logger"], live["message"], live["stream"]) == ("info", "glatd", "yard live", "yard")
    assert live["time"].endswith("Z")
    assert abs(datetime.fromisoformat(live["time"]).timestamp() - datetime.now().timestamp()) < 60
    assert (gone["level"], gone["stream"]) == ("error", "gate")
    assert "stream" not in plain and plain["message"] == "plain\nof two lines"


def test_text_is_short_and_the_journal_gets_levels_in_place_of_times() -> None:
    log, stream = lines("text")
    log.info("yard live")
    _, level, message = stream.getvalue().split(" ", 2)
    assert (level, message) == ("INFO", "yard live\n")
    journal = TextLines(journal=True)
    assert journal.format(record("two\nlines", level=logging.ERROR)) == "<3>two\n<3>lines"
    assert journal.format(record("x", level=logging.INFO)) == "<6>x"


def test_the_journal_is_known_by_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as stream, open(reading):
        status = os.fstat(writing)
        assert not is_journal(stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert is_journal(stream)
    assert not is_journal(io.StringIO())


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_password_in_a_line_a_value_a_traceback_or_a_thread_that_dies(form: str) -> None:
    log, stream = lines(form)
    logging.getLogger("libav.http").error("Server returned 401 for %s", URL)
    try:
        raise OSError(f"no route to {URL}")
    except OSError:
        log.exception("failed: %s", {"url": URL})

    def die() -> None:
        raise ValueError(URL)

    thread = threading.Thread(target=die, name="source yard")
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(URL), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    text = stream.getvalue()
    assert "s3cret" not in text and "admin" not in text and "abc" not in text
    assert text.count("rtsp://***@cam/live?token=***") >= 5
    assert "Traceback" in text and "unexpected ValueError in thread source yard" in text


def test_a_line_comes_at_once_then_at_growing_intervals_with_its_count() -> None:
    now = 0.0
    patience = RepeatFilter(lambda: now)
    told: list[tuple[float, str]] = []
    for second in range(WEEK_S):
        now = float(second)
        line = record("yard failed after %.1f s: connection refused", second / 7, level=logging.ERROR, stream="yard")
        if patience.filter(line):
            told.append((now, JsonLines().format(line)))
    assert len(told) < 200
    assert [at for at, _ in told[:5]] == [0, 10, 30, 70, 150]
    assert "times" not in told[0][1] and "refused (20 times in 20 s)" in told[2][1]
    assert "(3600 times in 3600 s)" in told[-1][1]


def test_other_streams_levels_and_texts_are_lines_of_their_own() -> None:
    patience = RepeatFilter(lambda: 0.0)
    others = [
        record("cam1 failed"),
        record("cam2 failed"),
        record("cam1 failed", level=logging.ERROR),
        record("failed", stream="cam1"),
        record("failed", stream="cam2"),
        record("failed: tcp://10.0.0.1:9000"),
        record("failed: tcp://10.0.0.2:9000"),
    ]
    assert all(patience.filter(line) for line in others)
    assert not any(patience.filter(line) for line in others)


def test_a_line_that_was_away_for_long_is_new() -> None:
    now = 0.0
    patience = RepeatFilter(lambda: now)
    assert patience.filter(record("gone"))
    assert not patience.filter(record("gone"))
    now = 2000.0
    line = record("gone")
    assert patience.filter(line) and line.getMessage() == "gone"


def test_what_never_repeats_does_not_grow() -> None:
    patience = RepeatFilter(lambda: 0.0)
    assert all(patience.filter(record(f"line {'x' * number}")) for number in range(3 * MOST_LINES))
    assert len(patience._lines) == MOST_LINES


def test_a_line_that_cannot_be_formatted_is_no_reason_to_stop() -> None:
    assert RepeatFilter().filter(record("%d windows", "many"))


def test_streams_are_known_by_their_thread_too() -> None:
    assert stream_of(record("x")) is None
    assert stream_of(record("x", threadName="source yard")) == "yard"
    assert stream_of(record("x", threadName="source yard", stream="gate")) == "gate"
