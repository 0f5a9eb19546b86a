"""`Tagger`: the daemon's way of a block without the daemon, for Python programs."""

import time
import uuid
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block
from glatd.daemon.announce import Announcer
from glatd.daemon.channel import Channel
from glatd.daemon.clock import WallClock
from glatd.daemon.events.decider import make_decider
from glatd.daemon.events.settings import EventSettings
from glatd.daemon.ingest import Ingest
from glatd.daemon.journal.numbering import Numbering
from glatd.daemon.stream import Stream
from glatd.daemon.tagging import hop_frames, looking, silence, step
from glatd.engines.engine import Engine
from glatd.engines.manifest import DEFAULT_HOP_SECONDS
from glatd.errors import DataError
from glatd.messages import Event, Gap, Message


class Tagger:
    """Tags one stream of samples.

    >>> tagger = Tagger(load_engine())
    >>> for block in blocks:            # float32, any length
    ...     for message in tagger.push(block): ...
    >>> last = tagger.finish()

    Args:
        engine: of `glatd.engines.load.load_engine`.
        rate: Hz of the samples that will be pushed.
        hop: seconds between windows, a multiple of the engine's stride.
        top: tags a message; None for all classes.
        crops: K of "top-k", crops a window, at most the engine's.
        name: of the stream in the messages.
        start: UNIX seconds of the first sample; now, when None.
        events: rules by which events are told too; none are when None.
        local: where the local stream looks: at every place, one new crop a hop; or at the K that are chosen for it.

    Raises:
        ConfigError: a hop or a number of crops that the engine cannot do, or rules that cannot be.
    """

    def __init__(
        self,
        engine: Engine,
        rate: int = 32_000,
        hop: float = DEFAULT_HOP_SECONDS,
        top: int | None = 10,
        crops: int | None = None,
        name: str = "audio",
        start: float | None = None,
        events: EventSettings | None = None,
        local: Literal["top-k", "all"] = "all",
    ) -> None:
        self.engine, self.rate = engine, rate
        clock = WallClock(time.time() if start is None else start, engine.sizes.rate)
        frames = hop_frames(engine, hop)
        self._looks = looking(engine, local, crops, frames)
        stream = Stream(engine.sizes, frames, silence(engine))
        announcer = Announcer("local", uuid.uuid4().hex, name, "", engine.manifest, clock, top)
        self._ingest = Ingest(engine.sizes.rate)
        self._channel = Channel(stream, announcer)
        self._decider = None if events is None else make_decider(announcer, events, frames)
        self._numbering = Numbering()
        self._pushed = 0

    def push(self, samples: NDArray[np.floating]) -> list[Message]:
        """Take samples [n] or [n, channels], full scale +-1; give the messages that became due.

        Raises:
            DataError: another shape, whole numbers, or samples after `finish`.
        """
        block = np.asarray(samples)
        if block.dtype.kind != "f":
            raise DataError(f"samples are {block.dtype}; push floats of full scale +-1, for int16 divided by 32768")
        if block.ndim not in (1, 2) or (block.ndim == 2 and block.shape[1] == 0):
            raise DataError(f"samples of shape {block.shape}; push (n,) or (n, channels)")
        with np.errstate(over="ignore"):  # what no float32 holds becomes infinity, and so a gap
            block = block.astype(np.float32, copy=False)
        if self._channel.ended:
            raise DataError("samples after finish(); make another Tagger")
        start, self._pushed = self._pushed, self._pushed + len(block)
        if not len(block):
            return []
        self._channel.give(self._ingest.push(Block(start, block.reshape(len(block), -1), self.rate, None)))
        return self._messages()

    def finish(self) -> list[Message]:
        """The stream ends here: what is left, and one last window that ends at its last sample."""
        self._channel.give(self._ingest.finish())
        self._channel.end()
        return self._messages() + self._numbered(self._decider.close("end of stream") if self._decider else [])

    def _messages(self) -> list[Message]:
        messages: list[Message] = []
        moved = True
        while moved:
            gaps: list[Gap] = []
            moved = self._channel.feed(gaps.append)
            for gap in gaps:
                messages.append(gap)
                if self._decider is not None:
                    messages += self._numbered(self._decider.gap(gap.start, gap.end, gap.cause))
            while seen := step(self.engine, [self._channel.stream], self._looks):
                for window in seen:
                    messages.append(self._channel.announcer.tags(window))
                    if self._decider is not None:
                        messages += self._numbered(self._decider.take(window))
                moved = True
        return messages

    def _numbered(self, events: list[Event]) -> list[Event]:
        return self._numbering.append(events)
