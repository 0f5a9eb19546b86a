"""One node's events in order, without a hole or a repeat, joined from what is live and what was asked for.

Pure: it is told what came, and says what is ready and what to ask for.
"""

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from glatd.clients.cursor import Position
from glatd.clients.reply import Reply
from glatd.clients.searching import Search
from glatd.messages import VERSION, Event, Unknown

MOST_HELD = 1000  # live events behind a hole; those beyond are asked for later
MOST_SESSIONS = 100  # that are remembered

NEW_JOURNAL = "the node began a new journal"
WENT_BACK = "the node's journal went back"
NEW_SESSION = "the node was started again, and keeps no journal"
NOT_HEARD = "missed, and there is no catch-up to ask"

# Where a node begins that was never heard: at all that it keeps, at what comes, or at what was told since then.
Fresh = Literal["first", "now"] | datetime


@dataclass(frozen=True, slots=True)
class Loss:
    """Events that will not come: offsets [start, stop) of a node. None at all where it is not known how many."""

    node: str
    start: int
    stop: int
    cause: str

    def __str__(self) -> str:
        if self.start == self.stop:
            return f"{self.node}: {self.cause}; what it has now is heard from its beginning"
        one = self.stop == self.start + 1
        which = f"event {self.start} is" if one else f"events {self.start} to {self.stop - 1} are"
        return f"{self.node}: {which} lost: {self.cause}"

    def message(self) -> Unknown:
        """As a line among messages, in its place: no node says it, the client does."""
        told = {"node": self.node, "start": self.start, "stop": self.stop, "cause": self.cause}
        return Unknown("lost", {"v": VERSION, "type": "lost", **told})


class Joiner:
    """Of one node.

    Args:
        position: up to which all is done; None for a node that is new.
        linked: whether there is a catch-up to ask.

    Attributes:
        ready: what is next, each with the position that it leads to; None for events that the node was not asked for,
            because of a filter.
        repeats: events that came more than once.
        epoch: of the node's sessions as far as they are known; a reply to what was asked in an earlier one is void.
    """

    def __init__(self, node: str, position: Position | None, fresh: Fresh = "first", linked: bool = True) -> None:
        self.node, self.linked, self._fresh = node, linked, fresh
        self.ready: deque[tuple[Position, Event | Loss | None]] = deque()
        self.repeats = self.epoch = 0
        self._journal = position.journal if position else ""
        self._next = position.offset + 1 if position else 0  # 0: not known yet
        self._held: dict[int, Event] = {}
        self._highest = 0
        self._settled = False
        self._search = Search(rfc3339(fresh)) if isinstance(fresh, datetime) else None
        self._sessions: deque[str] = deque(maxlen=MOST_SESSIONS)  # whose numbers are known to go on from ours
        self._unsure: set[str] = set()  # that came, and may count anew

    def wanted(self) -> tuple[int, int | None] | None:
        """The offset to ask from, and for how many events: 0 for where the node stands, None for all that there are.

        None for nothing.
        """
        if not self.linked or self._settled:
            return None
        if self._next:
            return self._next, None
        return self._search.wanted() if self._search else (1, 0)

    @property
    def new(self) -> bool:
        """Whether it is not known yet where to begin."""
        return not self._next

    def look(self) -> None:
        """Ask once more, though nothing seems to be missing."""
        self._settled = False

    def link(self) -> None:
        """There is a catch-up now."""
        self.linked, self._settled = True, False

    def unlink(self) -> None:
        """There is no catch-up to ask after all."""
        self.linked = False
        held, self._held = sorted(self._held.items()), {}
        for _, event in held:
            self.live(event)

    def live(self, event: Event) -> None:
        """An event was published."""
        if not self.linked:
            self._unlinked(event)
            return
        if event.session not in self._sessions and event.session not in self._unsure:
            self._unsure.add(event.session)
            self.epoch += 1
            self._settled = False
        if not self._unsure and event.offset < self._next:
            self.repeats += 1
            return
        self._highest = max(self._highest, event.offset)
        if len(self._held) < MOST_HELD:
            self._held[event.offset] = event
        self._drain()

    def reply(self, reply: Reply, asked: int, epoch: int) -> None:
        """What was asked from offset `asked` on, in an epoch."""
        if epoch != self.epoch:
            return
        self._sessions.extend(self._unsure)
        self._unsure.clear()
        self._settled = False
        if not self._next:
            self._begin(reply)
        elif self._journal and reply.journal != self._journal:
            self._restart(reply, reply.first, NEW_JOURNAL)
        elif asked > reply.last + 1:
            self._restart(reply, reply.last + 1, WENT_BACK)
        else:
            self._journal = reply.journal
            self._take(reply)
            self._settled = self._next > max(reply.last, self._highest)
        self._drain()

    def _begin(self, reply: Reply) -> None:
        begin = reply.first if self._fresh == "first" else reply.last + 1
        if self._search is not None:
            found = self._search.take(reply)
            if found is None:
                return
            begin = found
        self._journal = reply.journal
        self._pass(begin)
        self._settled = self._next > max(reply.last, self._highest)

    def _take(self, reply: Reply) -> None:
        holes = deque(reply.holes)
        for event in reply.events:
            while holes and holes[0][0] <= event.offset:
                self._lose(*holes.popleft())
            if event.offset >= self._next:
                self._tell(event)
        for hole in holes:
            self._lose(*hole)
        if reply.next > self._next:
            self._pass(reply.next)

    def _pass(self, following: int) -> None:
        """Nothing that is wanted comes before an offset: whoever remembers it need not ask for that again."""
        self._next = following
        self.ready.append((Position(self._journal, following - 1), None))

    def _restart(self, reply: Reply, first: int, cause: str) -> None:
        """Other events have our numbers now."""
        self._held.clear()
        self._highest = 0
        loss = Loss(self.node, self._next, self._next, cause)
        self._journal, self._next = reply.journal, first
        self.ready.append((Position(self._journal, first - 1), loss))

    def _drain(self) -> None:
        """Tell what is held and next."""
        if self._unsure or not self._next:
            return
        while (event := self._held.pop(self._next, None)) is not None:
            self._tell(event)
        if self._held:
            late = [offset for offset in self._held if offset < self._next]
            self.repeats += len(late)
            for offset in late:
                del self._held[offset]
        if self._highest >= self._next:
            self._settled = False

    def _unlinked(self, event: Event) -> None:
        if event.session not in self._sessions:
            if self._next and event.offset < self._next:
                self.ready.append((Position("", 0), Loss(self.node, self._next, self._next, NEW_SESSION)))
                self._next = 1
            self._sessions.append(event.session)
        if not self._next:
            self._next = event.offset
        if event.offset < self._next:
            self.repeats += 1
            return
        self._lose(self._next, event.offset, NOT_HEARD)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        self._next = event.offset + 1
        self.ready.append((Position(self._journal, event.offset), event))

    def _lose(self, start: int, stop: int, cause: str) -> None:
        if stop > self._next:
            start = max(start, self._next)
            if start < stop:
                self.ready.append((Position(self._journal, stop - 1), Loss(self.node, start, stop, cause)))
            self._next = stop


def rfc3339(time: datetime) -> str:
    """A time as messages tell it; one without a zone is this machine's."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
