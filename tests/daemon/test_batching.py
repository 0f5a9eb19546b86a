"""Windows wait for companions, but never longer than they may."""

import pytest

from glatd.daemon.batching import Due, choose, sleep_until
from glatd.daemon.stream import Window

MOST = 4
WINDOW = Window(1000, 0, 320_000, 320_000)


def due(*since: float) -> list[Due[int]]:
    return [Due(number, WINDOW, second) for number, second in enumerate(since)]


@pytest.mark.parametrize(
    ("since", "now", "others", "chosen"),
    [
        ((), 5.0, 3, []),
        ((5.0,), 5.0, 0, [0]),  # nobody can join it
        ((5.0,), 5.0625, 3, []),
        ((5.0,), 5.125, 3, [0]),
        ((5.0625, 5.0, 5.03125), 5.125, 3, [1, 2, 0]),  # the oldest may wait no more, and the others come along
        (tuple(5.0 for _ in range(MOST + 3)), 5.0, 9, list(range(MOST))),
    ],
)
def test_choice(since: tuple[float, ...], now: float, others: int, chosen: list[int]) -> None:
    assert [item.of for item in choose(due(*since), now, 0.125, others, MOST)] == chosen


def test_what_is_looked_at_side_by_side_is_handed_out_together_and_waits_for_nothing() -> None:
    assert [item.of for item in choose(due(5.0), 5.0, 0.125, 3, most=1, beside=4)] == [0]
    assert [item.of for item in choose(due(*6 * (5.0,)), 5.0, 0.125, 3, most=1, beside=4)] == [0, 1, 2, 3]


def test_sleep() -> None:
    assert sleep_until(due(), 0.1) is None
    assert sleep_until(due(7.0, 5.0, 6.0), 0.5) == 5.5
