"""The ring against a plain array that forgets nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glatd.daemon.ring import Ring
from glatd.errors import DataError


@given(
    capacity=st.integers(1, 12), start=st.integers(-20, 20), width=st.integers(0, 2),
    sizes=st.lists(st.integers(0, 30), max_size=20),
)
def test_a_ring_holds_the_newest_rows_under_their_index(
    capacity: int, start: int, width: int, sizes: list[int]
) -> None:
    ring = Ring(capacity, width)
    ring.reset(start)
    total = sum(sizes)
    shape = (total, width) if width else (total,)
    every = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    given_ = 0
    for size in sizes:
        ring.append(every[given_ : given_ + size])
        given_ += size
        assert ring.end == start + given_
        assert ring.end - ring.start == min(capacity, given_)
        view = ring.view(ring.start, ring.end)
        assert view.flags.c_contiguous
        np.testing.assert_array_equal(view, every[ring.start - start : given_])


def test_rows_that_are_gone_or_to_come_are_refused() -> None:
    ring = Ring(4)
    ring.append(np.zeros(40, np.float32))
    for start, end in ((35, 40), (38, 41), (40, 38), (-1, 1)):
        with pytest.raises(DataError, match=f"rows {start} to {end} are not in the ring"):
            ring.view(start, end)


def test_a_reset_forgets() -> None:
    ring = Ring(4)
    ring.append(np.ones(3, np.float32))
    ring.reset(100)
    assert (ring.start, ring.end) == (100, 100)
    ring.append(np.full(2, 7, np.float32))
    assert ring.view(100, 102).tolist() == [7, 7]
