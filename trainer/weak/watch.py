"""The judgements of a run, and whether they say that it has gone on for long enough."""

from dataclasses import dataclass, field


@dataclass
class Watch:
    """The judgements so far: step and mAP of each."""

    patience: int
    judged: list[tuple[int, float]] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The highest mAP."""
        return max((value for _, value in self.judged), default=-1.0)

    @property
    def stops(self) -> bool:
        """Whether enough judgements brought nothing better."""
        if not self.patience or not self.judged:
            return False
        values = [value for _, value in self.judged]
        return len(values) - 1 - values.index(max(values)) >= self.patience
