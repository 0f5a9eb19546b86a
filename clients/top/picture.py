"""What a watcher knows of a node from what it has said so far. Pure: messages in, rows out."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from glatd.messages import Event, Gap, Message, Node, Status, Tags, Unknown

MOST_EVENTS = 200  # that are remembered
WELL = ("live", "starting", "muted", "ended")
OVER = ("ended", "stopped", "failed")
SILENT_S = 30.0  # without a word, after which a node is not there


@dataclass(slots=True)
class Row:
    """One stream."""

    node: str
    name: str
    status: Status | None = None
    tags: Tags | None = None
    gaps: int = 0  # since the watcher came
    why: str = ""  # of its state, as was said when it changed

    @property
    def state(self) -> str:
        """As in `Status`; a stream that has tags and told nothing yet is live."""
        return self.status.state if self.status is not None else "live"

    @property
    def trouble(self) -> str:
        """What is wrong with it, in a few words; empty when all is well."""
        if self.status is None:
            return ""
        findings = "; ".join(self.status.findings)
        if self.state in WELL:
            return findings
        said = self.why or findings
        return f"{self.state}: {said}" if said else self.state

    def take(self, status: Status) -> None:
        """Learn how it fares; the messages that come every few seconds do not repeat why."""
        if self.status is None or status.state != self.status.state or status.reason:
            self.why = status.reason
        self.status = status


class Picture:
    """Of every node that is heard.

    Attributes:
        events: the last message of each event, the newest event last.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.events: OrderedDict[str, Event] = OrderedDict()
        self.heard: dict[str, float] = {}  # monotonic s at which each node spoke last
        self._rows: dict[tuple[str, str], Row] = {}
        self._sessions: dict[str, str] = {}

    def take(self, message: Message | Unknown, now: float) -> None:
        """Learn from a message that came at `now`, monotonic seconds."""
        if isinstance(message, Unknown):
            return
        self.heard[message.node] = now
        if self._sessions.setdefault(message.node, message.session) != message.session:
            # It was started again: of its streams, some may be gone.
            self._sessions[message.node] = message.session
            self._rows = {key: row for key, row in self._rows.items() if key[0] != message.node}
        if isinstance(message, Node):
            self.nodes[message.node] = message
        elif isinstance(message, Event):
            self.events.pop(message.id, None)
            if message.phase != "retract":
                self.events[message.id] = message
            while len(self.events) > MOST_EVENTS:
                self.events.popitem(last=False)
        else:
            self._of_stream(message)

    def _of_stream(self, message: Tags | Gap | Status) -> None:
        key = message.node, message.stream
        if isinstance(message, Status) and message.state in OVER and message.reason == "removed":
            self._rows.pop(key, None)
            return
        row = self._rows.setdefault(key, Row(*key))
        if isinstance(message, Tags):
            row.tags = message
        elif isinstance(message, Gap):
            row.gaps += 1
        else:
            row.take(message)

    def rows(self) -> list[Row]:
        """Every stream, by node and name."""
        return [self._rows[key] for key in sorted(self._rows)]

    def silent(self, now: float) -> list[str]:
        """Nodes that have said nothing for too long."""
        return sorted(node for node, then in self.heard.items() if now - then > SILENT_S)


def fitting(rows: Iterable[Row], room: int) -> tuple[list[Row], int]:
    """As many rows as there is room for, those with trouble and the loudest scores first to stay; and how many not."""
    listed = list(rows)
    if len(listed) <= room:
        return listed, 0
    kept = sorted(listed, key=lambda row: (not row.trouble, -best(row)))[: max(0, room - 1)]
    return [row for row in listed if row in kept], len(listed) - len(kept)


def best(row: Row) -> float:
    """Its highest score."""
    return row.tags.tags[0].score if row.tags is not None and row.tags.tags else 0.0
