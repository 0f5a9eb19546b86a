"""When events may begin: a span of the day, and days of the week, in local time."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
DAY = 1440  # minutes


@dataclass(frozen=True, slots=True)
class Schedule:
    """From one minute of the day to another, over midnight where the second is not later."""

    start: int = 0  # minute of the day
    minutes: int = DAY  # from there
    days: frozenset[int] = frozenset(range(7))  # on which the span begins; 0 is Monday

    @classmethod
    def read(cls, span: str, days: Sequence[str]) -> "Schedule":
        """Of "22:00-06:00" and ("fri", "sat"); an empty one is no restriction.

        Raises:
            ValueError: neither, in words for whoever wrote it.
        """
        for day in days:
            if day not in DAYS:
                raise ValueError(f"days: {day!r} is no day; give some of {', '.join(DAYS)}")
        chosen = frozenset(DAYS.index(day) for day in days or DAYS)
        if not span:
            return cls(days=chosen)
        if not (match := SPAN.fullmatch(span)):
            raise ValueError(f'schedule = {span!r} is no span of the day; give one such as "22:00-06:00"')
        first, last = (60 * int(match[i]) + int(match[i + 1]) for i in (1, 3))
        return cls(first, (last - first) % DAY or DAY, chosen)

    def holds(self, second: float) -> bool:
        """Whether a UNIX second lies in it, by this machine's time zone."""
        if self.minutes == DAY and self.start == 0 and len(self.days) == 7:
            return True
        local = time.localtime(second)
        minute = 60 * local.tm_hour + local.tm_min
        since = (minute - self.start) % DAY
        began = local.tm_wday if minute >= self.start else (local.tm_wday - 1) % 7
        return since < self.minutes and began in self.days
