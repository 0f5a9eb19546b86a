"""Listens to a source in a thread, as the daemon does, and keeps what it heard; run by the tests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from glatd.audio import Block
from glatd.daemon.sources.base import Source
from glatd.daemon.sources.uri import parse_source

PATIENCE_S = 40.0
SOON_S = 2.0  # in which a stop must be heard: 0.5 s, and more for a busy machine; what hangs takes 10 s


class Listener:
    """One call of `source.blocks()`.

    Attributes:
        source: not to be iterated by anybody else.
        error: what the source raised.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.error: Exception | None = None
        self.began = time.monotonic()
        self._blocks: list[Block] = []
        self._came = threading.Condition(threading.RLock())
        self._ended = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            for block in self.source.blocks():
                with self._came:
                    self._blocks.append(block)
                    self._came.notify_all()
        except Exception as error:
            self.error = error
        with self._came:
            self._ended = True
            self._came.notify_all()

    @property
    def blocks(self) -> list[Block]:
        """What came until now."""
        with self._came:
            return list(self._blocks)

    @property
    def samples(self) -> NDArray[np.float32]:
        """All of it end to end, [n, channels], lost audio left out."""
        return np.concatenate([block.samples for block in self.blocks])

    @property
    def jumps(self) -> list[tuple[int, int]]:
        """(where, samples) of lost audio."""
        found, end = [], 0
        for block in self.blocks:
            if block.start != end:
                found.append((end, block.start - end))
            end = block.start + len(block.samples)
        return found

    @property
    def seconds(self) -> float:
        """Of sound that came, lost audio not counted."""
        return sum(len(block.samples) / block.rate for block in self.blocks)

    def wait(self, seconds: float) -> "Listener":
        """Until so many seconds of sound have come in all."""
        with self._came:
            came = self._came.wait_for(lambda: self.seconds >= seconds - 1e-6 or self._ended, PATIENCE_S)
        assert came, f"only {self.seconds} s came"
        assert self.seconds >= seconds - 1e-6, f"it ended: {self.error}"
        return self

    def more(self, seconds: float) -> "Listener":
        """Until so many seconds of sound have come that had not come yet."""
        return self.wait(self.seconds + seconds)

    def ends(self) -> Exception | None:
        """Wait until it has ended by itself; its error."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error

    def stop(self) -> float:
        """Stop it; how many seconds it took to end."""
        began = time.monotonic()
        self.source.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return time.monotonic() - began


@contextmanager
def listening(uri: str) -> Iterator[Listener]:
    """Listen while the block lasts."""
    listener = Listener(parse_source(uri))
    try:
        yield listener
    finally:
        listener.stop()
