"""Looking for bytes and values that break a reader: by hypothesis, and by mutation of what is valid.

A reader may refuse what it is given with an error of the house, and nothing else; and it may not take long
about it. `make test` looks for a second or two with the same seeds each time, `make test-long` for
GLATD_FUZZ_SECONDS (an hour, if not set) in all, with new ones.
"""

import os
import random
import time
import zlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glatd.errors import GlatdError

T = TypeVar("T")

EXAMPLES = 25  # between two looks at the clock
LONGEST_S = 10.0  # for one example, on a busy machine; a hang is longer
LONG_SECONDS = float(os.environ.get("GLATD_FUZZ_SECONDS", "3600"))
SHORT_SECONDS = 0.8  # each
BASE = int(os.environ.get("GLATD_FUZZ_SEED", time.time()))  # of the long runs; it stands in every failure

# How long a look is: the short one in `make test`, the long one of the share of an hour that there are looks.
LOOKS = 31
seconds = pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(SHORT_SECONDS, id="short"),
        pytest.param(
            LONG_SECONDS / LOOKS, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(LONG_SECONDS / LOOKS + 300)]
        ),
    ],
)


def seed_of(seconds: float, name: str) -> int:
    """Where a look begins: always at the same place for a short one."""
    return zlib.crc32(name.encode()) + (0 if seconds <= SHORT_SECONDS else BASE)


def may_refuse(read: Callable[[T], object], given: T) -> None:
    """Call `read`; an error of the house that says something on one line is an answer too."""
    began, said = time.monotonic(), "-"
    try:
        read(given)
    except GlatdError as error:
        said = str(error)
    assert said.strip() and "\n" not in said, f"not one line: {said!r}"
    took = time.monotonic() - began
    assert took < LONGEST_S, f"took {took:.1f} s"


def explore(read: Callable[[T], object], examples: st.SearchStrategy[T], seconds: float) -> None:
    """Give `read` values of a strategy for so many seconds; hypothesis makes a failing one as small as it can."""
    until = time.monotonic() + seconds
    start = seed_of(seconds, getattr(read, "__qualname__", str(read)))
    count = 0
    while time.monotonic() < until:

        @hypothesis.seed(start + count)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(examples)
        def look(value: T) -> None:
            if time.monotonic() < until:
                may_refuse(read, value)

        look()
        count += 1


def explore_bytes(read: Callable[[bytes], object], valid: Sequence[bytes], seconds: float) -> None:
    """Give `read` mutations of valid bytes for so many seconds. A failure says which bytes they were."""
    until = time.monotonic() + seconds
    rng = random.Random(seed_of(seconds, getattr(read, "__qualname__", str(read))))
    for sample in valid:
        may_refuse(read, sample)
    while time.monotonic() < until:
        data = mutated(rng, valid)
        try:
            may_refuse(read, data)
        except BaseException as error:
            error.add_note(f"given bytes.fromhex({data.hex()!r})")
            raise


INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xc1",
    b"\n",
    b"\r\n",
    b"[",
    b"{",
    b'"',
    b"\\",
    b"=",
    b"e999",
    b"-",
    b"NaN",
)
LARGE = b"9" * 5_000  # more digits than Python turns into a number


def mutated(rng: random.Random, valid: Sequence[bytes]) -> bytes:
    """One of the valid samples with one to eight pieces of damage."""
    data = bytearray(rng.choice(valid))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((0, 1, 1, 2, 4, 16, 200)))
        match rng.randrange(9):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1 if data:
                data[at % len(data)] = rng.randrange(256)
            case 2:
                data[at:end] = b""
            case 3:
                data[at:at] = rng.choice(INTERESTING)
            case 4:
                data[at:at] = rng.randbytes(rng.choice((1, 2, 8)))
            case 5:
                data[at:at] = data[at:end] * rng.choice((1, 2, 40))
            case 6:  # a piece of another one
                other = rng.choice(valid)
                begin = rng.randrange(len(other) + 1)
                data[at:end] = other[begin : begin + rng.choice((1, 8, 100))]
            case 7:
                del data[at:]
            case _:
                data[at:end] = rng.choice((LARGE, b"[" * 2_000, b"\x91" * 2_000, b"-1", b"1e999", b"null"))
    return bytes(data)
