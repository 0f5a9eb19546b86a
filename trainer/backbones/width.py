"""How many channels a network has that is narrower, or wider, than the published one."""

from collections.abc import Iterable

from glatd.errors import ConfigError

MULTIPLE = 4  # of channels, and the fewest that there are


def widened(channels: Iterable[int], width: float) -> tuple[int, ...]:
    """Each number of channels times `width`, rounded to a multiple of 4; as published at 1.

    Raises:
        ConfigError: a width that is not above 0.
    """
    if width <= 0:
        raise ConfigError(f"backbone.width = {width} must be more than 0; 1 is as published")
    if width == 1:
        return tuple(channels)
    return tuple(max(MULTIPLE, round(size * width / MULTIPLE) * MULTIPLE) for size in channels)
