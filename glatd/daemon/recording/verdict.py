"""What a comparison of one stream has found: what differs, what is equal, and what was not compared, and why."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

TOLERANCE = 1e-3  # of a score

UNHEARD = "with audio that only one of the two runs had"
FEWER_CROPS = "that the run looked at with fewer crops under overload"
SKIPPED = "that the run skipped under overload"
UNLIKE = "near windows that were not compared"
OTHER_ENGINE = "that the engine {} looked at; replay with that one to compare them"
AFTER_THE_RUN = "after the run had ended"
AFTER_THE_RECORDING = "after the recording was cut off"

Span = tuple[int, int]  # samples [start, end)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was."""

    sample: int
    rate: int  # Hz
    what: str


@dataclass(slots=True)
class Verdict:
    """What the comparison of one stream has found."""

    differences: list[Difference] = field(default_factory=list)  # in the order of time
    equal: Counter[str] = field(default_factory=Counter)  # windows, gaps, events
    excused: Counter[str] = field(default_factory=Counter)  # not compared: "windows that ..."
    hops: tuple[float, float] | None = None  # s, expected and found, where they differ
    engines: tuple[str, str] | None = None  # hashes, where they differ

    def differ(self, sample: int, rate: int, what: str) -> None:
        """Something is not as it was."""
        self.differences.append(Difference(sample, rate, what))

    def excuse(self, what: str, why: str) -> None:
        """One of what is not compared."""
        self.excused[f"{what} {why}"] += 1


def overlaps(span: Span, others: Iterable[Span]) -> bool:
    """Whether a span shares a sample with any of `others`."""
    return any(start < span[1] and span[0] < end for start, end in others)
