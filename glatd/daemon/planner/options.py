"""The settings that there are to choose from, what each would cost, and how many streams it would hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from glatd.daemon.looking import Everywhere
from glatd.daemon.planner.attempt import Cost, cost
from glatd.daemon.planner.parts import Parts, fit
from glatd.daemon.settings import Settings
from glatd.daemon.tagging import hop_frames
from glatd.engines.engine import Engine
from glatd.engines.manifest import DEFAULT_HOP_SECONDS, Geometry

TIMES = (1, 2, 3, 4)  # the hop
COST_S = 40.0  # of audio in each run that the parts are found by, at most
BUSY = 0.85  # share of the cores that windows in time leave for nothing else


@dataclass(frozen=True, slots=True)
class Option:
    """One way to look."""

    engine: Path | None  # None: "auto"
    model: str
    precision: str
    local: Literal["top-k", "all"]
    crops: int  # K of "top-k"; of "all" as many as a window has
    hop: float  # s
    threads: int  # as in the settings
    cpu: float  # ms of a stream-second, on one core
    streams: int  # that it would hold

    @property
    def settings(self) -> dict[str, str | int | float]:
        """What to set in glatd.toml: where it looks and how often in any case, since the file may say otherwise; the
        engine, the crops and the threads where they are not the default."""
        told: dict[str, str | int | float] = {} if self.engine is None else {"engine": str(self.engine)}
        told |= {"local": self.local, "hop": self.hop}
        told |= {"crops": self.crops} if self.local == "top-k" else {}
        return told | ({"threads": self.threads} if self.threads else {})

    @property
    def leaves_out(self) -> tuple[bool, int, float]:
        """Sorts by how much: a longer hop comes before fewer places, since it finds as much and tells it later."""
        chosen = self.local == "top-k"
        return chosen, -self.crops if chosen else 0, self.hop


def hops(sizes: Geometry) -> tuple[float, ...]:
    """Those worth a choice, s: about a second, and multiples of it. The first is the nearest to the default."""
    unit = sizes.stride * sizes.hop / sizes.rate
    base = max(1, round(DEFAULT_HOP_SECONDS / unit)) * unit
    return tuple(round(times * base, 9) for times in TIMES if times * base <= sizes.window * sizes.hop / sizes.rate)


def measured(
    engine: Engine, settings: Settings, sound: bytes, seconds: float = COST_S
) -> tuple[Parts, dict[int, float]]:
    """The parts of an engine, and the new crops a window where the selection chooses them, by K.

    Args:
        seconds: of audio in each of four runs.
    """
    base, *longer = hops(engine.sizes)
    ways: list[Settings] = [replace(settings, local="all", hop=base)]
    ways += [replace(settings, local="all", hop=longer[-1])] if longer else []
    most = engine.sizes.crops
    chosen = [replace(settings, local="top-k", crops=k, hop=base) for k in sorted({1, most})]
    costs: dict[Settings, Cost] = {way: cost(engine, way, sound, 1, seconds) for way in [*ways, *chosen]}
    new = {way.crops: costs[way].crops / max(1, costs[way].windows) for way in chosen}
    return fit(list(costs.values())), new


def options(
    engine: Engine,
    folder: Path | None,
    parts: Parts,
    new: Mapping[int, float],
    settings: Settings,
    share: float = BUSY,
) -> list[Option]:
    """All of an engine.

    Args:
        parts, new: of `measured`.
        share: of the lanes' time that may be used.
    """
    manifest, sizes = engine.manifest, engine.sizes
    ways = [replace(settings, local="all", hop=hop) for hop in hops(sizes)]
    ways += [replace(settings, local="top-k", crops=k, hop=hop) for k in new for hop in hops(sizes)]
    return [
        Option(
            folder,
            manifest.model,
            manifest.runtime.precision,
            way.local,
            Everywhere(hop_frames(engine, way.hop)).count(sizes) if way.local == "all" else way.crops,
            way.hop,
            way.threads,
            round(reckoned(engine, parts, new, way), 2),
            would_hold(engine, parts, new, way, share),
        )
        for way in ways
    ]


def reckoned(engine: Engine, parts: Parts, new: Mapping[int, float], settings: Settings) -> float:
    """CPU milliseconds of a stream-second by these settings.

    Args:
        parts, new: of `measured`.
    """
    sizes, hop = engine.sizes, settings.hop
    if settings.local == "all":
        everywhere = Everywhere(hop_frames(engine, hop))
        kept = sizes.trunk_for("local") is not None  # then each crop is scored anew, by the head alone
        return parts.of(hop, everywhere.count(sizes) if kept else everywhere.new(sizes))
    crops, (base, *_) = float(settings.crops), hops(sizes)
    known = sorted(new)
    fresh = float(np.interp(crops, known, [new[k] for k in known]))
    # What is chosen a hop later is new in as many more places, until all are.
    return parts.of(hop, min(crops, fresh * hop / base))


def would_hold(engine: Engine, parts: Parts, new: Mapping[int, float], settings: Settings, share: float = BUSY) -> int:
    """Streams by these settings; arguments as of `options`."""
    cpu = reckoned(engine, parts, new, settings)
    return int(1000 * share * settings.lanes / cpu) if cpu else 0


def ranked(found: Sequence[Sequence[Option]]) -> list[Option]:
    """Those of all engines, the one that leaves out least first; of one way to look, in the order of the engines.

    Args:
        found: of each engine, in the order in which they are preferred. One may have ways that another has not.
    """
    return sorted((option for of_engine in found for option in of_engine), key=lambda option: option.leaves_out)


def choose(found: Sequence[Sequence[Option]], streams: int) -> list[Option]:
    """Those that would hold so many; arguments and order as of `ranked`."""
    return [option for option in ranked(found) if option.streams >= streams]
