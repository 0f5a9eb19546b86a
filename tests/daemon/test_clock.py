"""Wall-clock time: a fit of late arrivals, drift, and a clock that is set is told."""

import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from glatd.audio import Block
from glatd.daemon.assembly import Assembly
from glatd.daemon.clock import DelayFit, SystemClock, WallClock, rfc3339
from glatd.daemon.settings import Settings, SourceSettings
from glatd.daemon.sources.base import Source
from glatd.engines.load import load_engine
from glatd.messages import Gap, Message, Status, Tags

RATE = 32_000
BLOCK = RATE // 10


class Wall:
    """A wall clock of the test's own."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def test_late_arrivals_do_not_move_time_and_it_never_goes_back() -> None:
    rng = np.random.default_rng(0)
    clock = WallClock(0.0, RATE, SystemClock(Wall(1000.0)))
    times = []
    for index in range(1, 400):
        late = rng.uniform(0, 0.05) if index % 100 else 3.0
        clock.observe(index * BLOCK, 50.0 + index * 0.1 + late)
        times.append(clock.at(index * BLOCK))
    assert (np.diff(times) >= 0).all()
    error = np.array(times[100:]) - (1050.0 + 0.1 * np.arange(101, 400))
    assert error.min() >= -1e-6 and error.max() < 0.01


@pytest.mark.parametrize("ppm", [-100.0, 100.0])
def test_a_drifting_source_is_followed_and_its_drift_told(ppm: float) -> None:
    rng = np.random.default_rng(1)
    fit = DelayFit()
    for index in range(1, 36_000):  # an hour
        position = 0.1 * index
        fit.observe(position, position * (1 + ppm * 1e-6) + rng.uniform(0, 0.02))
        if index % 1000 == 999:
            assert fit.offset is not None
            assert abs(fit.offset - position * ppm * 1e-6) < 0.004
    assert fit.drift_ppm == pytest.approx(ppm, abs=2.0)


@pytest.mark.parametrize("ppm", [-100.0, 100.0])
def test_outages_tell_nothing_of_the_drift(ppm: float) -> None:
    """A quarter of the time the source is away, and its place afterwards is by this machine's clock."""
    rng = np.random.default_rng(2)
    fit = DelayFit()
    position = arrival = 0.0
    while position < 3600.0:
        for _ in range(900):
            position += 0.1
            arrival += 0.1 * (1 + ppm * 1e-6)
            fit.observe(position, arrival + rng.uniform(0, 0.02))
        position, arrival = position + 30.0, arrival + 30.0
        fit.lost(30.0)
    assert fit.drift_ppm == pytest.approx(ppm, abs=2.0)


def test_a_burst_of_older_audio_sets_time_right() -> None:
    clock = WallClock(0.0, RATE, SystemClock(Wall(0.0)))
    for index in range(1, 41):
        clock.observe(index * BLOCK, 7.0)  # 4 s at once
    assert clock.at(40 * BLOCK) == pytest.approx(7.0)


def test_the_machine_s_clock_is_followed_and_its_steps_counted() -> None:
    wall = Wall()
    system = SystemClock(wall)
    assert system.look() == 0.0
    wall.ahead = 0.1  # slewed
    assert system.look() == 0.0 and system.offset == pytest.approx(0.1, abs=0.01)
    wall.ahead = -3600.0
    assert system.look() == pytest.approx(-3600.1, abs=0.01)
    assert system.steps == 1


def test_a_recording_tells_its_own_time() -> None:
    clock = WallClock(5.0, RATE, SystemClock(Wall()))
    assert clock.at(RATE) == 6.0
    clock.recorded(2 * RATE, 102.0)
    assert clock.at(2 * RATE) == 102.0


def test_rfc3339() -> None:
    assert rfc3339(1_767_225_625.92) == "2026-01-01T00:00:25.920000Z"


class SetClock(Source):
    """4 s of noise; once a window of it was tagged, the machine's clock is set an hour ahead."""

    live: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__("test:", "set", True)
        self.heard, self.wall = threading.Event(), Wall(5000.0 - time.monotonic())

    def blocks(self) -> Iterator[Block]:
        rng = np.random.default_rng(1)
        began = time.monotonic()
        for index in range(40):
            if index == 25:
                assert self.heard.wait(60)
                self.wall.ahead += 3600
                time.sleep(0.5)
            yield Block(
                index * BLOCK,
                rng.normal(0, 0.1, (BLOCK, 1)).astype(np.float32),
                RATE,
                began + 0.1 * (index + 1),
            )


def test_a_step_of_the_clock_is_told_and_no_gap() -> None:
    messages: list[Message] = []
    source = SetClock()

    def note(message: Message) -> None:
        messages.append(message)
        if isinstance(message, Tags):
            source.heard.set()

    assembly = Assembly(Settings(node="box"), load_engine(), SystemClock(source.wall))
    track = assembly.track(source, 1.0, SourceSettings("test:", reconnect=False))
    loop = assembly.loop([track], [note], live=True)
    guard = threading.Timer(60, loop.stop)
    guard.start()
    loop.run()
    guard.cancel()
    reasons = [message.reason for message in messages if isinstance(message, Status)]
    assert "the clock of this machine was set" in reasons
    times = [message.time for message in messages if isinstance(message, Tags)]
    assert times[0].startswith("1970-01-01T01:23:2") and times[-1].startswith("1970-01-01T02:23:2")
    assert not [message for message in messages if isinstance(message, Gap)]
