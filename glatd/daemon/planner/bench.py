"""`glatd bench`: what this machine holds, and what to set for a number of streams."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from glatd.daemon.assembly import make_engine
from glatd.daemon.memory import few_arenas
from glatd.daemon.planner.attempt import Attempt, attempt
from glatd.daemon.planner.options import BUSY, COST_S, Option, choose, measured, options, ranked, would_hold
from glatd.daemon.planner.parts import Parts
from glatd.daemon.planner.search import MOST, most_streams
from glatd.daemon.planner.source import pcm
from glatd.daemon.settings import Settings
from glatd.daemon.tagging import first_runs
from glatd.engines.engine import Engine

TRIES = 3  # options that are tried in real time before none is recommended


@dataclass(frozen=True, slots=True)
class Plan:
    """What was found."""

    settings: Settings  # of `held`
    cores: int
    parts: tuple[Parts, ...]  # of each engine
    attempts: tuple[Attempt, ...]
    held: int | None  # streams, with `settings`; None where a number was asked for
    options: tuple[Option, ...]
    wanted: int | None
    recommended: Option | None
    tried: Attempt | None  # of `recommended`, in real time

    def as_json(self) -> str:
        """All of it."""
        return json.dumps(
            {
                "cores": self.cores,
                "lanes": self.settings.lanes,
                "hop": self.settings.hop,
                "local": self.settings.local,
                "crops": self.settings.crops,
                "parts_ms": [asdict(parts) for parts in self.parts],
                "attempts": [asdict(one) for one in self.attempts],
                "held": self.held,
                "options": [_plain(option) for option in self.options],
                "wanted": self.wanted,
                "recommended": self.recommended and _plain(self.recommended) | {"settings": self.recommended.settings},
                "tried": self.tried and asdict(self.tried),
            },
            indent=1,
        )


def _plain(option: Option) -> dict[str, Any]:
    return asdict(option) | {"engine": str(option.engine or "auto")}


def bench(
    wanted: int | None,
    engines: Sequence[Path | None],
    settings: Settings,
    seconds: float,
    tell: Callable[[str], None],
) -> Plan:
    """Measure, and find the greatest number of streams; or settings for a wanted number.

    Args:
        wanted: streams; None for as many as there can be with `settings`.
        engines: in the order in which they are preferred; None is "auto".
        settings: hop, local, crops and threads of the search.
        seconds: of each attempt in real time.
        tell: progress, a line each.

    Raises:
        ConfigError, EngineError: an engine that does not load, or settings that it cannot do.
    """
    few_arenas()
    sound = pcm()
    settings = replace(settings, publish="", overload=False, status_seconds=2.0)
    found: list[list[Option]] = []
    all_parts: list[Parts] = []
    attempts: list[Attempt] = []
    held = 0
    for folder in engines:
        engine, of = _loaded(folder, settings)
        tell(f"{engine.manifest.model}, {engine.manifest.runtime.precision}: what its parts cost")
        parts, new = measured(engine, of, sound, min(COST_S, 4 * seconds))
        all_parts.append(parts)
        found.append(options(engine, folder, parts, new, of))
        if folder == engines[0] and wanted is None:
            guess = min(MOST, max(1, would_hold(engine, parts, new, of)))
            held, attempts = most_streams(_trying(engine, of, sound, seconds, tell), guess)
            best = max((one for one in attempts if one.held), key=lambda one: one.streams, default=None)
            if best is not None:  # what the cores really gave, beside what was reckoned
                found[0] = options(engine, folder, parts, new, of, BUSY * held / guess)
    recommended, tried = None, None
    if wanted is not None:
        for option in choose(found, wanted)[:TRIES]:
            engine, of = _loaded(option.engine, _with(settings, option))
            one = _trying(engine, of, sound, seconds, tell)(wanted)
            attempts.append(one)
            if one.held:
                recommended, tried = option, one
                break
    return Plan(
        settings,
        os.cpu_count() or 1,
        tuple(all_parts),
        tuple(attempts),
        None if wanted is not None else held,
        tuple(ranked(found)),
        wanted,
        recommended,
        tried,
    )


def _loaded(folder: Path | None, settings: Settings) -> tuple[Engine, Settings]:
    """An engine with every size run once, and the settings with it."""
    settings = replace(settings, engine="auto" if folder is None else str(folder))
    engine = make_engine(settings, settings.lanes)
    for _ in first_runs(engine, "all", settings.crops):  # of all sizes
        pass
    return engine, settings


def _with(settings: Settings, option: Option) -> Settings:
    crops = option.crops if option.local == "top-k" else settings.crops
    return replace(settings, local=option.local, hop=option.hop, crops=crops)


def _trying(
    engine: Engine, settings: Settings, sound: bytes, seconds: float, tell: Callable[[str], None]
) -> Callable[[int], Attempt]:
    def try_it(streams: int) -> Attempt:
        made = attempt(engine, settings, sound, streams, seconds)
        verdict = "held" if made.held else "not held"
        tell(
            f"{streams} streams, a window every {settings.hop:g} s, local = {settings.local}: p99 "
            f"{1000 * made.late_p99:.0f} ms late, {made.cores:.2f} cores: {verdict}"
        )
        return made

    return try_it


Form = Literal["text", "json"]


def as_text(plan: Plan) -> str:
    """A table of the options, and what is recommended."""
    settings = plan.settings
    lines = []
    if plan.held is not None:
        lines += [
            f"{plan.held} streams are held by {plan.cores} cores: with a window every {settings.hop:g} s and "
            f'local = "{settings.local}", 99 of 100 windows are less than a hop late.',
            "",
        ]
    head = ("engine", "precision", "local", "crops", "hop s", "CPU ms a stream-second", "streams")
    rows = [
        (
            one.model if one.engine is None else str(one.engine),
            one.precision,
            one.local,
            str(one.crops),
            f"{one.hop:g}",
            f"{one.cpu:.1f}",
            str(one.streams),
        )
        for one in plan.options
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = zip(row, widths, strict=True)
        lines.append(
            "  ".join(cell.ljust(width) if at < 3 else cell.rjust(width) for at, (cell, width) in enumerate(cells))
        )
    if plan.wanted is not None:
        lines += ["", *_advice(plan)]
    return "\n".join(lines)


def _advice(plan: Plan) -> list[str]:
    if plan.recommended is None or plan.tried is None:
        return [f"{plan.wanted} streams are too many for this machine; take fewer, or the level gate (gate)."]
    told = [f"{key} = {json.dumps(value)}" for key, value in plan.recommended.settings.items()]
    return [
        f"For {plan.wanted} streams: {', '.join(told)}",
        f"(tried: p99 {1000 * plan.tried.late_p99:.0f} ms late, {plan.tried.cores:.2f} of {plan.cores} cores).",
    ]
