"""An outage that a live run knew by its clock: what no sample tells, and a replay must be told to decide alike.

Samples that are lost are a gap, and a gap is told when audio returns. An event must not go on until then: a camera may
be away for a day. So what goes on ends when its hold has passed without audio, at a moment that only the clock of the
live run knows.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outage:
    """Events ended since no audio came."""

    after: int  # sample at the engine's rate: end of the last look before it
    seconds: float  # without audio when they ended; infinite for a stream that was muted
    cause: str  # of the events' end

    def as_fields(self) -> dict[str, Any]:
        """For a line of JSON."""
        seconds = None if math.isinf(self.seconds) else self.seconds
        return {"type": "outage", "after": self.after, "seconds": seconds, "cause": self.cause}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "Outage":
        """From a line of JSON.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: it is none.
        """
        after, told, cause = fields["after"], fields["seconds"], fields["cause"]
        seconds = math.inf if told is None else float(told)
        if type(after) is not int or after < 0:
            raise ValueError(f"after {ascii(after)[:60]} is no sample")
        if not 0 <= seconds < math.inf and told is not None:
            raise ValueError(f"{seconds:g} s is no time without audio")
        return cls(after, seconds, str(cause))


class Outages:
    """Those of a recorded stream, to be taken in their turn."""

    def __init__(self, outages: Iterable[Outage]) -> None:
        self._coming = deque(outages)

    def before(self, sample: int) -> list[Outage]:
        """The next ones, that were over before the run went on with what ends, or is lost, from `sample` on."""
        found = []
        while self._coming and self._coming[0].after < sample:
            found.append(self._coming.popleft())
        return found
