"""How far a run is: a bar in a terminal, now and then a line elsewhere."""

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

REPORT_EVERY = 20  # steps
LINE_SECONDS = 5.0


class Progress:
    """On stderr: what is being done, how far it is. As a context it leaves the terminal as it was, whatever happens."""

    def __init__(self) -> None:
        self._told = 0.0
        self._sums: dict[str, float] = {}
        self._since = time.monotonic()
        self._bars: Bars | None = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total`."""
        if sys.stderr.isatty():
            self._draw(what, done, total)
        elif done == total or time.monotonic() - self._told > LINE_SECONDS:
            self._told = time.monotonic()
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)

    def _draw(self, what: str, done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        if self._bars is None:
            columns = BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}")
            self._bars = Bars(*columns, console=Console(stderr=True, highlight=False), refresh_per_second=2)
            self._bars.start()
        kind = what.partition(":")[0]  # what stands behind a colon changes as it goes
        if kind != self._what:
            for task in self._bars.task_ids:
                self._bars.remove_task(task)
            self._bars.add_task(what, total=total)
            self._what = kind
        self._bars.update(self._bars.task_ids[-1], completed=done, total=total, description=what)
        if done == total:
            self.close()

    def close(self) -> None:
        """Let go of the terminal; a bar that stands there stays as it is."""
        if self._bars is not None:
            self._bars.stop()
            self._bars, self._what = None, ""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def say(self, text: str) -> None:
        """A line, above a bar."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def step(self, step: int, values: dict[str, float]) -> None:
        """The losses of one training step; their means are printed now and then."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        if step % REPORT_EVERY == 0:
            rate = (time.monotonic() - self._since) / REPORT_EVERY
            means = "  ".join(f"{name} {total / REPORT_EVERY:.5f}" for name, total in self._sums.items())
            self.say(f"step {step}  {rate:.2f} s/step  {means}")
            self._sums, self._since = {}, time.monotonic()
