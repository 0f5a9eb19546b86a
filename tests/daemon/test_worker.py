"""The thread of a source: a recording waits for the loop, live audio is lost and told, an error stays its own."""

import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from glatd.audio import Block
from glatd.daemon.ingest import Chunk, Lost
from glatd.daemon.sources.base import Source
from glatd.daemon.worker import INBOX_SECONDS, Worker
from glatd.errors import GlatdError, SourceError
from tests.daemon.sounds import RATE, Floats, noise

LIMIT = int(INBOX_SECONDS * RATE)


class Fake(Source):
    """Gives blocks of 0.1 s as fast as they are taken; waits where it is told to."""

    live: ClassVar[bool] = False
    error: Exception | None = None

    def __init__(self, samples: Floats) -> None:
        super().__init__("fake:", "fake", False)
        self.samples, self.given = samples, 0
        self.pause_at, self.go_on = -1, threading.Event()

    def blocks(self) -> Iterator[Block]:
        for start in range(0, len(self.samples), RATE // 10):
            if start == self.pause_at:
                assert self.go_on.wait(10)
            if self._stopped.is_set():
                return
            block = self.samples[start : start + RATE // 10].reshape(-1, 1)
            yield Block(start, block, RATE, None)
            self.given = start + len(block)
        if self.error is not None:
            raise self.error


class FakeLive(Fake):
    """One that cannot wait."""

    live: ClassVar[bool] = True


def start(source: Source, speed: float | None = None) -> tuple[Worker, threading.Condition]:
    ready = threading.Condition()
    worker = Worker(source, RATE, ready, speed, reconnect=False)
    worker.start()
    return worker, ready


def fetch_all(worker: Worker, ready: threading.Condition) -> list[Chunk | Lost]:
    """Everything until the end."""
    came: list[Chunk | Lost] = []
    done = False
    with ready:
        while not done:
            pieces, done = worker.fetch()
            came += pieces
            if not done and not pieces:
                assert ready.wait(10)
    return came


def samples_of(came: list[Chunk | Lost]) -> Floats:
    return np.concatenate([piece.samples for piece in came if isinstance(piece, Chunk)])


def wait_until_still(source: Fake) -> None:
    """Until the source gives nothing for a while."""
    before = -1
    while before != source.given:
        before = source.given
        time.sleep(0.2)


def test_a_recording_waits_for_a_loop_that_is_behind() -> None:
    source = Fake(noise(25 * RATE))
    worker, ready = start(source)
    wait_until_still(source)
    assert source.given <= LIMIT + RATE
    came = fetch_all(worker, ready)
    assert not [piece for piece in came if isinstance(piece, Lost)]
    np.testing.assert_array_equal(samples_of(came), source.samples)


def test_live_audio_that_does_not_fit_is_a_gap() -> None:
    source = FakeLive(noise(15 * RATE))
    source.pause_at = 14 * RATE
    worker, ready = start(source)
    wait_until_still(source)
    with ready:
        before, done = worker.fetch()
    assert not done and sum(len(piece.samples) for piece in before if isinstance(piece, Chunk)) == LIMIT
    source.go_on.set()
    lost, *after = fetch_all(worker, ready)
    assert lost == Lost(4 * RATE, "overload")
    np.testing.assert_array_equal(samples_of(after), source.samples[14 * RATE :])


def test_live_audio_that_did_not_fit_before_the_end_is_a_gap_too() -> None:
    source = FakeLive(noise(15 * RATE))
    worker, ready = start(source)
    wait_until_still(source)
    assert fetch_all(worker, ready)[-1] == Lost(5 * RATE, "overload")


@pytest.mark.parametrize("error", [SourceError("gone; plug it in"), ValueError("odd\nbytes")])
def test_an_error_is_kept_behind_all_audio_before_it(error: Exception) -> None:
    source = Fake(noise(RATE))
    source.error = error
    worker, ready = start(source)
    np.testing.assert_array_equal(samples_of(fetch_all(worker, ready)), source.samples)
    assert isinstance(worker.error, GlatdError)
    assert isinstance(worker.error, SourceError) and str(error) in str(worker.error)


@pytest.mark.parametrize("speed", [None, 0.001])
def test_a_stop_ends_a_thread_that_waits(speed: float | None) -> None:
    source = Fake(noise(25 * RATE))
    worker, _ = start(source, speed)
    wait_until_still(source)
    worker.stop()
    worker.join(5)
    assert not worker.hangs


def test_a_recording_is_paced() -> None:
    began = time.monotonic()
    worker, ready = start(Fake(noise(RATE)), speed=4.0)
    fetch_all(worker, ready)
    assert time.monotonic() - began >= 0.25
