"""Where every crop of a window is looked at: the places, by hand, and that a hop brings so many new ones."""

import numpy as np
import pytest

from glatd.daemon.looking import Everywhere
from glatd.daemon.stream import Window
from glatd.engines.engine import Engine, Floats


def window(end_frame: int) -> Window:
    return Window(end_frame, 320 * (end_frame - 1000), 320 * end_frame, 320_000)


def heard(frames: int = 32, silent: int = 0) -> Floats:
    """[frames], the first of them inaudible."""
    audible = np.ones(frames, np.float32)
    audible[:silent] = 0.0
    return audible


def test_a_hop_of_0_96_s_brings_one_crop_and_the_window_has_eight(engine: Engine) -> None:
    first = Everywhere(96).places(engine.sizes, window(1920), heard())
    assert first == [948, 1044, 1140, 1236, 1332, 1428, 1524, 1620]
    assert Everywhere(96).places(engine.sizes, window(2016), heard()) == [*first[1:], 1716]


@pytest.mark.parametrize(
    ("hop", "every", "new"), [(32, 1, 1), (96, 1, 1), (192, 1, 2), (384, 1, 4), (96, 2, 1), (96, 4, 2)]
)
def test_a_longer_hop_brings_more_and_under_overload_they_only_touch(
    engine: Engine, hop: int, every: int, new: int
) -> None:
    looks, step = Everywhere(hop, every), hop * every
    one, other = (looks.places(engine.sizes, window(10 * 384 + n * step), heard()) for n in (0, 1))
    assert len(set(other) - set(one)) == new == looks.new(engine.sizes)
    widest = max(np.diff(other).tolist())
    assert widest <= (100 + 32 if every == 1 else engine.sizes.crop)
    assert all(place % engine.sizes.stride == (other[-1] % engine.sizes.stride) for place in other)
    assert looks.count(engine.sizes) == len(other)


def test_crops_that_lie_around_silence_are_left_out_but_for_the_newest(engine: Engine) -> None:
    places = Everywhere(96).places(engine.sizes, window(960), heard(silent=20))
    assert places == [468, 564, 660]  # middles 658, 754 and 850 frames into the window; output frame 20 begins at 640
    assert Everywhere(96).places(engine.sizes, window(960), heard(silent=32)) == [660]


def test_the_last_window_of_a_recording_has_one_more(engine: Engine) -> None:
    assert Everywhere(96).places(engine.sizes, window(1930), heard()) == [
        *Everywhere(96).places(engine.sizes, window(1920), heard()),
        1630,
    ]
