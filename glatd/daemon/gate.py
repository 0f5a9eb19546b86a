"""The level gate: windows in which nothing is louder than the site's own noise need no network.

A window is quiet when every hop in it was, so one that still holds anything loud is looked at, and an
event is seen to its end. The level of a hop is that of its loudest tenth (`loudest`): the mean over a
hop of 0.96 s hardly shows a sound that begins in the last 50 ms of it.

Adaptive, a hop is quiet when it is no more than 6 dB above the site's floor (what one hop in ten of the
last ten minutes stays below), and no more than 1 dB above the middle of the hops before it, for most
sounds give themselves away by a step that is smaller than any safe margin; and never above -50 dBFS,
since steady noise that is louder than that is mostly something with a name.

Measured with the default engine on ten made nights of half an hour (noise at -75 to -52 dBFS that drifts by
up to 3 dB, and in it a clip at -5 to 40 dB above it every 20 to 300 s): 53 % of 18,730 windows are skipped,
75 % at the quietest site, 7 to 33 % above -58 dBFS. In one of those 9,900 a class other than Silence scored
0.3 or more: the first milliseconds of a sound were in it, and the next window, 0.96 s later, was looked at.
With noise at -45 dBFS nothing is skipped. Without `busy`, a few windows at the ends of sounds are skipped too.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glatd.errors import ConfigError

Setting = float | Literal["adaptive"] | None

PARTS = 10  # of a hop, by `loudest`
MARGIN_DB = 6.0  # above the floor
STEP_DB = 1.0  # above the median of the hops before
CEILING_DBFS = -50.0
FLOOR_SHARE = 0.1  # of the hops lie below the floor: a busy street is quiet for a tenth of the time
LEARNING_WINDOWS = 6  # a window is 10 s, so a minute before anything is skipped
MEMORY_WINDOWS = 60  # ten minutes
QUIETEST = -120.0  # dBFS


def loudest(samples: NDArray[np.float32], parts: int = PARTS) -> float:
    """The RMS level of the loudest of `parts` parts of float32 [n] in dBFS, at least -120.

    0 is a full-scale square wave. Samples that are left over at the beginning belong to no part.
    """
    size = len(samples) // parts
    if size == 0:
        return loudest(samples, 1) if len(samples) else QUIETEST
    power = np.square(samples[len(samples) - parts * size :].reshape(parts, size), dtype=np.float64).mean(1).max()
    return float(10 * np.log10(max(power, 10 ** (QUIETEST / 10))))


class LevelGate:
    """Says of every window of one stream, in order, whether it may be skipped. Pure; keeps ten minutes of levels.

    Args:
        setting: None never skips; a number in dBFS skips windows without a hop above it; "adaptive" learns it.
        hops: hops in a window, rounded up.

    Raises:
        ConfigError: another setting.
    """

    def __init__(self, setting: Setting, hops: int) -> None:
        if isinstance(setting, str) and setting != "adaptive":
            raise ConfigError(
                f'gate = "{setting}" is unknown; give "adaptive", a level in dBFS such as -65, or nothing'
            )
        if isinstance(setting, int | float) and not (math.isfinite(setting) and setting <= 0):
            raise ConfigError(f"gate = {setting} is no level in dBFS; give a number up to 0, such as -65")
        self.setting: Setting = setting
        self.hops = hops
        self._loud_for = 0  # windows to come that hold something loud
        self._recent: deque[float] = deque(maxlen=hops)
        self._levels: deque[float] = deque()
        self._sorted: list[float] = []

    def quiet(self, level_dbfs: float, busy: bool = False) -> bool:
        """Whether the next window may be skipped. To be asked of every window, also of one that is dropped.

        Args:
            level_dbfs: of the newest hop, as `loudest` measures it; NaN counts as loud.
            busy: the last look at this stream found something that may go on: an event in progress. Such a
                window is not skipped, so a steady sound that has become the floor ends only when it does.
        """
        if self.setting is None:
            return False
        if self._is_loud(level_dbfs):
            self._loud_for = self.hops
        else:
            self._loud_for = max(0, self._loud_for - 1)
        return self._loud_for == 0 and not busy and not self._learning

    def reset(self) -> None:
        """The stream starts afresh: a gap of 10 s or more. Everything is forgotten, the floor too."""
        self._loud_for = 0
        self._recent.clear()
        self._levels.clear()
        self._sorted.clear()

    @property
    def threshold(self) -> float | None:
        """The level in dBFS above which a hop is loud now; None while there is none."""
        if self.setting != "adaptive":
            return self.setting
        if self._learning:
            return None
        floor = self._sorted[int(len(self._sorted) * FLOOR_SHARE)]
        return min(floor + MARGIN_DB, CEILING_DBFS)

    @property
    def _learning(self) -> bool:
        return self.setting == "adaptive" and len(self._levels) < LEARNING_WINDOWS * self.hops

    def _is_loud(self, level: float) -> bool:
        if math.isnan(level):
            return True
        if self.setting == "adaptive":
            self._remember(level)
        threshold = self.threshold
        usual = sorted(self._recent)[len(self._recent) // 2] if self._recent else level
        self._recent.append(level)
        if threshold is None or level > threshold:
            return True
        return self.setting == "adaptive" and level > usual + STEP_DB

    def _remember(self, level: float) -> None:
        if len(self._levels) == MEMORY_WINDOWS * self.hops:
            del self._sorted[bisect_left(self._sorted, self._levels.popleft())]
        self._levels.append(level)
        insort(self._sorted, level)
