"""A recording that waits for its verdict: all that may be written is, bit for bit at its place, and nothing else."""

import numpy as np
import pytest

from glatd.audio import Block, Missing
from glatd.daemon.privacy import withheld as module
from glatd.daemon.privacy.veil import Span, clipped
from glatd.daemon.privacy.withheld import Withheld
from glatd.daemon.recording.layout import BLANKED, UNSEEN
from tests.daemon.recording.making import blocks, exact, same_bits
from tests.daemon.sounds import RATE

IN = 48_000  # Hz


class Tape:
    """Stands where the recorder's stream would."""

    def __init__(self) -> None:
        self.taken: list[Block] = []
        self.lost: list[tuple[int, str]] = []  # up to which sample
        self.gaps: list[Missing] = []
        self.closed = False

    def take(self, block: Block) -> None:
        self.taken.append(block)

    def gap(self, missing: Missing) -> None:
        self.gaps.append(missing)

    def lose(self, block: Block, cause: str) -> None:
        self.lost.append((block.start + len(block.samples), cause))

    def close(self) -> None:
        self.closed = True

    @property
    def bytes(self) -> int:
        return sum(block.samples.nbytes for block in self.taken)


SPANS = [Span(RATE // 2, RATE, BLANKED), Span(RATE, RATE + 7, UNSEEN), Span(3 * RATE, 4 * RATE, BLANKED)]


def spans(start: int, end: int) -> list[Span]:
    return [Span(*pair, span.cause) for span in SPANS for pair in clipped([(span.start, span.end)], start, end)]


@pytest.mark.parametrize("size", [7, 480, 4_801, 10**6])
@pytest.mark.parametrize("channels", [1, 2])
def test_only_what_may_be_is_handed_on(size: int, channels: int) -> None:
    samples = exact(5 * IN + 11, channels, 16)
    tape = Tape()
    held = Withheld(tape, RATE)
    for turn, block in enumerate(blocks(samples, [size], IN, 16)):
        held.take(block)
        if turn % 5 == 0:
            held.release((block.start + len(block.samples)) * RATE // IN - RATE, spans)
    assert size > IN or tape.taken[-1].start <= 4 * IN
    held.close()
    held.finish(spans)
    assert tape.closed
    blank = [(IN // 2, IN + 11), (3 * IN, 4 * IN)]  # 7 samples at 32 kHz are 10.5 at 48
    at = 0
    for block in tape.taken:
        end = block.start + len(block.samples)
        assert block.start >= at and same_bits(block.samples, samples[block.start : end])
        assert not clipped(blank, block.start, end)
        at = end
    assert sum(len(block.samples) for block in tape.taken) == len(samples) - sum(last - first for first, last in blank)
    assert {cause for _, cause in tape.lost} == {BLANKED, UNSEEN}
    assert max(end for end, cause in tape.lost if cause == BLANKED) == 4 * IN


def test_nothing_is_handed_on_before_it_is_decided() -> None:
    tape = Tape()
    held = Withheld(tape, RATE)
    for block in blocks(exact(IN, 1, 16), [IN // 10], IN, 16):
        held.take(block)
    assert not tape.taken
    held.release(RATE // 2, lambda start, end: [])
    assert [block.start for block in tape.taken] == [IN // 10 * number for number in range(5)]


def test_gaps_and_mutes_keep_their_place_and_a_mute_of_a_day_takes_no_memory() -> None:
    tape = Tape()
    held = Withheld(tape, RATE)
    (first, muted, *more, last) = blocks(exact(IN, 1, 16), [IN // 10], IN, 16)
    held.take(first)
    held.gap(Missing(first.start + IN // 5, IN, "x"))
    held.lose(muted, "muted")
    for block in more:
        held.lose(block, "muted")
    assert len(held._held) == 3 and held._bytes == first.samples.nbytes
    held.take(last)
    held.release(RATE // 2, lambda start, end: [])
    assert [block.start for block in tape.taken] == [0] and len(tape.gaps) == 1
    assert tape.lost == [(last.start, "muted")]
    held.finish(lambda start, end: [])
    assert [block.start for block in tape.taken] == [0, last.start]
    held.take(last)  # a source that hung and came back: its stream has ended
    assert not held._held


def test_when_nobody_looks_any_more_the_oldest_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_BYTES", 4 * IN)
    tape = Tape()
    held = Withheld(tape, RATE)
    for block in blocks(exact(3 * IN, 1, 16), [IN // 10], IN, 16):
        held.take(block)
        assert held._bytes <= 4 * IN
    held.finish(lambda start, end: [])
    assert tape.bytes == 4 * IN and set(tape.lost[:-1]) and tape.lost[-1] == (2 * IN, UNSEEN)


def test_a_part_of_a_block_has_its_own_time_of_arrival() -> None:
    tape = Tape()
    held = Withheld(tape, RATE)
    held.take(Block(0, np.zeros((2 * IN, 1), np.float32), IN, 100.0, 16))
    held.finish(spans)
    assert [(block.start, block.arrival) for block in tape.taken] == [(0, 98.5), (IN + 11, 100.0)]
