"""One recorded stream once more through the daemon's loop, with something else in its decider's place."""

import time
from collections.abc import Callable
from typing import TypeVar

from glatd.daemon.announce import Announcer
from glatd.daemon.assembly import Assembly
from glatd.daemon.events.decider import Decider
from glatd.daemon.events.rules import Rules, resolve
from glatd.daemon.recording.layout import INDEX
from glatd.daemon.recording.lines import read_lines
from glatd.daemon.recording.reader import RecordingSource
from glatd.daemon.replay import Part, lost_audio
from glatd.daemon.sources.base import Source
from glatd.daemon.sources.file import FileSource
from glatd.daemon.tagging import hop_frames
from glatd.engines.engine import Engine
from glatd.errors import GlatdError
from glatd.messages import Gap, Message, Tags

D = TypeVar("D", bound=Decider)
Tell = Callable[[str], None]


def rules_of(part: Part, engine: Engine) -> Rules:
    """The rules of a part's stream.

    Raises:
        ConfigError: a hop that cannot be, or rules for labels that the engine has not.
    """
    sizes, settings = engine.sizes, part.settings
    hop = hop_frames(engine, settings.hop) * sizes.hop
    return resolve(settings.events, engine.manifest.labels, sizes, hop, part.source.name)


def rehearse(
    part: Part,
    engine: Engine,
    make: Callable[[Announcer, Rules], D],
    until: float,
    progress: Callable[[float], None],
    complain: Callable[[GlatdError], None],
) -> tuple[D, float]:
    """Play a part to its end.

    Args:
        make: the decider, from the stream's announcer and rules.
        until: s of the stream after which nothing matters.
        progress: told how many s were looked at.
        complain: told of audio that could not be used.

    Returns:
        What was made, and how many s of real audio there were.

    Raises:
        GlatdError: the source cannot be read.
    """
    assembly = Assembly(part.settings, engine)
    track = assembly.track(part.source, None)
    decider = make(track.announcer, rules_of(part, engine))
    track.decider = decider
    gaps: list[Gap] = []

    def watch(message: Message) -> None:
        if isinstance(message, Gap):
            gaps.append(message)
        elif isinstance(message, Tags):
            progress(message.end / message.rate)
            if message.end / message.rate > until:
                loop.stop()

    loop = assembly.loop([track], [watch], live=False)
    loop.run()
    if track.worker.error is not None:
        raise track.worker.error
    if (error := lost_audio(part.source, gaps)) is not None:
        complain(error)
    return decider, track.channel.stream.received / engine.sizes.rate


class Progress:
    """Tells now and then how far it is.

    Args:
        what: is being listened to.
        total: s of it; None where that is not known.
        tell: gets a line.
        every: s between two lines.
    """

    def __init__(self, what: str, total: float | None, tell: Tell, every: float) -> None:
        self._what, self._total, self._tell, self._every = what, total, tell, every
        self._began = self._told = time.monotonic()

    def __call__(self, done: float) -> None:
        """So many s are."""
        now = time.monotonic()
        if now - self._told < self._every:
            return
        self._told = now
        share = f" of {clock(self._total)}" if self._total else ""
        self._tell(f"{self._what}: listened to {clock(done)}{share}, {done / (now - self._began):.0f} times real time")


def clock(seconds: float) -> str:
    """1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def length_of(source: Source) -> float | None:
    """Seconds of a recording; None where it does not say."""
    if isinstance(source, RecordingSource):
        ends = [line for line in read_lines(source.folder / INDEX) if line.get("type") in ("flushed", "segment")]
        rate = next((line["rate"] for line in ends if "rate" in line), None)
        end = max((line["end"] for line in ends if "end" in line), default=None)
        return end / rate if rate and end else None
    if isinstance(source, FileSource):
        import av

        try:
            with av.open(str(source.path)) as file:
                return None if file.duration is None else file.duration / av.time_base
        except (av.error.FFmpegError, OSError):
            return None  # whoever reads it says why
    return None
