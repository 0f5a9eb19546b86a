"""What `glatd archive` does, from its arguments to its last line."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from glatd.daemon.archive.cluster import RayCrew
from glatd.daemon.archive.crew import Crew, LocalCrew
from glatd.daemon.archive.find import find
from glatd.daemon.archive.job import TOP, Job, Scores, agree, asks_the_time, describe
from glatd.daemon.archive.progress import Meter, Progress
from glatd.daemon.archive.run import Run
from glatd.daemon.archive.store import Store
from glatd.daemon.assembly import check_engine
from glatd.daemon.settings import Settings, read_settings
from glatd.engines.choose import chosen_folder
from glatd.engines.engine import Engine
from glatd.engines.manifest import GRAPHS, read_manifest
from glatd.errors import ConfigError
from glatd.terminal import stop_on_signals

log = logging.getLogger("glatd")


def read_list(path: str) -> list[str]:
    """Paths and URLs of a file, one a line; "-" is stdin.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the list {path}: {error.strerror}; check the path") from error
    return [os.fsdecode(line.removesuffix(b"\r")) for line in content.split(b"\n") if line.strip()]


def make_settings(engine: str | None, hop: float | None, rules: Path | None, scores: Scores) -> Settings:
    """Those of every recording.

    Raises:
        ConfigError: some that cannot be.
    """
    events = None if rules is None else read_settings(rules).events
    if engine not in (None, "auto"):
        engine = os.path.abspath(engine)  # workers may stand elsewhere
    return read_settings(
        None, engine=engine, hop=hop, events=events, threads=1, publish="", status_seconds=3600.0,
        top=TOP if scores == "top" else 0,
    )  # fmt: skip


def archive(
    paths: Sequence[str],
    out: str,
    engine: str | None = None,
    hop: float | None = None,
    rules: Path | None = None,
    scores: Scores = "top",
    jobs: int | None = None,
    ray: str | None = None,
    part_hours: float = 4.0,
) -> int:
    """Tag all recordings of `paths` that are not in `out` yet.

    Args:
        jobs: workers; None for one a core.
        ray: address of a Ray cluster; None for this machine.
        part_hours: of audio in a part of the tables, about.

    Returns:
        The exit code.

    Raises:
        GlatdError: nothing can be done, or no more.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs {jobs} must be 1 or more")
    if not 0 < part_hours < float("inf"):
        raise ConfigError(f"--part-hours {part_hours:g} must be a number of hours above 0")
    settings = make_settings(engine, hop, rules, scores)
    manifest = read_manifest(chosen_folder(settings.engine, settings.engines))
    # Tells what cannot be before anything is listed; only workers load what an engine is run with.
    check_engine(settings, Engine(manifest, dict.fromkeys(GRAPHS, _not_here)))
    found = find(paths)
    if asks_the_time(settings.events) and any(not os.path.isdir(item.file) for item in found.inputs):
        raise ConfigError(
            f"{rules} has rules for times of the day, and files do not tell when they were recorded; leave schedule "
            "and days out, or give recordings of glatd's only"
        )
    store = Store(out)
    job = Job(settings, scores, str(store.folder or out), 3600.0 * part_hours, manifest.hash)
    store.claim()
    try:
        if warning := agree(store, describe(job, manifest)):
            log.warning(warning)
        run = Run(store, found, job.part_seconds)
        stop_on_signals(run.stop)
        missing = run.missing()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # One recording keeps one worker busy, and more of them none.
        workers = min(jobs or cores, max(1, len(missing)))
        meters: list[Meter] = []

        def hire() -> Crew:
            return LocalCrew(job, workers) if ray is None else RayCrew(job, ray, jobs)

        def show(meter: Meter) -> Progress:
            meters.append(meter)
            return Progress(meter)

        if missing:
            run.run(missing, hire, show)
        else:
            run.keep_bad()
        for line in run.summary(sum(meter.heard for meter in meters)):
            click.echo(line)
        return run.exit_code
    finally:
        store.release()


def _not_here(*inputs: object) -> tuple[NDArray[np.generic], ...]:
    raise NotImplementedError("the process that hands out the work runs no engine")
