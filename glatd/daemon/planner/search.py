"""The greatest number of streams that is held in real time."""

from collections.abc import Callable

from glatd.daemon.planner.attempt import Attempt

MOST = 1024
EXACT = 0.07  # share of the number, to which it is found
UP = (1.2, 1.5, 2.0)  # times as many, while all were held: the first guess is a good one, or it is far off


def most_streams(attempt: Callable[[int], Attempt], first: int) -> tuple[int, list[Attempt]]:
    """To a share of `EXACT`, and every attempt.

    Args:
        attempt: tries a number.
        first: number to begin with; a good guess saves attempts.
    """
    attempts: list[Attempt] = []
    low, high = 0, MOST + 1  # held, not held
    streams = max(1, min(MOST, first))
    while high - low > max(1, EXACT * high):
        attempts.append(attempt(streams))
        if attempts[-1].held:
            low = streams
        else:
            high = streams
        if high > MOST:
            streams = min(MOST, max(low + 1, round(UP[min(len(attempts), len(UP)) - 1] * low)))
        elif low == 0:
            streams = max(1, round(0.7 * high))
        else:
            streams = (low + high) // 2
        if streams in (low, high):
            break
    return low, attempts
