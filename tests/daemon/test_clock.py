"""Wall-clock time: a fit of jittering arrivals, and a clock that is set is told."""

import threading
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from glatd.audio import Block
from glatd.daemon.clock import WallClock, rfc3339
from glatd.daemon.serve import Assembly
from glatd.daemon.settings import Settings
from glatd.daemon.sources.base import Source
from glatd.engines.load import load_engine
from glatd.messages import Message, Status, Tags

RATE = 32_000
BLOCK = RATE // 10


def test_jitter_is_smoothed_and_time_never_goes_back() -> None:
    rng = np.random.default_rng(0)
    clock = WallClock(0.0, RATE)
    times = []
    for index in range(1, 400):
        clock.observe(index * BLOCK, 1000.0 + index * 0.1 + rng.uniform(0, 0.05))
        times.append(clock.at(index * BLOCK))
    assert (np.diff(times) >= 0).all()
    late = np.array(times[100:]) - (1000.0 + 0.1 * np.arange(101, 400))
    assert np.abs(late - 0.025).max() < 0.01
    assert clock.steps == 0


def test_rfc3339() -> None:
    assert rfc3339(1_767_225_625.92) == "2026-01-01T00:00:25.920000Z"


class SetClock(Source):
    """4 s of noise; once a window of it was tagged, the machine's clock is set an hour ahead."""

    live: ClassVar[bool] = True
    heard = threading.Event()

    def blocks(self) -> Iterator[Block]:
        rng = np.random.default_rng(1)
        for index in range(40):
            if index == 25:
                assert self.heard.wait(60)
            arrival = 5000.0 + 0.1 * (index + 1) + (3600 if index >= 25 else 0)
            yield Block(index * BLOCK, rng.normal(0, 0.1, (BLOCK, 1)).astype(np.float32), RATE, arrival)


def test_a_step_of_the_clock_is_told() -> None:
    messages: list[Message] = []

    def note(message: Message) -> None:
        messages.append(message)
        if isinstance(message, Tags):
            SetClock.heard.set()

    assembly = Assembly(Settings(node="box"), load_engine())
    loop = assembly.loop([SetClock("test:", "set", True)], [note], speed=1.0)
    guard = threading.Timer(60, loop.stop)
    guard.start()
    loop.run()
    guard.cancel()
    reasons = [message.reason for message in messages if isinstance(message, Status)]
    assert "the clock of this machine was set" in reasons
    times = [message.time for message in messages if isinstance(message, Tags)]
    assert times[0].startswith("1970-01-01T01:23:2") and times[-1].startswith("1970-01-01T02:23:2")
