"""What a replay is to say again: a file of messages as JSON lines."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from glatd.daemon.recording.layout import SAID
from glatd.errors import ConfigError, DataError
from glatd.messages import Event, Gap, Node, Status, Tags

Map = Mapping[str, Any]

# What a comparison reads of a message.
_NEEDED = {
    Tags.type: ("stream", "start", "end", "rate", "tags", "crops"),
    Gap.type: ("stream", "start", "end", "rate", "cause"),
    Event.type: ("stream", "rate", "phase", "mid", "label", "onset", "offset_time", "peak", "mean"),
    Status.type: ("stream", "state"),
}
_KINDS: Mapping[str, type] = {"stream": str, "start": int, "end": int, "rate": int, "tags": list, "crops": list}
_COMPARED = (Tags.type, Gap.type, Event.type)


class Expected:
    """The `said.jsonl` of a recording, or what `--format jsonl` has printed, or some of its lines.

    It is read once to see what there is, and once for each stream: a night does not fit into memory.

    Args:
        path: of the file, or of a recording.

    Attributes:
        types: that it has, of those that are compared.
        streams: that have such messages.
        overloaded: whether its run says that it ever looked at less than it should.

    Raises:
        ConfigError: it cannot be read.
        DataError: a line that is no message, or nothing that could be compared.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / SAID if path.is_dir() else path
        self.types: set[str] = set()
        self.streams: set[str] = set()
        self.overloaded = False
        for fields in self._read(""):
            kind = fields.get("type")
            if kind in _COMPARED:
                self.types.add(kind)
                self.streams.add(fields["stream"])
            elif kind == Node.type and (fields.get("level") or fields.get("steps")):
                self.overloaded = True
        if not self.types:
            raise DataError(
                f"{self.path} has no tags, gap or event to compare with; give the {SAID} of a recording, or what "
                "`glatd replay --format jsonl` has printed"
            )

    def of(self, stream: str) -> list[list[Map]]:
        """Its messages of one stream in order, each life of the stream by itself: it may be removed and added again."""
        lives: list[list[Map]] = [[]]
        last = 0
        for fields in self._read(stream):
            if fields.get("stream") != stream:
                continue
            kind = fields.get("type")
            begins = kind == Status.type and fields["state"] == "starting"
            begins |= kind == Tags.type and fields["end"] <= last
            if begins and lives[-1]:
                lives.append([])
                last = 0
            if kind == Tags.type:
                last = fields["end"]
            lives[-1].append(fields)
        return lives

    def _read(self, holding: str) -> Iterator[Map]:
        """The messages in the lines that hold a text; parsing all of them would take most of the time."""
        try:
            with self.path.open(encoding="utf-8", errors="replace") as file:
                for number, line in enumerate(file, 1):
                    if holding not in line or not line.strip():
                        continue
                    try:
                        fields = json.loads(line)
                        lacking = [key for key in _NEEDED.get(fields.get("type"), ()) if key not in fields]
                    except (ValueError, AttributeError, TypeError, RecursionError) as error:
                        if not line.endswith("\n"):  # a run that was killed ends in the middle of a line
                            return
                        raise DataError(
                            f"{self.path}, line {number}, is no message in JSON; mend or remove it"
                        ) from error
                    odd = [key for key, kind in _KINDS.items() if key in fields and type(fields[key]) is not kind]
                    if fields.get("type") in _NEEDED and odd:
                        key = odd[0]
                        raise DataError(
                            f"{self.path}, line {number}: {key} = {fields[key]!r} cannot be; mend or remove it"
                        )
                    if lacking:
                        raise DataError(f"{self.path}, line {number}, lacks {', '.join(lacking)}; mend or remove it")
                    yield fields
        except OSError as error:
            raise ConfigError(f"cannot read {self.path}: {error.strerror}; check the path of --expect") from error
