"""What a daemon says of each stream, with the moment at which it was heard; and what that tells of a fault."""

import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.daemon.processes import Running

# On top of the fault's own length: what FFmpeg needs to open a stream, and a retry that was just missed.
ALLOWED_S = 1.0
PATIENCE_S = 60.0  # for a machine that is busy
RATE = 32_000  # Hz, of every position
BEFORE_S = 3.5  # of tags, which tell how far a stream's clock is behind
WELL = ("live", "silent")  # nobody plays into the virtual microphones: digital silence is what they have to say


@dataclass(frozen=True, slots=True)
class Heard:
    """One line of the daemon."""

    at: float  # monotonic s
    message: dict[str, Any]

    @property
    def state(self) -> str:
        """Of a status; empty for other messages."""
        return str(self.message.get("state", "")) if self.message["type"] == "status" else ""

    @property
    def is_trouble(self) -> bool:
        """Whether it tells that a stream does not fare well."""
        return self.message["type"] == "gap" or self.state not in ("", "starting", *WELL)


class Watch:
    """Follows a daemon that was started with `--format jsonl`."""

    def __init__(self, daemon: Running) -> None:
        self.daemon = daemon
        self._heard: list[Heard] = []
        self._lock = threading.Lock()

    def all(self) -> list[Heard]:
        """Every line so far."""
        with self._lock:
            whole = min(len(self.daemon.lines), len(self.daemon.arrivals))
            for number in range(len(self._heard), whole):
                self._heard.append(Heard(self.daemon.arrivals[number], json.loads(self.daemon.lines[number])))
            return list(self._heard)

    def of(self, stream: str, since: float = 0.0) -> list[Heard]:
        """What was heard of a stream after a monotonic time."""
        return [one for one in self.all() if one.message["stream"] == stream and one.at >= since]

    def wait(self, stream: str, since: float, found: Callable[[Heard], bool], what: str) -> Heard:
        """The first line of a stream that fits."""
        until = time.monotonic() + PATIENCE_S
        while True:
            for one in self.of(stream, since):
                if found(one):
                    return one
            if time.monotonic() > until or self.daemon.process.poll() is not None:
                states = [(round(one.at - since, 2), one.state) for one in self.of(stream) if one.state]
                raise AssertionError(f"{stream}: {what} was not heard; {states}, {self.daemon.errors[-5:]}")
            time.sleep(0.05)

    def wait_for_tags(self, stream: str, since: float, count: int = 1) -> Heard:
        """The tags that are the `count`-th after a monotonic time."""
        first = self.wait(stream, since, lambda one: one.message["type"] == "tags", "tags")
        last = first.message["seq"] + count - 1
        return self.wait(
            stream, since, lambda one: one.message["type"] == "tags" and one.message["seq"] >= last, f"{count} tags"
        )

    def delay(self, stream: str, since: float, until: float) -> float | None:
        """By how much a stream's positions are behind the monotonic clock at best; None if there were no tags."""
        tags = [one for one in self.of(stream, since) if one.message["type"] == "tags" and one.at <= until]
        return min((one.at - one.message["end"] / RATE for one in tags), default=None)


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of one fault."""

    fault: str
    lasted: float  # s
    noticed: float | None  # s from its begin to the first message that tells of it
    told: str  # that message
    recovered: float | None  # s from its end until the stream is live and tagged again
    lost: float  # s, in gaps told since its begin
    off: float  # s by which the stream's clock is off afterwards; negative: audio was stitched
    adds_up: bool  # samples + lost == position, and the gaps told are all that was lost

    def check(self, told: str) -> None:
        """It was told, in words that begin so; it is over; no more is lost than it explains, all of it told."""
        assert self.told.startswith(told) and self.noticed is not None, self
        assert self.recovered is not None, self
        assert self.adds_up, self
        assert self.lost <= self.lasted + ALLOWED_S, self


def adds_up(heard: list[Heard]) -> bool:
    """Whether all of a stream's messages agree on what came and what did not."""
    gaps = [one.message for one in heard if one.message["type"] == "gap"]
    ends = [one.message["end"] for one in heard if one.message["type"] == "tags"]
    last = next(one.message for one in reversed(heard) if one.state)
    position = last["samples"] + last["lost"]  # a gap is told when its first sample is due
    told = sum(min(gap["end"], position) - gap["start"] for gap in gaps)
    in_order = all(before["end"] <= after["start"] for before, after in itertools.pairwise(gaps))
    return bool(in_order and told == last["lost"] and max(ends, default=0) <= position)


def describe(one: Heard) -> str:
    """A line of the daemon in few words."""
    message = one.message
    if message["type"] == "gap":
        return f"gap: {message['cause']}"
    return f"{one.state}: {message['reason']}" if message["reason"] else one.state


def measure(watch: Watch, stream: str, fault: str, began: float, over: float, until: float = float("inf")) -> Figures:
    """The figures of a fault, once the daemon has ended.

    Args:
        began, over: monotonic seconds.
        until: the next fault of the same stream.
    """
    heard = watch.of(stream)
    after = [one for one in heard if began <= one.at < until and one.state != "stopped"]
    trouble = next((one for one in after if one.is_trouble), None)
    gaps = [one.message for one in after if one.message["type"] == "gap"]
    recovered = None
    if trouble is not None:
        was_down = any(one.state and one.is_trouble for one in after)
        back = [one.at for one in after if one.state in WELL and one.at >= over] if was_down else []
        tags = [one.at for one in after if one.message["type"] == "tags" and one.at >= max([over, *back[:1]])]
        recovered = tags[0] - over if tags else None
    last = max((one.at for one in after if one.message["type"] == "tags"), default=over)
    before = watch.delay(stream, began - BEFORE_S, began)
    now = watch.delay(stream, max(over, last - BEFORE_S), last)
    return Figures(
        fault=fault,
        lasted=over - began,
        noticed=None if trouble is None else trouble.at - began,
        told="" if trouble is None else describe(trouble),
        recovered=recovered,
        lost=sum(gap["end"] - gap["start"] for gap in gaps) / RATE,
        off=0.0 if before is None or now is None else before - now,
        adds_up=adds_up(heard),
    )
