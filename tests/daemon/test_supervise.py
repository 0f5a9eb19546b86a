"""A live source over many connections: one sample clock, every outage counted, nothing heard twice."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import pytest

from glatd.audio import Block, Missing
from glatd.daemon import supervise
from glatd.daemon.sources.base import Source
from glatd.daemon.supervise import Supervisor
from glatd.errors import SourceError

RATE = 16_000
BLOCK = 160  # samples, 10 ms


class Connection:
    """What one call of `blocks` gives.

    Args:
        at: second of the test at which it begins.
        seconds: of audio.
        burst: seconds of audio that come at once in the beginning.
        delays: by (second of the audio, seconds), from where on blocks come so much later.
        rate: Hz.
        slow: by how much the sender's clock is slow, as a share.
    """

    def __init__(
        self,
        at: float,
        seconds: float,
        burst: float = 0.0,
        delays: Sequence[tuple[float, float]] = (),
        rate: int = RATE,
        slow: float = 0.0,
        error: str = "gone; look",
    ) -> None:
        self.at, self.seconds, self.burst, self.delays = at, seconds, burst, delays
        self.rate, self.slow, self.error = rate, slow, error

    def blocks(self, zero: float) -> Iterator[Block]:
        size = self.rate // 100
        for number in range(round(100 * self.seconds)):
            end = (number + 1) / 100
            late = sum(delay for second, delay in self.delays if end > second)
            arrival = zero + (self.at + max(0.0, end - self.burst)) * (1 + self.slow) + late
            # A sample's value tells when it was made, in seconds of the test.
            made = self.at - self.burst + (number * size + np.arange(size)) / self.rate
            yield Block(number * size, made.astype(np.float32).reshape(-1, 1), self.rate, arrival)


class Scripted(Source):
    """Gives connections as they are written down; arrival times lie in the future, so nothing has to be waited for."""

    live: ClassVar[bool] = True

    def __init__(self, *connections: Connection | Exception) -> None:
        super().__init__("test:", "test", True)
        self.connections, self.zero = iter(connections), time.monotonic() + 1000

    def blocks(self) -> Iterator[Block]:
        connection = next(self.connections, None)
        if connection is None:
            self._stopped.wait()
            return
        if isinstance(connection, Exception):
            raise connection
        yield from connection.blocks(self.zero)
        raise SourceError(connection.error)


class Heard:
    """All that a supervisor gives of a script."""

    def __init__(self, *connections: Connection | Exception) -> None:
        self.told: list[tuple[str, str]] = []
        source = Scripted(*connections)
        self.supervisor = Supervisor(source, lambda phase, reason: self.told.append((phase, reason)))
        guard = threading.Timer(1.5 + 0.5 * len(connections), lambda: (self.supervisor.stop(), source.stop()))
        guard.start()
        self.pieces = list(self.supervisor.pieces())
        guard.cancel()
        self.blocks = [piece for piece in self.pieces if isinstance(piece, Block)]
        self.missing = [piece for piece in self.pieces if isinstance(piece, Missing)]

    def check(self) -> "Heard":
        """No overlap; a jump only where something is said to be missing."""
        position, rate = 0, self.blocks[0].rate
        for piece in self.pieces:
            position, rate = -(-position * piece.rate // rate), piece.rate
            if isinstance(piece, Missing):
                assert piece.end > position
                position = piece.end
            else:
                assert piece.start == position
                position += len(piece.samples)
        return self

    @property
    def errors(self) -> list[float]:
        """Seconds by which each block is off the place at which it was made."""
        return [piece.start / piece.rate - float(piece.samples[0, 0]) for piece in self.blocks]


def test_one_connection_goes_through_untouched() -> None:
    heard = Heard(Connection(0, 3)).check()
    assert not heard.missing and sum(len(block.samples) for block in heard.blocks) == 3 * RATE
    assert heard.told == [("open", ""), ("reconnecting", "gone; look")]
    assert heard.supervisor.connections == 1 and heard.supervisor.repeated == 0


def test_an_outage_is_counted_by_the_clock_and_told_with_its_cause() -> None:
    heard = Heard(Connection(0, 3), SourceError("refused"), Connection(8, 2)).check()
    (missing,) = heard.missing
    assert missing.cause == "refused" and abs(missing.end / RATE - 8) < 0.02
    assert np.abs(heard.errors).max() < 0.02
    assert [phase for phase, _ in heard.told] == ["open", "reconnecting", "reconnecting", "open", "reconnecting"]


def test_over_many_outages_nothing_adds_up() -> None:
    heard = Heard(*(Connection(3.1 * number, 2) for number in range(8))).check()
    assert len(heard.missing) == 7 and np.abs(heard.errors).max() < 0.02


@pytest.mark.parametrize("slow", [-100e-6, 100e-6])
def test_a_clock_that_is_off_does_not_lengthen_outages(slow: float) -> None:
    heard = Heard(*(Connection(305.0 * number, 300, slow=slow) for number in range(4))).check()
    assert np.abs(heard.errors).max() < 0.01


def test_a_burst_of_older_audio_is_placed_where_it_was_made_and_what_was_heard_is_left_out() -> None:
    """The sender goes on while the connection is down for 1 s, and gives its last 4 s to whoever connects."""
    heard = Heard(Connection(4, 6, burst=4), Connection(7, 5, burst=4)).check()
    assert not heard.missing
    assert abs(heard.supervisor.repeated / RATE - 3) < 0.2
    assert np.ptp(heard.errors) < 0.02


def test_a_burst_shorter_than_the_outage_leaves_a_gap() -> None:
    heard = Heard(Connection(4, 6, burst=4), Connection(26, 5, burst=4)).check()
    (missing,) = heard.missing
    assert missing.end / RATE == pytest.approx(22, abs=0.02)
    assert heard.supervisor.repeated == 0 and np.ptp(heard.errors) < 0.02


def test_a_shorter_delay_than_before_throws_nothing_away() -> None:
    """The first connection came 2 s late all the time, the second does not."""
    first = Connection(0, 20, delays=[(1, 2.0)])
    heard = Heard(first, Connection(23, 2)).check()
    assert heard.supervisor.repeated <= 0.2 * RATE
    assert sum(len(block.samples) for block in heard.blocks) >= 21.8 * RATE


def test_a_sender_that_is_held_up_and_catches_up_has_lost_nothing() -> None:
    heard = Heard(Connection(0, 40, delays=[(10, 6.0), (14, -6.0)])).check()
    assert not heard.missing and not heard.supervisor.repeated


def test_a_sender_that_never_catches_up_has_lost_what_is_missing() -> None:
    heard = Heard(Connection(0, 60, delays=[(20, 5.0)])).check()
    (missing,) = heard.missing
    assert missing.cause == "the sender fell behind"
    before = next(piece for piece in reversed(heard.pieces[: heard.pieces.index(missing)]) if isinstance(piece, Block))
    assert missing.end - (before.start + BLOCK) == pytest.approx(5 * RATE, abs=0.02 * RATE)
    assert missing.end < 50 * RATE  # found out within 20 s


@pytest.mark.parametrize("rates", list(itertools.permutations([8_000, 44_100])))
def test_a_connection_may_have_another_rate(rates: tuple[int, int]) -> None:
    heard = Heard(Connection(0, 3, rate=rates[0]), Connection(5, 3, rate=rates[1])).check()
    (missing,) = heard.missing
    assert missing.rate == rates[1] and missing.end / missing.rate == pytest.approx(5, abs=0.03)


def test_the_last_window_before_a_long_outage_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "PATIENCE_SECONDS", -2000.0)  # the test's clock is ahead
    heard = Heard(Connection(0, 3), SourceError("refused"), SourceError("refused"), Connection(9, 1)).check()
    early, late, _ = heard.missing  # the third is of the end
    assert early.end == 4 * RATE and late.end == pytest.approx(9 * RATE, abs=0.02 * RATE)
    assert heard.pieces.index(early) < len(heard.pieces) - 101


def test_an_error_of_any_kind_is_no_end() -> None:
    heard = Heard(ValueError("odd"), Connection(0, 1), OSError(5, "broken"), Connection(2, 1)).check()
    assert heard.supervisor.connections == 2
    assert heard.told[0] == ("reconnecting", "test:: ValueError: odd")


def test_a_stop_ends_it_while_it_waits() -> None:
    source = Scripted()
    supervisor = Supervisor(source, lambda phase, reason: None)
    thread = threading.Thread(target=lambda: list(supervisor.pieces()))
    thread.start()
    supervisor.stop()
    source.stop()
    thread.join(5)
    assert not thread.is_alive()
