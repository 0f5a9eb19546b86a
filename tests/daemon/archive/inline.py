"""The command with its workers in this very process: what they do is the same, and nothing has to be started."""

from collections import deque
from pathlib import Path
from typing import NamedTuple

import pytest

from glatd.daemon.archive import command
from glatd.daemon.archive.job import Job
from glatd.daemon.archive.reports import Died, Ready, Report, Shard
from glatd.daemon.archive.work import Worker
from glatd.errors import GlatdError


class InlineCrew:
    """One worker, which works while it is given something."""

    def __init__(self, job: Job, count: int) -> None:
        self._worker = Worker(job)
        self.told: deque[tuple[Shard | None, Report]] = deque([(None, Ready())])
        self.size = self.free = 1

    def give(self, shard: Shard) -> None:
        """Tag it."""
        try:
            self._worker.work(shard, lambda report: self.told.append((shard, report)))
        except GlatdError as error:
            self.told.append((shard, Died(str(error), error=error)))

    def wait(self, seconds: float) -> list[tuple[Shard | None, Report]]:
        """All that was told."""
        told = list(self.told)
        self.told.clear()
        return told

    def stop(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing was started."""


class Done(NamedTuple):
    """As of a process."""

    returncode: int
    stdout: str


class Inline:
    """`glatd archive` in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, printed: "pytest.CaptureFixture[str]") -> None:
        self._printed = printed
        patch.setattr(command, "LocalCrew", InlineCrew)
        patch.setattr(command, "stop_on_signals", lambda stop: None)

    def __call__(self, paths: Path | str | list[str], out: Path | str, **options: object) -> Done:
        """Run it.

        Raises:
            GlatdError: what the command line would print.
        """
        named = [str(path) for path in paths] if isinstance(paths, list) else [str(paths)]
        code = command.archive(named, str(out), **options)  # type: ignore[arg-type]
        return Done(code, self._printed.readouterr().out)
