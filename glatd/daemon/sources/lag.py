"""Audio that a sound driver lost, found by counting its samples against the monotonic clock."""

from collections import deque

# Samples arrive in bursts when the machine is busy, but at some moment of half a second they catch up.
_WINDOW_S = 0.5
_FEWEST = 10  # arrivals in a window
# The clock of a sound card drifts by up to 100 ppm (1 ms in this time), so only the recent past tells what
# lag is usual.
_PAST_WINDOWS = 20
# Less cannot be told from a busy machine without a flag from the driver.
_TOLERANCE_S = 0.1


class LagMeter:
    """Tells how many samples were lost before those that have just arrived.

    The lag is the time at which samples arrive less their place in the stream. Its minimum over a window
    stays the same as long as nothing is lost, however irregular the arrivals; a loss lifts it for good. A
    loss is told up to 1 s after it happened, unless the driver flags it: then at once.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._past: deque[float] = deque(maxlen=_PAST_WINDOWS)  # smallest lag of each window, s
        self._opened: float | None = None
        self._least = float("inf")
        self._arrivals = 0

    def lost(self, now: float, end: int, flagged: bool) -> int:
        """Take an arrival.

        Args:
            now: monotonic time in seconds.
            end: samples of the stream until now, those told as lost before included.
            flagged: whether the driver says that it lost something before these samples.

        Returns:
            Samples lost; from the next call on they are part of `end`.
        """
        lag = now - end / self._rate
        if flagged and self._past:
            lost = lag - min(self._past)
            self._open(now)
            return max(0, round(lost * self._rate))
        if self._opened is None:
            self._open(now)
        self._least = min(self._least, lag)
        self._arrivals += 1
        if self._opened is None or now - self._opened < _WINDOW_S or self._arrivals < _FEWEST:
            return 0
        least = self._least
        self._open(now)
        lost = least - min(self._past, default=least)
        if lost > _TOLERANCE_S:
            return round(lost * self._rate)
        self._past.append(least)
        return 0

    def _open(self, now: float) -> None:
        self._opened, self._least, self._arrivals = now, float("inf"), 0
