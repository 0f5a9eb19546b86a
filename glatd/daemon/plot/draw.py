"""`glatd plot`: listen to a recording as the daemon does, and draw what was seen."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from glatd.daemon.assembly import make_engine
from glatd.daemon.events.rehearse import Progress, length_of, rehearse
from glatd.daemon.plot.page import FORMATS, style
from glatd.daemon.plot.watching import Watching
from glatd.daemon.plot.whole import draw_whole
from glatd.daemon.plot.window import draw_window
from glatd.daemon.replay import plan
from glatd.errors import ConfigError, DataError, GlatdError

EVERY = 5.0  # s between two lines of progress


def plot(
    recording: Path,
    out: Path,
    at: float | None,
    stream: str | None,
    given: Mapping[str, Any],
    tell: Callable[[str], None],
    complain: Callable[[GlatdError], None],
) -> None:
    """Draw one window, or the whole.

    Args:
        at: s; the window whose middle is nearest to it. None for the whole recording.
        stream: which one of a recording of several; None for its only one.
        given: engine, hop and events; None where they were not given.
        tell: of progress.
        complain: of audio that could not be used.

    Raises:
        GlatdError: what cannot be read, drawn or written.
    """
    form = out.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise ConfigError(f"--out {out}: a picture's name ends in .{', .'.join(FORMATS)}; choose one of these")
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}; make it, or choose another")
    parts = plan((recording,), (stream,) if stream else (), {**given, "top": 1})
    if len(parts) != 1:
        names = ", ".join(part.source.name for part in parts) or "none"
        raise ConfigError(f"{recording} has {len(parts)} streams ({names}); name one recording, and one with --stream")
    (part,) = parts
    length = length_of(part.source)
    if at is not None and (not 0 <= at < float("inf") or (length is not None and at >= length)):
        raise ConfigError(f"--at {at:g} is not in {part.source.name}, which has {length or 0:.1f} s")
    engine = make_engine(part.settings)
    sizes = engine.sizes
    half = sizes.window * sizes.hop / sizes.rate / 2  # s, of a window
    until = float("inf") if at is None else at + half + part.settings.hop
    seen, _ = rehearse(
        part,
        engine,
        lambda announcer, rules: Watching(announcer, rules, at),
        until,
        Progress(part.source.name, length, tell, EVERY),
        complain,
    )
    if not seen.length and seen.look is None:
        raise DataError(f"{part.source.name} has less than 1 s of audio, of which nothing is seen; name a longer one")
    with style():
        page = draw_whole(seen) if seen.look is None else draw_window(seen.look, seen.name, seen.manifest)
        page.save(out)
