"""What was heard of a stream, noted look by look, so that other rules can be tried on it without the networks."""

from collections.abc import Iterable
from dataclasses import dataclass

from glatd.daemon.announce import Announcer
from glatd.daemon.clock import WallClock
from glatd.daemon.events.decider import Decider
from glatd.daemon.events.hearing import Hearing
from glatd.daemon.events.rules import Rules
from glatd.daemon.stream import Window
from glatd.daemon.tagging import Seen
from glatd.engines.manifest import Manifest
from glatd.messages import Event


@dataclass(frozen=True, slots=True)
class Looked:
    """The networks looked."""

    hearing: Hearing
    wall: float  # UNIX seconds of the window's end


@dataclass(frozen=True, slots=True)
class Quiet:
    """The level gate kept them from it."""

    window: Window
    wall: float


@dataclass(frozen=True, slots=True)
class Lost:
    """Samples [start, stop) were."""

    start: int
    stop: int
    cause: str


@dataclass(frozen=True, slots=True)
class Waited:
    """No audio came for so long."""

    seconds: float
    cause: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream did."""

    cause: str


Turn = Looked | Quiet | Lost | Waited | Ended


class Noting(Decider):
    """In a decider's place: notes all that a decider is told, and tells nothing.

    Args:
        announcer: of the stream.
        rules: of the stream.
        floor: fused score below which nothing of a class is kept; no threshold may be lower.

    Attributes:
        turns: what happened, in order.
    """

    def __init__(self, announcer: Announcer, rules: Rules, floor: float) -> None:
        super().__init__(announcer, rules)
        self._floor_score = floor
        self.turns: list[Turn] = []

    def take(self, seen: Seen) -> list[Event]:
        """Keep what was seen."""
        kept = self._hearing(seen).kept(self._floor_score)
        self.turns.append(Looked(kept, self._announcer.clock.at(seen.window.end)))
        return []

    def quiet(self, window: Window) -> list[Event]:
        """Keep that nothing was."""
        self.turns.append(Quiet(window, self._announcer.clock.at(window.end)))
        return []

    def gap(self, start: int, stop: int, cause: str) -> list[Event]:
        """Keep what was lost."""
        self.turns.append(Lost(start, stop, cause))
        return []

    def lost(self, seconds: float, cause: str) -> list[Event]:
        """Keep that nothing came."""
        self.turns.append(Waited(seconds, cause))
        return []

    def close(self, cause: str) -> list[Event]:
        """Keep that it is over."""
        self.turns.append(Ended(cause))
        return []


def decide(turns: Iterable[Turn], rules: Rules, manifest: Manifest, stream: str = "") -> list[Event]:
    """What is told by these rules of what was noted: as live, but for the session."""
    clock = WallClock(0.0, manifest.geometry.rate)
    decider = Decider(Announcer("", "", stream, "", manifest, clock, None), rules)
    events: list[Event] = []
    for turn in turns:
        if isinstance(turn, Looked):
            clock.recorded(turn.hearing.window.end, turn.wall)
            events += decider.decide(turn.hearing)
        elif isinstance(turn, Quiet):
            clock.recorded(turn.window.end, turn.wall)
            events += decider.quiet(turn.window)
        elif isinstance(turn, Lost):
            events += decider.gap(turn.start, turn.stop, turn.cause)
        elif isinstance(turn, Waited):
            events += decider.lost(turn.seconds, turn.cause)
        else:
            events += decider.close(turn.cause)
    return events
