"""Messages as lines: JSON for programs, text for people."""

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from glatd.labels import ancestors
from glatd.messages import Event, Gap, Message, Status, Tag, Tags, Unknown, to_map

SHOWN = 0.1  # a tag below this is not worth a place on the line
BAR = 10  # characters
EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = "▁▂▃▄▅▆▇█"
NARROW, WIDE = 12, 20  # columns for the name of a stream, where several are shown
QUIETEST_DBFS, LOUDEST_DBFS = -80.0, -10.0


def as_json(message: Message | Unknown) -> str:
    """One line of JSON: the map that goes on the wire.

    What JSON has no word for, such as bytes, is told as Python does.
    """
    fields = message.fields if isinstance(message, Unknown) else to_map(message)
    return json.dumps(_json(fields), ensure_ascii=False, separators=(",", ":"))


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return repr(value)


def bar(value: float, width: int = BAR) -> str:
    """A bar of `width` characters for a value from 0 to 1."""
    eighths = round(max(0.0, min(1.0, value)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def level_mark(dbfs: float) -> str:
    """One character for a level."""
    place = (dbfs - QUIETEST_DBFS) / (LOUDEST_DBFS - QUIETEST_DBFS)
    return LEVELS[round(max(0.0, min(1.0, place)) * (len(LEVELS) - 1))]


def clock(sample: int, rate: int) -> str:
    """Position in a stream: `12.48` seconds, or `1:02:03.4` from an hour on."""
    hundredths = round(100 * sample / rate)  # before the division by 60, or 59.999 s would be told as 60.00
    minutes, hundredths = divmod(hundredths, 6000)
    if minutes == 0:
        return f"{hundredths / 100:.2f}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{hundredths // 10 / 10:04.1f}" if hours else f"{minutes}:{hundredths / 100:05.2f}"


def telling(tags: Iterable[Tag]) -> Iterator[Tag]:
    """Tags in their order, without those that an earlier one implies: Dog says Animal."""
    implied: set[str] = set()
    for tag in tags:
        if tag.mid not in implied:
            implied |= ancestors(tag.mid)
            yield tag


@dataclass(frozen=True, slots=True)
class Peak:
    """The window in which a class scored best."""

    tag: Tag
    stream: str
    sample: int  # the window's end
    rate: int  # Hz


@dataclass
class TextView:
    """Lines for a terminal. Keeps what was heard, for the summary at the end.

    Args:
        colour: whether to use ANSI colours.
        width: columns; the terminal's when 0.
        names: whether several streams are shown, so that each line must say which it is of.
    """

    colour: bool = False
    width: int = 0
    names: bool = True
    windows: int = 0
    heard: dict[tuple[str, str], Peak] = field(default_factory=dict)  # by stream and label
    _names: int = field(default=NARROW, init=False)  # columns: as many as a name has needed

    def lines(self, message: Message | Unknown) -> list[str]:
        """What to print for a message; often one line, sometimes none."""
        match message:
            case Tags():
                return [self._tags(message)]
            case Gap():
                lost = (message.end - message.start) / message.rate
                where = clock(message.start, message.rate)
                return [self._paint(f"{self._head(where, message.stream)}lost {lost:.2f} s: {message.cause}", "31")]
            case Event():
                onset = clock(message.onset, message.rate)
                end = "" if message.offset_time is None else f" to {clock(message.offset_time, message.rate)}"
                text = f"{message.phase} {message.label} {message.peak:.2f} from {onset}{end} {message.cause}"
                return [self._paint(f"{self._head('', message.stream)}{text}".rstrip(), "1")]
            case Status() if message.state in ("failed", "stopped") or not self.names:
                return []
            case Status():
                return [
                    self._paint(
                        f"{self._head('', message.stream)}{message.state} {message.uri} {message.reason}".rstrip(), "2"
                    )
                ]
            case _:
                return []

    def summary(self, least: float = 0.3, most: int = 8) -> list[str]:
        """The classes that reached `least`, the strongest first, without those that a stronger one implies."""
        ranked = sorted(self.heard.values(), key=lambda peak: -peak.tag.score)
        told = set(telling(peak.tag for peak in ranked))
        chosen = [peak for peak in ranked if peak.tag in told and peak.tag.score >= least][:most]
        if not chosen:
            return [self._paint(f"nothing scored {least:g} or more", "2")]
        lines = [self._paint("heard", "1")]
        for peak in chosen:
            of = f"  {peak.stream}" if self.names else ""
            where = clock(peak.sample, peak.rate)
            lines.append(f"  {self._bar(peak.tag.score)} {peak.tag.score:.2f}  {peak.tag.label}  at {where} s{of}")
        return lines

    def _tags(self, message: Tags) -> str:
        self.windows += 1
        for tag in message.tags:
            key = message.stream, tag.label
            if key not in self.heard or tag.score > self.heard[key].tag.score:
                self.heard[key] = Peak(tag, message.stream, message.end, message.rate)
        head = self._head(clock(message.end, message.rate), message.stream)
        line = f"{head}{level_mark(message.level_dbfs)} {message.level_dbfs:6.1f} dB "
        left = (self.width or shutil.get_terminal_size().columns) - len(line)
        parts = []
        for rank, tag in enumerate(telling(message.tags)):
            text = f" {bar(tag.score)} {tag.score:.2f} {tag.label}" if rank == 0 else f"  {tag.label} {tag.score:.2f}"
            if tag.score < SHOWN or len(text) > left:
                break
            left -= len(text)
            parts.append(
                f" {self._bar(tag.score)} {tag.score:.2f} {self._paint(tag.label, '1')}"
                if rank == 0
                else self._paint(text, "2")
            )
        return line + ("".join(parts) or self._paint(" -", "2"))

    def _head(self, when: str, stream: str) -> str:
        if not self.names:
            return f"{when:>9}  "
        self._names = min(WIDE, max(self._names, len(stream)))
        return f"{when:>9}  {stream:<{self._names}} "

    def _bar(self, value: float) -> str:
        return self._paint(bar(value), "32" if value >= 0.5 else "33" if value >= 0.25 else "2")

    def _paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text
