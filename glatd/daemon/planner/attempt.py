"""So many streams at once, through the daemon's own loop: in real time, to see what is late, or as recordings, to see
what they cost."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from glatd.daemon.assembly import Assembly
from glatd.daemon.loop import Loop
from glatd.daemon.planner.source import Recorded, Synthetic
from glatd.daemon.settings import Settings
from glatd.engines.engine import Engine
from glatd.messages import Gap, Message, payload_of

WARM_S = 6.0  # before it counts


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a number of streams in real time."""

    streams: int
    late_p50: float  # s, from the newest sample of a window until its messages were told
    late_p99: float
    windows: int
    expected: float  # windows
    lost: float  # s of audio
    cores: float  # CPU seconds a second, of the whole process, which makes the sound as well
    held: bool  # p99 below a hop, nothing lost, no window missing


@dataclass(frozen=True, slots=True)
class Cost:
    """What streams took that ran as recordings, on one core."""

    audio: float  # stream-seconds
    windows: int
    crops: int  # that the local stream looked at
    cpu: float  # s


@dataclass(slots=True)
class Books:
    """What a loop says of itself while it counts."""

    counts: bool = False
    late: list[float] = field(default_factory=list)  # s
    lost: float = 0.0  # s of audio
    windows: int = 0

    def timed(self, stage: str, seconds: float) -> None:
        """As `Loop.timed`."""
        if stage == "late":
            self.windows += 1
            if self.counts:
                self.late.append(seconds)

    def told(self, message: Message) -> None:
        """A sink: packs each message, as a publisher does."""
        payload_of(message)
        if isinstance(message, Gap):
            self.lost += (message.end - message.start) / message.rate


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share is not above; infinity of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


def attempt(engine: Engine, settings: Settings, sound: bytes, streams: int, seconds: float) -> Attempt:
    """Run so many live streams for `seconds`, after warming up, with everything looked at."""
    loop, books = made(engine, settings, sound, streams, WARM_S + seconds + 60.0)
    warmed = threading.Event()
    marks: list[tuple[float, float]] = []  # (monotonic, CPU) s

    def watch() -> None:
        warmed.wait(WARM_S)
        books.counts = True
        marks.append((time.monotonic(), time.process_time()))
        warmed.wait(seconds)
        books.counts = False
        marks.append((time.monotonic(), time.process_time()))
        loop.stop()

    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    try:
        loop.run()
    finally:
        warmed.set()
        watcher.join()
    (began, before), (ended, after) = marks
    expected = streams * (ended - began) / settings.hop
    p99 = percentile(books.late, 0.99)
    return Attempt(
        streams,
        percentile(books.late, 0.5),
        p99,
        len(books.late),
        expected,
        books.lost,
        (after - before) / (ended - began),
        # A window of each stream may be on either side of the marks.
        held=p99 < settings.hop and books.lost == 0 and len(books.late) > expected - streams - 1,
    )


def cost(engine: Engine, settings: Settings, sound: bytes, streams: int, seconds: float) -> Cost:
    """Run so many streams as recordings of `seconds` each, one window after the other."""
    loop, books = made(engine, settings, sound, streams, seconds, live=False)
    tracks = loop.live()
    before = time.process_time()
    loop.run()
    cpu = time.process_time() - before
    crops = sum(track.channel.stream.local.computed for track in tracks)
    return Cost(streams * seconds, books.windows, crops, cpu)


def made(
    engine: Engine, settings: Settings, sound: bytes, streams: int, seconds: float, live: bool = True
) -> tuple[Loop, Books]:
    """A loop over so many streams, not started."""
    assembly, books = Assembly(settings, engine), Books()
    kind = Synthetic if live else Recorded
    tracks = [assembly.track(kind(number, sound, seconds, settings.hop), speed=None) for number in range(streams)]
    loop = assembly.loop(tracks, [books.told], live)
    loop.timed = books.timed
    return loop, books
