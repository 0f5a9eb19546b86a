"""What glatd is to reach against the others, and whether it did."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.contender import OURS

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Aim:
    """One of them."""

    what: str
    value: float | None  # None: not measured in this run
    bound: float
    most: bool  # whether the bound is an upper one
    unit: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether it is; None when it was not measured."""
        if self.value is None:
            return None
        return self.value <= self.bound if self.most else self.value >= self.bound

    def as_row(self) -> Row:
        """For the result file."""
        sign = "at most" if self.most else "at least"
        return {
            "aim": self.what,
            "wanted": f"{sign} {self.bound:g}{self.unit}",
            "measured": self.value,
            "reached": self.reached,
        }


def ratios(rows: Iterable[Row]) -> list[Row]:
    """How many streams glatd has on a core for each of another's: medians of the ratios in each turn."""
    return [
        {"name": f"streams per core, of {row['contender']}", "value": row["cpu_of_ours"]}
        for row in rows
        if row["contender"] != OURS
    ]


def judge(rows: list[Row], live: Row | None, cnn10: bool) -> list[Row]:
    """Every aim.

    Args:
        rows: of the contenders.
        live: of the daemon.
        cnn10: whether glatd ran a GL-AT of CNN10.
    """
    by_key = {row["contender"]: row for row in rows}

    def ratio(key: str, inverse: bool = False) -> float | None:
        if key not in by_key:
            return None
        value = float(by_key[key]["cpu_of_ours"])
        return round(1 / value if inverse else value, 2)

    def of_live(key: str) -> float | None:
        return None if live is None else live[key]

    ahead = None
    maps = {key: by_key.get(key, {}).get("map") for key in (OURS, "yamnet")}
    if all(value is not None for value in maps.values()):
        ahead = round(maps[OURS] - maps["yamnet"], 4)
    hop = by_key[OURS]["hop_s"]
    if cnn10:
        aims = [Aim("GL-AT of CNN10: streams per core, of those of (a)", ratio("cnn10"), 15, False, " ×")]
    else:
        aims = [
            Aim("streams per core, of those of (a) CNN10 in PyTorch", ratio("cnn10"), 40, False, " ×"),
            Aim("streams per core, of those of (d) on the same runtime", ratio("glat-engine"), 3, False, " ×"),
            Aim("streams per core, of those of (d) in PyTorch", ratio("glat-pytorch"), 9, False, " ×"),
            Aim("CPU per stream-second, of that of (b) YAMNet", ratio("yamnet", True), 4.5, True, " ×"),
            Aim("the same, hoped for", ratio("yamnet", True), 3, True, " ×"),
            Aim("mAP above that of (b) YAMNet", ahead, 0.08, False),
        ]
    return [
        aim.as_row()
        for aim in (
            *aims,
            Aim("the daemon's streams of PCM on this machine, by its CPU at half load", of_live("bears"), 200, False),
            Aim("from sound to message at half load, p99", of_live("late_p99_s"), round(hop + 0.3, 2), True, " s"),
            Aim(
                "cold start: from a stream's first second to its first tags",
                of_live("after_first_second_s"), 1.5, True, " s",
            ),
            Aim("memory of the daemon without its streams", of_live("fixed_mb"), 250, True, " MB"),
            Aim("memory of a PCM stream", of_live("stream_mb"), 3, True, " MB"),
        )
    ]  # fmt: skip
