"""Drives one stream without networks: what windows come, and what frames they hold."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from glatd.daemon.announce import Announcer
from glatd.daemon.channel import Channel
from glatd.daemon.clock import WallClock
from glatd.daemon.ingest import Chunk, Lost
from glatd.daemon.stream import Stream, Window
from glatd.daemon.tagging import make_frames
from glatd.engines.engine import Engine
from glatd.messages import Gap
from tests.daemon.sounds import Floats

HOP = 96  # mel frames


@dataclass(frozen=True)
class Given:
    """A window that was due, and what the networks would see of it."""

    window: Window
    frames: Floats  # [window, M]
    audible: Floats  # [F]
    level: float  # dBFS


class Driver:
    """The loop's way of one stream, up to the front end."""

    def __init__(self, engine: Engine, silent: Floats, hop: int = HOP) -> None:
        self.engine = engine
        self.stream = Stream(engine.sizes, hop, silent)
        announcer = Announcer("n", "s", "x", "", engine.manifest, WallClock(0.0, engine.sizes.rate), None)
        self.channel = Channel(self.stream, announcer)
        self.given: list[Given] = []  # windows to publish, in order
        self.told: list[Gap | Given] = []  # gaps too

    def push(self, pieces: Iterable[Floats | Lost]) -> "Driver":
        """Audio and losses, one after the other."""
        for piece in pieces:
            self.channel.give([piece if isinstance(piece, Lost) else Chunk(piece, None)])
            self._work()
        return self

    def finish(self) -> "Driver":
        """The stream ends here."""
        self.channel.end()
        self._work()
        assert self.stream.finished
        return self

    def _work(self) -> None:
        while self.channel.feed(self.told.append):
            make_frames(self.engine, [self.stream])
            while (window := self.stream.window_due()) is not None:
                if self.stream.publishable(window):
                    stream = self.stream
                    frames, audible = stream.frames_of(window).copy(), stream.audible(window)
                    self.given.append(Given(window, frames, audible, stream.level(window)))
                    self.told.append(self.given[-1])

    @property
    def windows(self) -> list[tuple[int, int, int]]:
        """(start, end, real samples) of every window."""
        return [(given.window.start, given.window.end, given.window.real) for given in self.given]


def offline_frames(engine: Engine, samples: Floats, first: int, last: int) -> Floats:
    """Mel frames [first, last) of a whole signal with digital silence on either side, in one piece."""
    sizes = engine.sizes
    blocks = np.arange(first // sizes.block, -(-last // sizes.block))
    padded = np.pad(samples, (sizes.left - sizes.hop * sizes.block * min(0, int(blocks[0])), 0))
    offset = sizes.hop * sizes.block * min(0, int(blocks[0]))
    starts = sizes.hop * sizes.block * blocks - offset
    padded = np.pad(padded, (0, max(0, int(starts[-1]) + sizes.block_samples - len(padded))))
    rows = np.stack([padded[start : start + sizes.block_samples] for start in starts])
    frames = engine.frontend(rows).reshape(-1, sizes.mels)
    return frames[first - sizes.block * int(blocks[0]) :][: last - first]
