"""What people say of events: confirmed or rejected. One file beside the journal, a line of JSON for each verdict.

The newest line of an event holds. A line has all that is needed of the event, so that it outlives its retention.
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from glatd.daemon.clock import rfc3339
from glatd.daemon.security.private import write_private
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.stories import Story
from glatd.errors import ConfigError

NAME = "verdicts.jsonl"
VERSION = 1
MOST = 100_000  # events with a verdict
OLD_LINES = 1000  # that no longer hold, from which the file is written anew at the next start
LONGEST_NOTE = 500
COLUMNS = ("filename", "onset", "offset", "event_label")

Verdict = Literal["confirmed", "rejected"]
VERDICTS = ("confirmed", "rejected", None)  # None takes back what was said

log = logging.getLogger("glatd.web")


class Verdicts:
    """Of a node. One thread.

    Args:
        folder: of the journal; None for none, and then no verdict is taken.

    Raises:
        ConfigError: the file cannot be read or written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / NAME
        self.of: dict[str, dict[str, Any]] = {}  # by the event's id, in the order in which they were first given
        if self._path is not None and self._path.exists():
            self._read(self._path)

    def give(self, story: Story, verdict: Verdict | None, note: str) -> dict[str, Any]:
        """Say something of an event, or, with None, take it back.

        Returns:
            The line that stands on the disk now.

        Raises:
            Refused: there is no journal, no room, or there are too many.
        """
        if self._path is None:
            raise Refused(400, "verdicts are kept beside the journal, and there is none; name a folder under journal")
        last = story.last
        if last.id not in self.of and len(self.of) >= MOST:
            raise Refused(400, f"there are {MOST} verdicts already; save {self._path.name} and remove it")
        line = {
            "v": VERSION,
            "id": last.id,
            "verdict": verdict,
            "note": note,
            "given": rfc3339(time.time()),
            "session": last.session,
            "stream": last.stream,
            "label": last.label,
            "mid": last.mid,
            "rate": last.rate,
            "onset": last.onset,
            "end": last.offset_time,
            "onset_at": last.onset_at,
            "peak": last.peak,
        }
        try:
            _append(self._path, line)
        except OSError as error:
            raise Refused(503, f"cannot write {self._path.name}: {error.strerror}; make room, and try again") from error
        self._hold(line)
        return line

    def table(self, session: str = "") -> str:
        """The confirmed events of a session as `glatd calibrate` reads labels; the newest that has any, if not named.

        A stream of which all is rejected has a row without a label: it was listened to, and has none of its sounds.
        """
        lines = list(self.of.values())
        session = session or max(((line["onset_at"], line["session"]) for line in lines), default=("", ""))[1]
        lines = sorted((line for line in lines if line["session"] == session), key=lambda line: line["onset"])
        confirmed = [line for line in lines if line["verdict"] == "confirmed"]
        silent = {line["stream"] for line in lines} - {line["stream"] for line in confirmed}
        rows = [(line["stream"], _s(line, "onset"), _s(line, "end"), line["label"]) for line in confirmed]
        rows += [(stream, "", "", "") for stream in sorted(silent)]
        return "".join("\t".join(row) + "\n" for row in (COLUMNS, *rows))

    def _read(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise ConfigError(f"cannot read the verdicts {path}: {error.strerror}; check its owner") from error
        lines = text.splitlines()
        for number, text in enumerate(lines, 1):
            line = _parsed(text)
            if line is None:
                log.warning("%s, line %d is no verdict, and left out", path, number)
            else:
                self._hold(line)
        if len(lines) - len(self.of) > OLD_LINES:
            kept = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self.of.values())
            write_private(path, kept, replace=True)

    def _hold(self, line: dict[str, Any]) -> None:
        if line["verdict"] is None:
            self.of.pop(line["id"], None)
        else:
            self.of[line["id"]] = line


def _append(path: Path, line: Mapping[str, Any]) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = os.lseek(file, 0, os.SEEK_END)
        # A line that a kill or a full disk has torn is ended, so that it takes no other with it.
        torn = end > 0 and os.pread(file, 1, end - 1) != b"\n"
        os.pwrite(file, b"\n" * torn + (json.dumps(line, ensure_ascii=False) + "\n").encode(), end)
        os.fdatasync(file)
    finally:
        os.close(file)


def _parsed(text: str) -> dict[str, Any] | None:
    """The verdict on a line; None where it is none."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or line.get("v") != VERSION or line.get("verdict", "") not in VERDICTS:
        return None
    kinds = {"id": str, "note": str, "session": str, "stream": str, "label": str, "onset_at": str}
    if not all(isinstance(line.get(key), kind) for key, kind in kinds.items()):
        return None
    whole = type(line.get("onset")) is int and type(line.get("rate")) is int and line["rate"] > 0
    return line if whole and type(line.get("end", "")) in (int, type(None)) else None


def _s(line: Mapping[str, Any], key: str) -> str:
    """A place in the stream, in seconds; an event's end may not be known."""
    return "" if line[key] is None else f"{line[key] / line['rate']:.3f}"
