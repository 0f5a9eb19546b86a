"""Check of the sources: each is opened, and its first audio is looked at."""

import threading
import time
from collections.abc import Iterator

import numpy as np

from glatd.audio import Block, Missing
from glatd.daemon.doctor.finding import Finding, error, failure, ok, warning
from glatd.daemon.sources.base import Source
from glatd.errors import GlatdError

FIRST_SECONDS = 3.0  # until the first audio
MICROPHONE_SECONDS = 8.0  # the same; PortAudio may ask many devices first
LISTEN_SECONDS = 0.5
_SILENCE = 1e-6  # -120 dBFS


def listen(source: Source) -> Iterator[Finding]:
    """Open a source for half a second and tell its level."""
    # A source that gives nothing is ended from outside; its thread may be stuck in a library.
    heard, limit = threading.Event(), first_seconds(source)
    watch = threading.Thread(target=_stop_late, args=(source, heard, limit), name=f"watch {source.name}", daemon=True)
    watch.start()
    began, first, last = time.monotonic(), None, None
    loudest = square = 0.0
    count = 0
    blocks = source.blocks()
    try:
        for block in blocks:
            if isinstance(block, Missing):
                continue
            first, last = first or block, block
            heard.set()
            if block.samples.size:
                loudest = max(loudest, float(np.abs(block.samples).max()))
                square += float(np.square(block.samples, dtype=np.float64).sum())
                count += block.samples.size
            seconds = (block.start + len(block.samples) - first.start) / block.rate
            if seconds >= LISTEN_SECONDS or time.monotonic() - began > limit:
                break
    except GlatdError as raised:
        yield failure(source.name, raised)
        return
    finally:
        heard.set()
        blocks.close()  # type: ignore[attr-defined]
        source.stop()
    if first is None or last is None or not count:
        yield error(source.name, f"{source.uri}: no audio within {limit:g} s", "check that it sends")
        return
    yield judged(source, last, loudest, (square / count) ** 0.5)


def judged(source: Source, block: Block, loudest: float, level: float) -> Finding:
    """What half a second sounded like; `loudest` and `level` (RMS) are of full scale 1.0."""
    channels = block.samples.shape[1]
    what = f"{source.uri}: {block.rate / 1000:g} kHz, {channels} {'channel' if channels == 1 else 'channels'}"
    if loudest <= _SILENCE:
        if not source.live:
            return ok(source.name, f"{what}, begins with silence")
        return warning(source.name, f"{what}, digital silence", "unmute it, or choose another input")
    text = f"{what}, {20 * np.log10(max(level, _SILENCE)):.0f} dBFS"
    if source.live and loudest >= 0.999:
        return warning(source.name, f"{text}, clips", "turn its gain down")
    return ok(source.name, text)


def first_seconds(source: Source) -> float:
    """How long its first audio may take."""
    return MICROPHONE_SECONDS if source.uri.startswith("mic:") else FIRST_SECONDS


def _stop_late(source: Source, heard: threading.Event, limit: float) -> None:
    if not heard.wait(limit):
        source.stop()
