"""Check of the engine: it loads, answers as the network did that it was built from, and is fast enough."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from glatd.daemon.assembly import check_engine
from glatd.daemon.candidate import read_beside
from glatd.daemon.doctor.auto import chosen
from glatd.daemon.doctor.finding import Finding, error, failure, ok, warning
from glatd.daemon.planner.attempt import cost
from glatd.daemon.planner.options import BUSY
from glatd.daemon.planner.source import pcm
from glatd.daemon.settings import Settings
from glatd.daemon.tagging import first_runs
from glatd.engines.choose import choose, folders_of
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine
from glatd.engines.manifest import Manifest
from glatd.engines.verify import judge
from glatd.errors import GlatdError

_TRIES = 2  # of which the cheaper counts: other checks run at the same time
_HOPS = 5  # that are listened to in each
_LOOP_S = 4  # of sound


def engine(settings: Settings) -> Iterator[Finding]:
    """Load it, verify it, listen with it for a moment."""
    name = "Engine"
    began = time.monotonic()
    try:
        if settings.engine == "auto":
            choice = choose(folders_of(settings.engines))
            yield from chosen(choice)
        folder = choice.folder if settings.engine == "auto" else Path(settings.engine)
        loaded = load_engine(folder, settings.threads, settings.incremental, settings.lanes)
        seconds = time.monotonic() - began
        check_engine(settings, loaded)
        verdict = judge(loaded, folder)
    except GlatdError as raised:
        yield failure(name, raised)
        return
    manifest = loaded.manifest
    what = f"{manifest.model} for {manifest.runtime.target} in {manifest.runtime.precision}, loaded in {seconds:.1f} s"
    if not verdict.good:
        yield error(
            name, f"{what}; scores are off by {verdict.fused:.2g}", "`glatd engine build` it again, or in float32"
        )
        return
    yield ok(name, f"{what}, verified")
    if settings.shadow:
        yield shadow(Path(settings.shadow), manifest)
    yield _speed(loaded, settings)


def _speed(loaded: Engine, settings: Settings) -> Finding:
    """What a stream costs in the daemon's own loop, and whether the lanes have time for so many."""
    for _ in first_runs(loaded, settings.local, settings.crops):
        pass
    settings = replace(settings, publish="", overload=False)
    sound, seconds = pcm(_LOOP_S), 1 + _HOPS * settings.hop
    cpu = min(cost(loaded, settings, sound, 1, seconds).cpu for _ in range(_TRIES)) / seconds
    lanes = min(loaded.lanes.count, os.cpu_count() or 1)
    streams, most = len(settings.source), int(BUSY * lanes / cpu)
    at_once = f"{lanes} threads" if lanes > 1 else "a thread"
    text = f"a stream takes {1000 * cpu:.0f} ms of CPU a second, so {at_once} may hold about {most}"
    if streams > most:
        return warning(
            "Speed", f"{text}; {streams} are too many", f"`glatd bench --streams {streams}` tries what to set"
        )
    return ok("Speed", f"{text}; `glatd bench` tries it")


def shadow(folder: Path, running: Manifest) -> Finding:
    """Whether the engine that is to be compared can look beside the one that runs; a daemon loads it."""
    try:
        found = read_beside(folder, running)
    except GlatdError as raised:
        return failure("Shadow", raised)
    runtime = found.runtime
    return ok("Shadow", f"{found.model} for {runtime.target} in {runtime.precision}")
