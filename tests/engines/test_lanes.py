"""Windows side by side: what each thread sees is its own, and the answers are those of one thread, in order."""

import threading

import numpy as np
import pytest

from glatd.engines.lanes import Lanes, PerThread
from glatd.engines.load import load_engine


def test_items_run_at_the_same_time_and_come_back_in_order() -> None:
    both = threading.Barrier(2, timeout=20)

    def meet(item: int) -> tuple[int, str]:
        both.wait()  # passes only where two run at once
        return item, threading.current_thread().name

    made = list(Lanes(2).each(meet, [1, 2, 3, 4]))
    assert [item for item, _ in made] == [1, 2, 3, 4]
    assert {name[:4] for _, name in made} == {"lane"}


def test_one_lane_is_the_callers_own_thread() -> None:
    assert list(Lanes().each(lambda item: threading.current_thread(), [1, 2])) == 2 * [threading.current_thread()]


def test_what_goes_wrong_in_a_lane_is_raised_where_it_was_asked_for() -> None:
    with pytest.raises(ZeroDivisionError):
        list(Lanes(2).each(lambda item: 1 // item, [1, 0]))


def test_every_thread_has_one_of_its_own() -> None:
    own = PerThread(object)
    first = own.get()
    others: list[object] = []
    thread = threading.Thread(target=lambda: others.extend([own.get(), own.get()]))
    thread.start()
    thread.join()
    assert own.get() is first and others[0] is others[1] is not first


def test_answers_side_by_side_are_those_of_one_thread_to_the_last_bit() -> None:
    one, two = load_engine(threads=1), load_engine(lanes=2)
    assert two.lanes.count == 2
    sizes, rng = one.sizes, np.random.default_rng(8)
    windows = [rng.normal(size=(1, sizes.window, sizes.mels)).astype(np.float32) for _ in range(6)]
    audible = np.ones((1, sizes.frames), np.float32)
    for alone, beside in zip(
        [one.look(frames, audible) for frames in windows],
        two.lanes.each(lambda frames: two.look(frames, audible), windows),
        strict=True,
    ):
        np.testing.assert_array_equal(alone.scores, beside.scores)
        np.testing.assert_array_equal(alone.starts, beside.starts)
