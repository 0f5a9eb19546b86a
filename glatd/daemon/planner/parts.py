"""What the parts of the work cost: a second of audio, a window, a crop; and what any settings would cost by that."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glatd.daemon.planner.attempt import Cost


@dataclass(frozen=True, slots=True)
class Parts:
    """CPU milliseconds on one core. A stream costs second + (window + crop * crops looked at in one) / hop."""

    second: float  # of audio: resampling, the front end
    window: float  # the global stream, deciding, the message
    crop: float  # the local stream

    def of(self, hop: float, crops: float) -> float:
        """CPU milliseconds of a stream-second.

        Args:
            hop: s.
            crops: that are looked at in a window: those that are not known.
        """
        return self.second + (self.window + self.crop * crops) / hop


def fit(costs: Sequence[Cost]) -> Parts:
    """By least squares; each run must differ from the others in windows or crops a second."""
    work = np.array([(cost.audio, cost.windows, cost.crops) for cost in costs], np.float64)
    spent = np.array([1000 * cost.cpu for cost in costs])
    # By the share that each is off, not by the milliseconds: else the longest runs alone would decide.
    found = np.linalg.lstsq(work / spent[:, None], np.ones(len(spent)), rcond=None)[0]
    second, window, crop = (max(0.0, float(value)) for value in found)
    return Parts(second, window, crop)
