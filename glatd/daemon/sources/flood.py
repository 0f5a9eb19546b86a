"""Senders that are faster than real time for long, which no live source is."""

from glatd.errors import SourceError

_BURST_S = 10.0  # of sound that may come at once: what a sender had kept while nobody listened
_SLACK_S = 2.0  # for pieces that are seen late
# A sound card is off by 0.01 %, a rate that is told wrong (44.1 for 48 kHz) by 9 % and more.
_FASTER = 1.05


class FloodMeter:
    """Weighs the sound that came against the clock; a bucket that leaks in real time.

    Args:
        where: what to call the source in the error.
        rate: Hz that the sender is said to have.
    """

    def __init__(self, where: str, rate: int) -> None:
        self._where, self._rate = where, rate
        self._level = 0.0  # seconds of sound ahead of the clock
        self._samples = 0  # since the bucket was empty, which was at
        self._since = self._before = -float("inf")  # monotonic seconds

    def push(self, samples: int, now: float) -> None:
        """Take what came at a monotonic time.

        Raises:
            SourceError: more than 10 s ahead of the clock, with the pace that was measured.
        """
        self._level -= _FASTER * (now - self._before)
        if self._level <= 0:
            self._level, self._samples, self._since = 0.0, 0, now
        self._before = now
        self._level += samples / self._rate
        self._samples += samples
        if self._level > _BURST_S + _SLACK_S:
            pace = self._samples / self._rate / max(now - self._since, 0.001)
            raise SourceError(
                f"{self._where}: sends {pace:.3g} x as fast as its rate says; check ?rate= and the sender"
            )
