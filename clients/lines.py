"""Events as lines for people: `glatd listen --events`."""

from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from glatd.clients.joining import Loss
from glatd.messages import Event
from glatd.render import NARROW, WIDE

PAINT = {"start": "1", "update": "2", "end": "", "retract": "33"}  # ANSI colours of a phase
LOST, DAY, STRONG, FAIR = "31", "2", "32", "33"


@dataclass
class EventLines:
    """Lines of events in their order; a line with the date stands where it changes.

    Args:
        colour: whether to use ANSI colours.
        width: columns at which a line is cut; 0 for no limit.
        zone: in which times are told; None is this machine's.
    """

    colour: bool = False
    width: int = 0
    zone: tzinfo | None = None
    _day: str = field(default="", init=False)
    _nodes: set[str] = field(default_factory=set, init=False)
    _names: int = field(default=NARROW, init=False)  # columns: as many as a name has needed

    def event(self, event: Event) -> list[str]:
        """What to print for an event: when, where, what of it, how sure, and what."""
        when = self._local({"start": event.onset_at, "end": event.offset_at}.get(event.phase) or event.time)
        where = cut(self._where(event), WIDE)
        self._names = max(self._names, len(where))
        head = f"{when:%H:%M:%S}.{when.microsecond // 100_000}  {where:<{self._names}}  "
        phase, score = f"{event.phase:<7}", f"{event.peak:.2f}"
        room = self.width - len(head) - len(phase) - len(score) - 4 if self.width else 0
        what = cut(f"{event.label}{_detail(event)}", room)
        paint = PAINT.get(event.phase, "")
        level = self._paint(score, STRONG if event.peak >= 0.5 else FAIR)
        return [*self._date(when), f"{head}{self._paint(phase, paint)}  {level}  {self._paint(what, paint)}".rstrip()]

    def lost(self, loss: Loss) -> list[str]:
        """What to print for events that will not come."""
        return [self._paint(cut(f"{'':10}  {loss}", self.width), LOST)]

    def _where(self, event: Event) -> str:
        """The stream; with its node where there are several, from the second one on."""
        self._nodes.add(event.node)
        return event.stream if len(self._nodes) == 1 else f"{event.node}/{event.stream}"

    def _date(self, when: datetime) -> list[str]:
        day, self._day = self._day, f"{when:%a %Y-%m-%d}"
        return [] if day == self._day else [self._paint(self._day, DAY)]

    def _local(self, time: str) -> datetime:
        try:
            return datetime.fromisoformat(time).astimezone(self.zone)
        except (ValueError, OverflowError):  # whatever a node says, it is shown
            return datetime.fromtimestamp(0, self.zone)

    def _paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour and code else text


def _detail(event: Event) -> str:
    """How long it lasted, and why it ended or was taken back."""
    lasted = "" if event.offset_time is None else f", {max(0, event.offset_time - event.onset) / event.rate:.1f} s"
    return lasted + (f" ({event.cause})" if event.cause else "")


def cut(text: str, room: int) -> str:
    """A text in so many columns; 0 for no limit."""
    return text if not room or len(text) <= room else f"{text[: max(0, room - 1)]}…"
