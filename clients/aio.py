"""`EventStream` and `Subscriber` for asyncio: the same arguments and guarantees, in one loop and its thread.

Nothing is handed over between threads, so the cursor is loaded and saved where the application runs, as SQLite wants
it; a `FileCursor` waits there for the disk, twice a second at most. Nothing is read from the network but while the
next message is waited for. Whoever waits can be cancelled at any time: what has come is kept for who asks next.
"""

import asyncio
import functools
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator
from types import TracebackType
from typing import Self, TypeVar

from glatd.clients.receiving import Receiving
from glatd.clients.subscriber import Subscribing
from glatd.clients.waiting import Waiting
from glatd.messages import Event, Message, Unknown

BREATH_S = 0.01  # for which messages that are there already may keep the loop from its other tasks

T = TypeVar("T")


class Awaited(ABC):
    """What both clients have beside their messages: an end that can be awaited, and one task at a time."""

    @abstractmethod
    def stop(self) -> None:
        """End the iteration, from any thread or a signal handler."""

    @abstractmethod
    def close(self) -> None:
        """Close the sockets, while no task waits."""

    async def aclose(self) -> None:
        """As `close`, once no task waits any more."""
        self.stop()
        async with self._busy:
            self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _drive(self, turns: Generator[float, None, T], waiting: Waiting) -> T:
        """As `waiting.drive`, in the loop."""
        if self._busy.locked():
            raise RuntimeError("another task waits for the next one already; one client serves one task at a time")
        async with self._busy:
            if time.monotonic() - self._breathed > BREATH_S:
                await self._breathe(waiting, 0.0)
            while True:
                try:
                    seconds = next(turns)
                except StopIteration as end:
                    result: T = end.value
                    return result
                await self._breathe(waiting, seconds)

    async def _breathe(self, waiting: Waiting, seconds: float) -> None:
        await wait(waiting, seconds)
        self._breathed = time.monotonic()

    @functools.cached_property
    def _busy(self) -> asyncio.Lock:
        return asyncio.Lock()

    @functools.cached_property
    def _breathed(self) -> float:
        """When other tasks had their turn last (monotonic s)."""
        return time.monotonic()


class AsyncEventStream(Receiving, Awaited):
    """As `EventStream`; `save`, `stop`, `position` and `repeats` are used in the same way.

    >>> async with AsyncEventStream("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5557", cursor) as events:
    ...     async for event in events:  # doctest: +SKIP
    ...         await ring_the_bell(event)

    An event has been dealt with when the next one is asked for, or at `save`: whoever is cancelled while dealing with
    one hears it again after a restart. Exactly once is as there: effect and `save` in one transaction of SQLite's, in
    which there is nothing to await.
    """

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """The next event that is wanted.

        Raises:
            StopAsyncIteration: `stop` was called, or it was quiet for too long.
            ProtocolError: bytes that are no message, or of a newer version.
            ConfigError: a node refuses this client.
            RuntimeError: another task waits for it already.
        """
        self._finish()  # at once: a task that is cancelled from here on has dealt with the last one
        event = await self._drive(self._turns(), self._waiting)
        if event is None:
            raise StopAsyncIteration
        return event


class AsyncSubscriber(Subscribing, Awaited):
    """As `Subscriber`; `stop` and `missed` are used in the same way.

    >>> async with AsyncSubscriber("tcp://127.0.0.1:5555", ["tags"], label="Vehicle") as messages:
    ...     async for message in messages: ...  # doctest: +SKIP
    """

    def __aiter__(self) -> AsyncIterator[Message | Unknown]:
        return self

    async def __anext__(self) -> Message | Unknown:
        """The next message that is wanted.

        Raises:
            StopAsyncIteration: `stop` was called, or it was quiet for too long.
            ProtocolError: bytes that are no message, or of a newer version.
            ConfigError: the node refuses this client.
            RuntimeError: another task waits for it already.
        """
        message = await self._drive(self._turns(), self._waiting)
        if message is None:
            raise StopAsyncIteration
        return message


async def wait(waiting: Waiting, seconds: float) -> None:
    """Until a socket can be read, for so many seconds at most; other tasks get their turn in any case."""
    if seconds <= 0 or waiting.ready:
        await asyncio.sleep(0)
        return
    loop = asyncio.get_running_loop()
    came: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not came.done():
            came.set_result(None)

    # Not for longer than this: ZeroMQ's files can be read also for reasons of its own, and would be again and again.
    files = waiting.files
    timer = loop.call_later(seconds, wake)
    for file in files:
        loop.add_reader(file, wake)
    try:
        await came
    finally:
        timer.cancel()
        for file in files:
            loop.remove_reader(file)
        waiting.rest()
