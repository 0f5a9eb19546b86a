"""One live source, kept going for months: opened, opened again, and placed on one sample clock.

Each connection of a source counts its samples from 0. Where they belong on the stream's own clock is told by
when they came: what arrives with the delay that is usual for the stream follows the time that has passed. So the
audio lost in an outage is counted by the monotonic clock, to some 10 ms, and nothing is stitched.

What it does not know: a source that comes back with another delay than before (a camera that buffers 2 s, then
1 s) is placed as if the delay were the same.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from glatd.audio import Block, Missing
from glatd.daemon.sources.base import Source
from glatd.errors import SourceError

SETTLE_SECONDS = 0.25  # a new connection's burst of older audio is over when nothing came earlier for so long
LONGEST_BURST = 30.0  # s of audio; Icecast sends 64 kB at once, HLS three segments
EARLIER_SECONDS = 0.02  # less is jitter
SLACK_SECONDS = 0.1  # of a burst's length
# A source that is down is tried again after half a second for each minute that it has been down: a minute's outage
# costs no second more, and a box that is gone for good is asked twice a minute.
FASTEST_RETRY, SLOWEST_RETRY, RETRY_SHARE = 0.3, 30.0, 0.5 / 60
# The last sounds before an outage stand in a window that is not complete; after so long it is completed with silence.
PATIENCE_SECONDS = 2.5
COMPLETED_SECONDS = 1.0
# A sender that was held up and never catches up has lost audio: known when nothing came in time for so long.
PACE_WINDOW_SECONDS = 10.0
PACE_WINDOWS = 20


class Pace:
    """How much later than usual the blocks of a connection come, at the best moment of 10 s.

    Args:
        jitter: seconds that the best moment may be late without anything being lost.
    """

    def __init__(self, jitter: float) -> None:
        self._jitter = jitter
        self._past: deque[float] = deque(maxlen=PACE_WINDOWS)
        self._opened: float | None = None
        self._least = float("inf")

    @property
    def usual(self) -> float:
        """The least delay of the last 10 to 20 s in seconds, against the stream's clock.

        Not of all that is remembered: a clock that is off by 100 ppm would add 20 ms to every outage.
        """
        return min(self._past[-1], self._least) if self._past else self._least

    def lost(self, delay: float, now: float) -> float:
        """Take the delay of a block; seconds that were lost before it, 0.0 nearly always."""
        if self._opened is None:
            self._opened = now
        self._least = min(self._least, delay)
        if now - self._opened < PACE_WINDOW_SECONDS:
            return 0.0
        least, self._least, self._opened = self._least, float("inf"), now
        late = least - min(self._past, default=least)
        if late > self._jitter:
            return late
        self._past.append(least)
        return 0.0

    def shift(self, seconds: float) -> None:
        """From here on blocks are `seconds` later, and that is usual."""
        self._past = deque((delay + seconds for delay in self._past), PACE_WINDOWS)
        self._least += seconds


class Supervisor:
    """Iterates a live source again and again until it is stopped.

    Args:
        source: whose `blocks` end or raise a SourceError when the connection is over.
        tell: called with the phase, "open" or "reconnecting", and the reason for it, in the source's thread.
    """

    def __init__(self, source: Source, tell: Callable[[str, str], None]) -> None:
        self._source, self._tell = source, tell
        self._stopped = threading.Event()
        self._pace = Pace(source.jitter)
        self._end, self._rate = 0, 0  # sample of the stream after the last one given, at the source's rate
        self._arrived = 0.0  # monotonic s of the last block
        self._heard = 0.0  # the same; 0.0 when its last window needs no completion
        self._late = 0  # samples that this connection is shifted by for what its sender lost
        self._reason = ""
        self.connections = 0  # that gave audio
        self.repeated = 0  # samples that came again after a reconnection and were left out

    def stop(self) -> None:
        """Give up waiting; the source itself is stopped by its own `stop`."""
        self._stopped.set()

    def pieces(self) -> Iterator[Block | Missing]:
        """Blocks on the stream's own clock, and what is missing between connections."""
        began: float | None = None
        while not self._stopped.is_set():
            connections = self.connections
            reason = "the connection ended"
            try:
                yield from self._connection()
            except SourceError as error:
                reason = str(error)
            except Exception as error:  # a source's library may raise anything
                reason = f"{self._source.uri}: {type(error).__name__}: {error}"
            if self._stopped.is_set():
                return
            now = time.monotonic()
            if began is None or self.connections != connections:
                began = now
            self._reason = reason
            self._tell("reconnecting", reason)
            yield from self._wait(now, began)

    def _wait(self, now: float, began: float) -> Iterator[Missing]:
        """Wait for the next try; complete the last window of what was heard."""
        share = RETRY_SHARE * (now - began) * random.uniform(0.8, 1.2)
        until = now + min(max(share, FASTEST_RETRY), SLOWEST_RETRY)
        self._stopped.wait(until - now)
        if self._rate and self._heard and time.monotonic() - self._heard > PATIENCE_SECONDS:
            self._heard = 0.0  # once an outage
            self._end += round(COMPLETED_SECONDS * self._rate)
            yield Missing(self._end, self._rate, self._reason)

    def _connection(self) -> Iterator[Block | Missing]:
        """One connection: its first blocks are held back until it is clear where they belong."""
        held: list[Block | Missing] = []
        base: int | None = None
        first = least = fell = arrival = float("inf")  # monotonic s; `least` is a delay
        error: Exception | None = None
        blocks = self._source.blocks()
        try:
            for block in blocks:
                if base is not None:
                    yield from self._placed(block, base)
                    continue
                held.append(block)
                if isinstance(block, Missing):
                    continue
                arrival = _arrival(block)
                first = min(first, arrival)
                delay = arrival - _end(block) / block.rate
                if delay < least - EARLIER_SECONDS:
                    fell = arrival
                least = min(least, delay)
                if arrival - fell >= SETTLE_SECONDS or _end(block) > LONGEST_BURST * block.rate:
                    base = self._place(block, first, arrival, least)
                    for waiting in held:
                        yield from self._placed(waiting, base)
                    held.clear()
        except Exception as caught:
            error = caught  # what was held back comes first
        finally:
            if isinstance(blocks, Generator):
                blocks.close()
        last = next((block for block in reversed(held) if isinstance(block, Block)), None)
        if last is not None:
            base = self._place(last, first, arrival, least)
            for waiting in held:
                yield from self._placed(waiting, base)
        if error is not None:
            raise error

    def _place(self, last: Block, first: float, arrival: float, least: float) -> int:
        """The stream's index of a connection's sample 0.

        Args:
            last: block held back.
            first, arrival: monotonic s at which the first and the last block held back arrived.
            least: delay among them, in s.
        """
        rate = last.rate
        self.connections += 1
        self._late = 0
        self._tell("open", "")
        if self._rate == 0:
            self._rate = rate
            return 0
        self._end, self._rate = -(-self._end * rate // self._rate), rate
        # What comes again can't be more than what came at once and is older than the outage.
        burst = _end(last) / rate - (arrival - first)
        again = burst - (first - self._arrived) + SLACK_SECONDS if burst > SLACK_SECONDS else 0.0
        usual = self._pace.usual
        base = max(round((least - usual) * rate), self._end - round(max(0.0, again) * rate))
        self._pace.shift(least - base / rate - usual)
        return base

    def _placed(self, block: Block | Missing, base: int) -> Iterator[Block | Missing]:
        """The block on the stream's clock, without what came before."""
        if isinstance(block, Missing):
            self._end = max(self._end, block.end + base + self._late)
            yield Missing(self._end, block.rate, block.cause)
            return
        self._arrived = self._heard = _arrival(block)
        start, samples = block.start + base + self._late, block.samples
        late = self._pace.lost(self._arrived - (start + len(samples)) / block.rate, self._arrived)
        if late:
            lost = round(late * block.rate)
            self._late, start = self._late + lost, start + lost
            self._reason = "the sender fell behind"
        if start < self._end:
            cut = min(self._end - start, len(samples))
            self.repeated += cut
            start, samples = start + cut, samples[cut:]
            if not len(samples):
                return
        if start > self._end and self._reason:
            yield Missing(start, block.rate, self._reason)
        self._reason = ""
        self._end = start + len(samples)
        yield replace(block, start=start, samples=samples)


def _arrival(block: Block) -> float:
    return time.monotonic() if block.arrival is None else block.arrival


def _end(block: Block) -> int:
    return block.start + len(block.samples)
