"""The log on stderr: text or JSON, without passwords, and quiet about what repeats itself."""

import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from glatd.redact import redact

FIRST_SECONDS = 10.0  # in which a line that comes again is only counted
LONGEST_SECONDS = 3600.0  # so far that grows, doubling: a failure of a week is 180 lines
FORGET_SECONDS = 600.0  # a line that was away for so long is a new one
MOST_LINES = 1000  # that are remembered

# Numbers that stand alone and long hexadecimal ids: "after 12.3 s" is the same line as "after 15.9 s".
_CHANGING = re.compile(r"(?<![^\s(])[-+]?\d+(?:\.\d+)?(?=[\s),;:]|$)|\b[0-9a-f]{8,}\b")
_SOURCE_THREAD = "source "  # and the stream's name
# Of sd-daemon(3): the journal takes a line's level from such a prefix.
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def stream_of(record: logging.LogRecord) -> str | None:
    """The stream that a line is about: what was given as `extra={"stream": NAME}`, or whose thread wrote it."""
    named: str | None = getattr(record, "stream", None)
    thread = record.threadName or ""
    return named or (thread.removeprefix(_SOURCE_THREAD) if thread.startswith(_SOURCE_THREAD) else None)


class TextLines(logging.Formatter):
    """A record as text: time, level, message; in the journal, which has its own time, level and message."""

    def __init__(self, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = redact(super().format(record))
        if not self._journal:
            return text
        prefix = f"<{_PRIORITIES.get(record.levelno, 5)}>"
        return "\n".join(prefix + line for line in text.split("\n"))  # each line of a traceback has its level


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (RFC 3339), level, logger, message; stream and traceback where known."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry: dict[str, Any] = {
            "time": when.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if (stream := stream_of(record)) is not None:
            entry["stream"] = stream
        if record.exc_info and record.exc_info[0] is not None:
            entry["traceback"] = redact("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(entry, ensure_ascii=False)


@dataclass(slots=True)
class _Line:
    """One that was seen."""

    told: float  # s, when it was last written
    seen: float  # s, when it last came
    wait: float  # s, from `told` until it is written again
    held: int = 0  # how often it came since


class RepeatFilter(logging.Filter):
    """Lets a line through at once, and one that comes again only at growing intervals, with how often it came.

    A source that fails every second for a week must not fill a disk. Lines are the same where stream, level
    and text are, but for numbers that stand alone in it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lines: OrderedDict[tuple[str, int, str | None, str], _Line] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:  # a line that cannot be formatted: logging itself says what is wrong with it
            return True
        now, key = self._clock(), (record.name, record.levelno, stream_of(record), _CHANGING.sub("#", text))
        with self._lock:
            line = self._lines.get(key)
            if line is None or now - line.seen > FORGET_SECONDS + line.wait:
                self._lines[key] = _Line(now, now, FIRST_SECONDS)
                self._lines.move_to_end(key)
                if len(self._lines) > MOST_LINES:
                    self._lines.popitem(last=False)
                return True
            line.seen = now
            self._lines.move_to_end(key)
            line.held += 1
            if now - line.told < line.wait:
                return False
            if line.held > 1:
                record.msg, record.args = f"{text} ({line.held} times in {now - line.told:.0f} s)", None
            line.told, line.held, line.wait = now, 0, min(2 * line.wait, LONGEST_SECONDS)
        return True


def set_up_logging(form: str, stream: TextIO | None = None) -> None:
    """Log to stderr (or `stream`) as "text" or "json"; what ends a thread or the program unexpectedly too."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(is_journal(stream)))
    handler.addFilter(RepeatFilter())
    # Libraries are heard from WARNING on: the exporter alone would fill a screen.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("glatd").setLevel(logging.INFO)
    sys.excepthook = lambda kind, error, trace: _tell_crash("", kind, error, trace)
    threading.excepthook = lambda crash: _tell_crash(
        f" in thread {crash.thread.name if crash.thread else '?'}",
        crash.exc_type, crash.exc_value or crash.exc_type(), crash.exc_traceback,
    )  # fmt: skip


def _tell_crash(where: str, kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A traceback, which may quote a URL: it goes the way of the log."""
    if not issubclass(kind, (KeyboardInterrupt, SystemExit)):
        log = logging.getLogger("glatd")
        log.critical("unexpected %s%s: %s", kind.__name__, where, error, exc_info=(kind, error, trace))


def is_journal(stream: TextIO) -> bool:
    """Whether systemd's journal reads the stream."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
