"""What the daemon does when it cannot keep up: one rung of a ladder after the other, each of them told.

Longer hops first, over which crops lie as far apart as windows do, then the oldest window is dropped. Where the
selection chooses the crops ("top-k"), fewer of them come before that: they cost most and add least. Where every place
is looked at ("all"), that would save nothing, since a hop brings one new crop. Audio is lost last of all, when what
waits for a stream reaches 10 s (`worker.INBOX_SECONDS`); that is a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from glatd.daemon.looking import Everywhere, Looking, TopK
from glatd.engines.manifest import Geometry

LATE_HOPS = 0.5  # a window that waits for so long, for as long as that, is no hiccup
RUNG_HOPS = 1.0  # until the next rung: what waits already has to be looked at before the last one shows its worth
START_SECONDS = 5.0  # what has come while the engine warmed up and the sources opened is no overload
EARLY_HOPS = 0.25  # with nearly all windows this early, there is room for more
HICCUPS = 0.05  # share of windows that may be later: other programs run on the machine, too
CALM_SECONDS = 10.0  # for so long, before a rung is left again
LONGEST_CALM = 320.0  # twice as long after each relapse


@dataclass(frozen=True, slots=True)
class Rung:
    """How much is looked at."""

    name: str
    crops: int  # a window
    every: int  # hops between windows
    drop: bool  # whether a window is dropped once a newer one is due
    everywhere: Everywhere | None = None  # where these crops lie; None: where the selection wants them

    @property
    def looks(self) -> Looking:
        """Where the local stream looks."""
        return self.everywhere or TopK(self.crops)


def ladder(crops: int) -> tuple[Rung, ...]:
    """From everything to as little as makes sense, for K = `crops`."""
    fewer = [Rung(f"{k} crops" if k > 1 else "1 crop", k, 1, False) for k in (3, 1) if k < crops]
    return (
        Rung("full", crops, 1, False),
        *fewer,
        Rung("every 2nd hop", 1, 2, False),
        Rung("every 4th hop", 1, 4, False),
        Rung("drop the oldest", 1, 4, True),
    )


def ladder_everywhere(hop: int, sizes: Geometry) -> tuple[Rung, ...]:
    """The same where every place is looked at.

    Args:
        hop: mel frames.
    """

    def rung(name: str, every: int, drop: bool = False) -> Rung:
        everywhere = Everywhere(hop, every)
        return Rung(name, everywhere.count(sizes), every, drop, everywhere)

    return (
        rung("full", 1),
        rung("every 2nd hop", 2),
        rung("every 4th hop", 4),
        rung("drop the oldest", 4, drop=True),
    )


class Overload:
    """Chooses the rung by how long windows wait to be looked at, the look itself not counted.

    Args:
        rungs: from everything to as little as makes sense.
        hop: seconds.
        active: False for what can wait, such as a replay: always the first rung.
    """

    def __init__(self, rungs: Sequence[Rung], hop: float, active: bool = True) -> None:
        self.rungs = rungs
        self.level = 0
        self.steps = 0  # how often it changed
        self._hop, self._active = hop, active
        self._began: float | None = None
        self._late_since: float | None = None
        self._calm_since: float | None = None
        self._seen = self._hiccups = 0  # windows since then
        self._changed = float("-inf")
        self._calm = CALM_SECONDS
        self._lowered = float("-inf")

    @property
    def rung(self) -> Rung:
        """What holds now."""
        return self.rungs[self.level]

    def observe(self, late: float, now: float) -> bool:
        """Take how long a window waited; whether the rung has changed.

        Args:
            late: seconds from its newest sample until the look at it began.
            now: monotonic seconds, never earlier than before.
        """
        self._began = now if self._began is None else self._began
        if not self._active or now - self._began < START_SECONDS:
            return False
        if late > LATE_HOPS * self._hop:
            self._late_since = now if self._late_since is None else self._late_since
            long_enough = now - self._late_since >= LATE_HOPS * self._hop
            if long_enough and now - self._changed >= RUNG_HOPS * self._hop and self.level + 1 < len(self.rungs):
                return self._move(1, now)
        else:
            self._late_since = None
        return self.level > 0 and self._is_calm(late, now) and self._move(-1, now)

    def _is_calm(self, late: float, now: float) -> bool:
        """Whether nearly all windows were early for long enough."""
        if self._calm_since is None:
            if late > EARLY_HOPS * self._hop:
                return False
            self._calm_since, self._seen, self._hiccups = now, 0, 0
        self._seen += 1
        self._hiccups += late > EARLY_HOPS * self._hop
        if now - self._calm_since < self._calm:
            return False
        self._calm_since = None
        return self._hiccups <= HICCUPS * self._seen

    def _move(self, by: int, now: float) -> bool:
        if by < 0:
            self._lowered = now
        elif now - self._lowered < 2 * self._calm:
            self._calm = min(2 * self._calm, LONGEST_CALM)
        elif self.level == 0:
            self._calm = CALM_SECONDS
        self.level += by
        self.steps += 1
        self._changed, self._late_since, self._calm_since = now, None, None
        return True
