"""Wall-clock time of a stream's samples, from monotonic arrival times: a running fit of the least delay.

Audio comes late when a machine or a network is busy, never early: the least delay of the recent past is what
tells time. The machine's wall clock enters only as its offset to the monotonic one, so that a clock that is set
never looks like audio that is late.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEP_SECONDS = 0.25  # further off than this at one look, and the wall clock was set, not slewed
WINDOW_SECONDS = 1.0  # least delays are taken over so much
PAST_WINDOWS = 8  # and the fit follows the least of so many
SETTLING = 8  # windows over which it follows, about: 100 ppm of a sound card are 1 ms behind
DRIFT_SECONDS = 60.0  # shorter stretches tell no drift, nor does the beginning, while the fit settles
DRIFT_MARKS = 60  # one a minute: the drift is that of the last hour


def rfc3339(seconds: float) -> str:
    """UTC with microseconds, for example 2026-01-01T00:00:25.920000Z."""
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class SystemClock:
    """The machine's wall clock, as its offset to the monotonic one; one for all streams of a process.

    Args:
        wall: UNIX seconds now.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self.offset = wall() - time.monotonic()  # s
        self.steps = 0  # how often the clock was set

    def look(self) -> float:
        """Follow the wall clock; the seconds by which it was set since the last look, 0.0 when it was only slewed."""
        offset = self._wall() - time.monotonic()
        change, self.offset = offset - self.offset, offset
        if abs(change) < STEP_SECONDS:
            return 0.0
        self.steps += 1
        return change


class DelayFit:
    """Fits arrival = offset + position with the least delay of the recent past."""

    def __init__(self) -> None:
        self.offset: float | None = None  # s: monotonic time at which position 0 would have come
        self._past: deque[float] = deque(maxlen=PAST_WINDOWS)
        self._opened = self._first = 0.0
        self._least = float("inf")
        self._marks: deque[tuple[float, float]] = deque(maxlen=DRIFT_MARKS)  # (s heard, offset)
        self._lost = 0.0  # s

    def observe(self, position: float, arrival: float) -> None:
        """What ends at `position` s of the stream arrived at monotonic second `arrival`."""
        delay = arrival - position
        if self.offset is None:
            self.offset, self._opened, self._first = delay, arrival, arrival
        self.offset = min(self.offset, delay)
        self._least = min(self._least, delay)
        if arrival - self._opened < WINDOW_SECONDS:
            return
        self._past.append(self._least)
        self._opened, self._least = arrival, float("inf")
        self.offset += (min(self._past) - self.offset) / SETTLING
        heard = arrival - self._first - self._lost
        if heard - (self._marks[-1][0] if self._marks else 0.0) >= DRIFT_SECONDS:
            self._marks.append((heard, self.offset))

    def lost(self, seconds: float) -> None:
        """So much of the stream was no audio: as long as this machine's clock says, not the source's."""
        self._lost += seconds

    @property
    def drift_ppm(self) -> float | None:
        """By how much the source's clock is slow against this machine's, in parts per million; None at first."""
        if len(self._marks) < 2:
            return None
        (first, before), (last, after) = self._marks[0], self._marks[-1]
        return 1e6 * (after - before) / (last - first)


class WallClock:
    """Maps a sample index to UNIX seconds; never goes back, unless the machine's clock is set back.

    Args:
        start: UNIX seconds of sample 0, as long as nothing arrives.
        rate: Hz.
        system: the machine's clock.
    """

    def __init__(self, start: float, rate: int, system: SystemClock | None = None) -> None:
        self.rate = rate
        self.fit = DelayFit()
        self._start = start  # UNIX seconds of sample 0, from a recording or from the start
        self._system = system or SystemClock()
        self._steps = self._system.steps
        self._latest = float("-inf")

    def observe(self, sample: int, arrival: float) -> None:
        """The samples before this index had come at this monotonic time."""
        self.fit.observe(sample / self.rate, arrival)

    def lost(self, samples: int) -> None:
        """So many samples did not come."""
        self.fit.lost(samples / self.rate)

    def recorded(self, sample: int, wall: float) -> None:
        """The samples before this index had come at this UNIX time, says the recording."""
        self._start = wall - sample / self.rate

    def at(self, sample: int) -> float:
        """UNIX seconds of a sample."""
        if self._system.steps != self._steps:
            self._steps, self._latest = self._system.steps, float("-inf")
        offset = self._start if self.fit.offset is None else self.fit.offset + self._system.offset
        self._latest = max(self._latest, offset + sample / self.rate)
        return self._latest
