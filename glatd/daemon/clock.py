"""Wall-clock time of a stream's samples: a running fit, since arrival times jitter."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEP_SECONDS = 1.0  # further off than this and it is no jitter
SETTLING = 64  # arrivals that the fit looks back on, about


def rfc3339(seconds: float) -> str:
    """UTC with microseconds, for example 2026-01-01T00:00:25.920000Z."""
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class WallClock:
    """Maps a sample index to UNIX seconds; never goes back, except in `steps`.

    Args:
        start: UNIX seconds of sample 0, if nothing better arrives.
        rate: Hz.
    """

    def __init__(self, start: float, rate: int) -> None:
        self._offset, self.rate = start, rate
        self._arrivals = 0
        self._latest = 0.0
        self.steps = 0  # how often the system's clock was set, as far as arrivals show it

    def observe(self, sample: int, arrival: float) -> None:
        """The sample with this index arrived at this time."""
        offset = arrival - sample / self.rate
        if self._arrivals == 0:
            self._offset = offset
        elif abs(offset - self._offset) > STEP_SECONDS:
            self.steps += 1
            self._offset, self._arrivals, self._latest = offset, 0, 0.0
        else:
            self._offset += (offset - self._offset) / min(SETTLING, self._arrivals + 1)
        self._arrivals += 1

    def at(self, sample: int) -> float:
        """UNIX seconds of a sample."""
        self._latest = max(self._latest, self._offset + sample / self.rate)
        return self._latest
