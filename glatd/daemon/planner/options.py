"""The settings that there are to choose from, what each would cost, and how many streams it would hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

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

    engine: Path | None  # None: the default one
    model: str
    precision: str
    local: Literal["top-k", "all"]
    crops: int  # K of "top-k"; of "all" as many as a window has
    hop: float  # s
    cpu: float  # ms of a stream-second, on one core
    streams: int  # that it would hold

    @property
    def settings(self) -> dict[str, str | int | float]:
        """What stands in glatd.toml then, where it is not the default."""
        told: dict[str, str | int | float] = {"local": self.local, "hop": self.hop}
        if self.engine is not None:
            told = {"engine": str(self.engine), **told}
        return told | ({"crops": self.crops} if self.local == "top-k" else {})


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
    engine: Engine, folder: Path | None, parts: Parts, new: dict[int, float], settings: Settings, share: float = BUSY
) -> list[Option]:
    """All of an engine, the one that leaves out least first.

    A longer hop comes before fewer places: it tells later what it finds, and finds as much.

    Args:
        parts, new: of `measured`.
        share: of the lanes' time that may be used.
    """
    manifest, sizes, (base, *_) = engine.manifest, engine.sizes, hops(engine.sizes)
    ways: list[tuple[Literal["top-k", "all"], int, float, float]] = []
    for hop in hops(sizes):
        everywhere = Everywhere(hop_frames(engine, hop))
        ways.append(("all", everywhere.count(sizes), hop, everywhere.new(sizes)))
    for k in sorted(new, reverse=True):
        # What is chosen a hop later is new in as many more places, until all are.
        ways += [("top-k", k, hop, min(float(k), new[k] * hop / base)) for hop in hops(sizes)]
    made = []
    for local, crops, hop, fresh in ways:
        cpu = parts.of(hop, fresh)
        held = int(1000 * share * settings.lanes / cpu) if cpu else 0
        made.append(Option(folder, manifest.model, manifest.runtime.precision, local, crops, hop, round(cpu, 2), held))
    return made


def choose(found: Sequence[Sequence[Option]], streams: int) -> list[Option]:
    """Those that would hold so many, the one that leaves out least first; of each way, the first engine that does.

    Args:
        found: of each engine, in the order in which they are preferred.
    """
    return [option for way in zip(*found, strict=True) for option in way if option.streams >= streams]
