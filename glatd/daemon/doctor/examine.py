"""Run every check at once, each within its time."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from glatd.daemon.doctor.finding import Finding, error


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at."""

    group: str  # heading in the list
    name: str  # of the finding when it does not come back
    look: Callable[[], Iterable[Finding]]
    seconds: float  # that it may take


@dataclass(slots=True)
class _Run:
    check: Check
    findings: list[Finding] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            findings = list(self.check.look())
        except Exception as raised:  # a check is to say what is wrong, whatever that is
            findings = [error(self.check.name, f"{type(raised).__name__}: {raised}", "report this")]
        self.findings = findings
        self.done.set()


def examine(checks: Sequence[Check]) -> tuple[dict[str, list[Finding]], bool]:
    """Findings by group, in the order of `checks`; and whether a check hangs, so that the exit would too."""
    runs = [_Run(check) for check in checks]
    began = time.monotonic()
    for run in runs:
        threading.Thread(target=run.run, name=f"check {run.check.name}", daemon=True).start()
    groups: dict[str, list[Finding]] = {}
    hangs = False
    for run in runs:
        check = run.check
        if not run.done.wait(max(0.0, began + check.seconds - time.monotonic())):
            hangs = True
            run.findings = [
                error(check.name, f"no answer within {check.seconds:g} s", "something there hangs: restart it")
            ]
        groups.setdefault(check.group, []).extend(run.findings)
    return groups, hangs
