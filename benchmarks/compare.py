"""`python -m benchmarks compare OLD NEW`: what became worse between two result files, by their ratios.

Ratios, since a slower machine slows all contenders alike. For a job that somebody starts by hand: what else a machine
had to do moves ratios too, so no test and no CI asks this.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glatd.errors import DataError

WORSE = 0.15  # of a ratio; runs of one commit on a quiet machine differ by less


@dataclass(frozen=True, slots=True)
class Change:
    """One ratio, then and now; more is better."""

    name: str
    old: float
    new: float | None  # None: it is not there any more

    @property
    def worse(self) -> float:
        """By what share it became worse; negative where it became better, 1.0 where it is gone."""
        if self.new is None:
            return 1.0
        return 1 - self.new / self.old

    def __str__(self) -> str:
        if self.new is None:
            return f"{self.name}: {self.old:g} then, not measured now"
        return f"{self.name}: {self.old:g} then, {self.new:g} now, {abs(self.worse):.0%} " + (
            "worse" if self.worse > 0 else "better"
        )


def read(path: Path) -> dict[str, Any]:
    """A result file with ratios.

    Raises:
        DataError: not there, or without any.
    """
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}; `python -m benchmarks peers` makes one") from error
    if not isinstance(result, dict) or not result.get("ratios"):
        raise DataError(f"{path} has no ratios; give two files that `python -m benchmarks peers` made")
    return result


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Every ratio of the old file."""
    now = {row["name"]: float(row["value"]) for row in new["ratios"]}
    for row in old["ratios"]:
        yield Change(row["name"], float(row["value"]), now.get(row["name"]))


def compare(old_file: Path, new_file: Path) -> bool:
    """Print what changed; whether nothing is worse by more than `WORSE`."""
    old, new = read(old_file), read(new_file)
    for key in ("cpu", "cores", "instruction_sets"):
        then, now = old["machine"][key], new["machine"][key]
        if then != now:
            print(f"another machine: {key} {then} then, {now} now; ratios differ between machines")
    found = list(changes(old, new))
    for change in found:
        print(("! " if change.worse > WORSE else "  ") + str(change))
    return all(change.worse <= WORSE for change in found)
