"""Cost as work grows: CPU by streams, by K and by hop; the model of it, and how well it predicts; streams in real time.

The CPU is of recordings that run through the daemon's loop as fast as they go, with all it does for a stream but its
socket: resampling from 48 kHz, front end, both looks, deciding on events, packing messages. The model

    CPU of a stream-second  =  second + (window + crop * new crops) / hop

has three figures of an engine, found by least squares over the runs of one stream with other K and hops; it is then
asked about all runs, those with more streams too. In real time, what does not grow with the streams is where the line
through the cores of several numbers of streams begins.
"""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.machine import described, load_average
from benchmarks.progress import say
from glatd.daemon.planner.attempt import Attempt, Cost, attempt, cost
from glatd.daemon.planner.parts import fit
from glatd.daemon.planner.search import most_streams
from glatd.daemon.planner.source import pcm
from glatd.daemon.settings import Settings
from glatd.daemon.tagging import first_runs
from glatd.engines.engine import Engine
from glatd.engines.load import load_engine

STREAMS = (1, 2, 4, 8, 16, 32, 64)
AUDIO_S = 40.0  # of one stream; of many streams each is shorter, so that a run takes seconds
LEAST_S = 6.0
HOPS = (0.32, 0.64, 0.96, 1.28, 1.92, 2.56, 2.88, 3.84)  # s
MOST_K = 7
SHARES = (0.25, 0.5, 0.75)  # of the streams that are held, at which lateness and cores are told
BASE = Settings(publish="", overload=False, status_seconds=2.0)
WAYS: tuple[dict[str, Any], ...] = ({"local": "all"}, {"local": "top-k", "crops": 5})


def measure(bundle: Path, seconds: float) -> dict[str, Any]:
    """All curves of the network in `bundle`.

    Args:
        seconds: of each attempt in real time.
    """
    load, sound = load_average(), pcm()
    say("exporting and building an engine")
    with TemporaryDirectory() as name:
        folder = engine_of(bundle, Path(name), MOST_K)
        engine = load_engine(folder, lanes=BASE.lanes)
        for _ in first_runs(engine, "all", MOST_K):
            pass
        rows = []
        for way in WAYS:
            rows += [row(engine, replace(BASE, hop=hop, **way), sound, 1) for hop in HOPS]
        rows += [row(engine, replace(BASE, local="top-k", crops=k), sound, 1) for k in range(1, MOST_K + 1)]
        parts = fit([Cost(one["audio_s"], one["windows"], one["crops"], one["cpu_s"]) for one in rows])
        for way in WAYS:
            rows += [row(engine, replace(BASE, **way), sound, streams) for streams in STREAMS[1:]]
        for one in rows:
            # Of the windows that there were: a recording has none in its first second, and one more at its end.
            every = one["audio_s"] / one["windows"]
            one["predicted_ms"] = round(parts.of(every, one["crops"] / one["windows"]), 3)
        live = {way["local"]: in_real_time(engine, replace(BASE, **way), sound, seconds, rows) for way in WAYS}
        manifest = engine.manifest
    return {
        **described("python -m benchmarks cost", load),
        "model": manifest.model,
        "engine": manifest.hash,
        "lanes": BASE.lanes,
        "precision": manifest.runtime.precision,
        "parts_ms": {key: round(value, 3) for key, value in asdict(parts).items()},
        "off": off(rows),
        "rows": rows,
        "live": live,
    }


def engine_of(bundle: Path, work: Path, crops: int) -> Path:
    """An engine of `bundle` that selects so many: the first k of them are the selection for k."""
    from glatd.engines.build import build_engine
    from glatd.trainer.export import export

    copied = Path(shutil.copytree(bundle, work / "bundle"))
    described_as = json.loads((copied / "model.json").read_text(encoding="utf-8"))
    described_as["glat"]["crops"] = crops
    (copied / "model.json").write_text(json.dumps(described_as), encoding="utf-8")
    export(copied)
    build_engine(copied, work / "engine")
    return work / "engine"


def row(engine: Engine, settings: Settings, sound: bytes, streams: int) -> dict[str, Any]:
    """One run."""
    seconds = max(LEAST_S, AUDIO_S / streams)
    spent = cost(engine, settings, sound, streams, seconds)
    made = {
        "streams": streams,
        "local": settings.local,
        "crops_asked": settings.crops if settings.local == "top-k" else None,
        "hop": settings.hop,
        "audio_s": spent.audio,
        "windows": spent.windows,
        "crops": spent.crops,
        "cpu_s": round(spent.cpu, 4),
        "cpu_ms": round(1000 * spent.cpu / spent.audio, 3),  # of a stream-second
    }
    say({key: made[key] for key in ("streams", "local", "crops_asked", "hop", "cpu_ms")})
    return made


def off(rows: list[dict[str, Any]]) -> dict[str, float]:
    """By how much the model is off, as a share of what was measured."""
    errors = np.abs([one["predicted_ms"] / one["cpu_ms"] - 1 for one in rows])
    many = np.abs([one["predicted_ms"] / one["cpu_ms"] - 1 for one in rows if one["streams"] > 1])
    return {
        "median": round(float(np.median(errors)), 4),
        "most": round(float(errors.max()), 4),
        "median_of_many_streams": round(float(np.median(many)), 4),
    }


def in_real_time(
    engine: Engine, settings: Settings, sound: bytes, seconds: float, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """How many streams are held, and lateness and cores below that."""
    mine = [one for one in rows if one["local"] == settings.local and one["hop"] == settings.hop and one["streams"] > 1]
    each = float(np.median([one["cpu_ms"] for one in mine]))

    def try_it(streams: int) -> Attempt:
        made = attempt(engine, settings, sound, streams, seconds)
        say(settings.local, made)
        return made

    held, attempts = most_streams(try_it, int(0.85 * 1000 * settings.lanes / each))
    below = sorted({max(1, round(share * held)) for share in SHARES} - {one.streams for one in attempts})
    attempts = sorted([*attempts, *map(try_it, below)], key=lambda one: one.streams)
    fine = [one for one in attempts if one.held]
    slope, fixed = (
        np.polyfit([one.streams for one in fine], [one.cores for one in fine], 1) if len(fine) > 1 else (0, 0)
    )
    return {
        "hop": settings.hop,
        "held": held,
        "attempts": [asdict(one) for one in attempts],
        "fixed_cores": round(float(fixed), 4),
        "ms_a_stream_second": round(1000 * float(slope), 3),
        "ms_of_recordings": round(each, 3),
        "predicted_ms": mine[0]["predicted_ms"],
    }
