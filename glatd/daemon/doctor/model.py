"""Check of the engine: it loads, answers as the network did that it was built from, and is fast enough."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from glatd.daemon.doctor.auto import chosen
from glatd.daemon.doctor.finding import Finding, error, failure, ok, warning
from glatd.daemon.settings import Settings
from glatd.daemon.tagging import check_crops, hop_frames
from glatd.engines.choose import choose, folders_of
from glatd.engines.load import load_engine
from glatd.engines.verify import judge
from glatd.errors import GlatdError

_TRIES = 3  # of which the fastest counts
_BUSY = 0.8  # share of a hop that all streams together may take


def engine(settings: Settings) -> Iterator[Finding]:
    """Load it, verify it, time a window."""
    name = "Engine"
    began = time.monotonic()
    try:
        if settings.engine == "auto":
            choice = choose(folders_of(settings.engines))
            yield from chosen(choice)
        folder = choice.folder if settings.engine == "auto" else Path(settings.engine)
        loaded = load_engine(folder, settings.threads, settings.incremental)
        seconds = time.monotonic() - began
        hop_frames(loaded, settings.hop)
        check_crops(loaded, settings.crops)
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
    sizes = loaded.sizes
    frames = np.zeros((1, sizes.window, sizes.mels), np.float32)
    audible = np.ones((1, sizes.frames), np.float32)
    samples = np.zeros((1, sizes.block_samples), np.float32)
    blocks = settings.hop * sizes.rate / (sizes.hop * sizes.block)
    fastest = float("inf")
    for _ in range(_TRIES):
        began = time.perf_counter()
        loaded.look(frames, audible, settings.crops)
        looked = time.perf_counter()
        loaded.frontend(samples)
        fastest = min(fastest, looked - began + blocks * (time.perf_counter() - looked))
    share = fastest / settings.hop
    streams = len(settings.source)
    text = (
        f"a window every {settings.hop:g} s takes {1000 * fastest:.0f} ms, {100 * share:.1f} % of this machine a stream"
    )
    if streams * share > _BUSY:
        yield warning("Speed", f"{text}; {streams} are too many", "a longer hop, fewer crops or fewer sources")
    else:
        yield ok("Speed", text)
