"""How far a run is, by seconds of audio: a bar in a terminal, now and then a line elsewhere."""

import sys
import time
from collections import deque
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from glatd.daemon.archive.find import Input
from glatd.daemon.archive.plan import Estimates

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

LINE_SECONDS = 30.0  # between two lines where there is no terminal
SPEED_SECONDS = 300.0  # over which the speed is taken
SURE_SECONDS = 20.0  # of work, before which nothing is said of the end


class Meter:
    """Pure arithmetic: what is done, what is left, how fast it goes.

    Args:
        inputs: that are to be tagged.
        estimates: of their lengths; those of recordings that are done are known.
    """

    def __init__(self, inputs: list[Input], estimates: Estimates) -> None:
        self._estimates = estimates
        self._left = {item.name: item for item in inputs}
        # By suffix, since what is learnt of one recording changes the estimate of all others of its kind.
        self._bytes: dict[str, int] = {}
        for item in inputs:
            self._bytes[item.suffix] = self._bytes.get(item.suffix, 0) + item.size
        self.inputs, self.finished = len(inputs), 0
        self.heard = 0.0  # s of audio in recordings that are done
        self._under_way: dict[str, float] = {}  # s of audio that was heard of those that are not
        self._told: deque[tuple[float, float]] = deque()  # (monotonic s, s of audio)

    def at(self, item: Input, seconds: float) -> None:
        """A recording is under way; again from 0 where a worker died over it."""
        if item.name in self._left:
            self._under_way[item.name] = seconds

    def done(self, item: Input, seconds: float | None) -> None:
        """A recording is done; None: it turned out to be no good."""
        self._under_way.pop(item.name, None)
        if self._left.pop(item.name, None) is None:
            return
        self._bytes[item.suffix] -= item.size
        self.finished += 1
        if seconds is not None:
            self.heard += seconds
            self._estimates.learn(item, seconds)

    @property
    def seconds(self) -> float:
        """Of audio that was heard."""
        return self.heard + sum(self._under_way.values())

    @property
    def total(self) -> float:
        """Seconds of audio in all, about; never less than was heard."""
        rest = sum(size / self._estimates.rate(suffix) for suffix, size in self._bytes.items())
        return max(self.heard + rest, self.seconds)

    def note(self, now: float) -> None:
        """Remember how far it was; to be called every second or so."""
        self._told.append((now, self.seconds))
        while now - self._told[0][0] > SPEED_SECONDS:
            self._told.popleft()

    def speed(self) -> float | None:
        """Seconds of audio a second, of the last minutes; None before it can be said."""
        if len(self._told) < 2 or self._told[-1][0] - self._told[0][0] < SURE_SECONDS:
            return None
        (first, before), (last, after) = self._told[0], self._told[-1]
        return (after - before) / (last - first) or None

    def left(self) -> float | None:
        """Seconds until the end, about; None before it can be said."""
        speed = self.speed()
        return None if speed is None else (self.total - self.seconds) / speed


class Progress(AbstractContextManager["Progress"]):
    """Shows a meter on stderr while it is entered."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._bars: Bars | None = None
        self._next = 0.0
        self.bad = 0
        self.workers = 0

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True, highlight=False),
                refresh_per_second=2,
            )
            self._bars.add_task("the engine loads", total=1.0)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._update(self._bars)
            self._bars.stop()

    def tick(self) -> None:
        """Show how far it is; may be called at any rate."""
        now = time.monotonic()
        if self.workers:
            self._meter.note(now)
        if self._bars is not None:
            self._update(self._bars)
        elif now >= self._next and self.workers:
            if self._next:
                print(line(self._meter, self.bad), file=sys.stderr, flush=True)
            self._next = now + LINE_SECONDS

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def _update(self, bars: "Bars") -> None:
        total = self._meter.total
        if self.workers:
            text = line(self._meter, self.bad).partition(", ")[2]
            bars.update(bars.task_ids[0], total=total or 1.0, completed=self._meter.seconds, description=text)


def line(meter: Meter, bad: int) -> str:
    """One line of progress; fits 80 columns, the bar besides 104."""
    share = meter.seconds / meter.total if meter.total else 1.0
    parts = [
        f"{100 * share:.0f} %",
        f"{meter.finished:,}/{meter.inputs:,}",
        f"{lasting(meter.seconds)} of about {lasting(meter.total)}",
    ]
    if (speed := meter.speed()) is not None:
        parts.append(f"{speed:.0f}x")
    if (left := meter.left()) is not None:
        parts.append(f"about {lasting(left)} left")
    if bad:
        parts.append(f"{bad:,} bad")
    return ", ".join(parts)


def lasting(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 1000 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 3600:,.0f} h"
