"""What takes long gives way: it rests, it is bounded, and it ends when nobody waits for it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

pytest.importorskip("starlette", reason="needs the extra web")

from glatd.daemon.web.asking import Refused
from glatd.daemon.web.work import MOST_WAITING, Pace, Work


@pytest.fixture
def work() -> Iterator[Work]:
    """One that is closed in the end."""
    made = Work("test")
    yield made
    with suppress(RuntimeError):  # a test has closed it
        made.close()


def for_ever(step: Pace) -> None:
    """Until it is told to end."""
    while True:
        step()


def test_what_is_done_rests_for_as_long_as_it_works() -> None:
    pace = Pace(threading.Event(), threading.Event())
    began, worked = time.monotonic(), 0.0
    while worked < 0.05:
        then = time.monotonic()
        while time.monotonic() < then + 0.003:
            pass
        worked += time.monotonic() - then
        pace()
    assert time.monotonic() - began > 1.6 * worked


def test_who_does_not_wait_ends_it(work: Work) -> None:
    left = threading.Event()

    async def ask() -> None:
        asked = asyncio.create_task(work.do(for_ever, left))
        await asyncio.sleep(0.05)
        assert not asked.done()
        left.set()
        with pytest.raises(Refused, match="has left"):
            await asyncio.wait_for(asked, 20)
        assert await asyncio.wait_for(work.do(lambda step: 7), 20) == 7

    asyncio.run(ask())


def test_too_much_at_once_is_refused_and_the_end_ends_it(work: Work) -> None:
    async def ask() -> None:
        asked = [asyncio.create_task(work.do(for_ever)) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0.05)
        with pytest.raises(Refused) as refused:
            await work.do(for_ever)
        assert refused.value.status == 429
        work.close()
        done = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)
        assert all(isinstance(one, Refused) and one.status == 503 for one in done)

    asyncio.run(ask())
