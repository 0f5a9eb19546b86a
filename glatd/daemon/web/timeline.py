"""`/api/timeline`: the scores of a few classes over hours, as JSON that is made piece by piece.

Making all of it at once would keep the loop waiting for the interpreter's lock.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.clock import rfc3339
from glatd.daemon.web.memory import Looks

PIECE = 500  # values made at once: less than a millisecond
DIGITS = 4


def as_json(
    stream: str, rate: int, labels: Sequence[str], looks: Looks, gaps: Sequence[tuple[int, int]]
) -> Iterator[str]:
    """The map, in pieces.

    Args:
        labels: of the columns of the scores.
        looks: ends, UNIX seconds, scores [n, labels]; NaN is null.
        gaps: samples [start, end) that are lost.
    """
    ends, walls, scores = looks
    yield f'{{"stream":{json.dumps(stream)},"rate":{rate},"end":['
    yield from _values(ends, str)
    yield '],"time":['
    yield from _values(walls, lambda wall: f'"{rfc3339(wall)}"')
    yield '],"scores":{'
    for column, label in enumerate(labels):
        yield f"{',' if column else ''}{json.dumps(label)}:["
        yield from _values(scores[:, column].astype(np.float64), _score)
        yield "]"
    yield f'}},"gaps":{json.dumps(gaps)}}}'


def _values(values: NDArray[Any], text: Callable[[Any], str]) -> Iterator[str]:
    for first in range(0, len(values), PIECE):
        yield ("," if first else "") + ",".join(map(text, values[first : first + PIECE].tolist()))


def _score(value: float) -> str:
    return "null" if value != value else f"{value:.{DIGITS}f}"
