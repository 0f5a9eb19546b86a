"""What a stream hears on its way to a recording, held back until it is decided what of it may be written."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from glatd.audio import Block, Missing
from glatd.daemon.outage import Outage
from glatd.daemon.privacy.veil import EVER, Span
from glatd.daemon.recording.layout import UNSEEN
from glatd.daemon.worker import Recording

HELD_BYTES = 32 << 20  # of a stream's audio; at 48 kHz in stereo 80 s

Spans = Callable[[int, int], list[Span]]


@dataclass(frozen=True, slots=True)
class Lacking:
    """A block that came and is not part of the stream."""

    block: Block
    cause: str


class Withheld:
    """Stands before a recording, and is one. The source's thread gives; the loop's releases. Nothing blocks or fails.

    Args:
        recording: gets what may be written; the rest is lost there, with its cause.
        rate: Hz of the samples that verdicts are counted in.
    """

    def __init__(self, recording: Recording, rate: int) -> None:
        self._recording, self._rate = recording, rate
        self._lock = threading.Lock()
        self._held: deque[Block | Missing | Lacking] = deque()
        self._bytes = 0
        self._finished = False

    def take(self, block: Block) -> None:
        """A block on the stream's own sample clock."""
        with self._lock:
            if self._finished:
                return
            self._held.append(block)
            self._bytes += block.samples.nbytes
            while self._bytes > HELD_BYTES and self._held:  # nobody looks any more
                self._pass(self._held.popleft(), lambda start, end: [Span(start, end, UNSEEN)])

    def gap(self, missing: Missing) -> None:
        """Audio that did not come, where its cause is known."""
        with self._lock:
            self._held.append(missing)

    def lose(self, block: Block, cause: str) -> None:
        """A block that came and is not part of the stream."""
        with self._lock:
            # Its place is all that is needed: a stream that is muted for a day holds no audio.
            if self._held and isinstance(last := self._held[-1], Lacking) and last.cause == cause:
                self._held.pop()
            self._held.append(Lacking(replace(block, samples=block.samples[:0].copy(), start=_end(block)), cause))

    def outage(self, outage: Outage) -> None:
        """Events have ended for want of audio: nothing that could be heard in it."""
        self._recording.outage(outage)

    def close(self) -> None:
        """The source has ended; the loop has still to look at its last seconds, and then calls `finish`."""

    def release(self, decided: int, spans: Spans) -> None:
        """Hand on what is decided.

        Args:
            decided: sample of the verdicts' clock up to which they hold.
            spans: what of [start, end) of that clock must not be written.
        """
        with self._lock:
            while self._held:
                first = self._held[0]
                if isinstance(first, Block) and self._at(_end(first), first.rate) > decided:
                    return
                self._pass(self._held.popleft(), spans)

    def finish(self, spans: Spans) -> None:
        """Hand on all that is left, and end the recording of the stream."""
        self.release(EVER, spans)
        with self._lock:
            self._finished = True
        self._recording.close()

    def _pass(self, item: Block | Missing | Lacking, spans: Spans) -> None:
        if isinstance(item, Missing):
            self._recording.gap(item)
        elif isinstance(item, Lacking):
            self._recording.lose(item.block, item.cause)
        else:
            self._bytes -= item.samples.nbytes
            self._divide(item, spans)

    def _divide(self, block: Block, spans: Spans) -> None:
        at, end = block.start, _end(block)
        for start, stop, cause in spans(self._at(at, block.rate), -(-end * self._rate // block.rate)):
            first = max(at, start * block.rate // self._rate)
            last = min(end, -(-stop * block.rate // self._rate))
            if first > at:
                self._recording.take(_part(block, at, first))
            if last > first:
                self._recording.lose(_part(block, first, last), cause)
            at = max(at, last)
        if at < end:
            self._recording.take(_part(block, at, end))

    def _at(self, sample: int, rate: int) -> int:
        return sample * self._rate // rate


def _end(block: Block) -> int:
    return block.start + len(block.samples)


def _part(block: Block, first: int, last: int) -> Block:
    """Samples [first, last) of the stream."""
    arrival = None if block.arrival is None else block.arrival - (_end(block) - last) / block.rate
    return replace(block, start=first, samples=block.samples[first - block.start : last - block.start], arrival=arrival)
