"""What all sources have in common."""

import numpy as np
import pytest

from glatd.daemon.sources.base import pick_channel
from glatd.errors import SourceError

SAMPLES = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_all_channels_are_the_samples_themselves() -> None:
    assert pick_channel(SAMPLES, None, "mic:x") is SAMPLES


@pytest.mark.parametrize(("channel", "values"), [(1, [0, 2, 4]), (2, [1, 3, 5])])
def test_one_channel_is_a_table_of_its_own(channel: int, values: list[int]) -> None:
    picked = pick_channel(SAMPLES, channel, "mic:x")
    np.testing.assert_array_equal(picked, np.array(values, np.float32)[:, None])
    assert picked.flags.c_contiguous


def test_a_channel_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SourceError, match="mic:x: there is no channel 3; channel= must be from 1 to 2"):
        pick_channel(SAMPLES, 3, "mic:x")
