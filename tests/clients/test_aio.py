"""The clients in an asyncio loop: cancelled in the middle, restarted, exactly once, and no other task stands still."""

import asyncio
import dataclasses
import random
import signal
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from glatd.clients.aio import AsyncEventStream, AsyncSubscriber
from glatd.clients.cursor import Cursor, MemoryCursor, Position, SqliteCursor
from glatd.daemon.publish import Publisher
from glatd.daemon.security import keyring
from glatd.daemon.security.access import make_access
from glatd.errors import ConfigError, ProtocolError
from glatd.messages import Gap, Tag, Tags
from tests.clients.nodes import PRODUCER, Node
from tests.daemon.processes import free_endpoint, started

PATIENCE_S = 30.0
HEAD = {"node": "n", "session": "s1", "stream": "yard", "time": "2026-01-01T00:00:00.000000Z"}
GAP = Gap(**HEAD, start=0, end=320, rate=32_000, cause="overload")
TAGS = Tags(
    **HEAD, seq=0, start=0, end=320_000, rate=32_000, filled=1.0, level_dbfs=-20.0, engine="e",
    tags=(Tag("Truck", "/m/07r04", 0.9, 0.8, 1.0), Tag("Dog", "/m/0bt9lr", 0.7, 0.7, 0.7)), crops=(),
)  # fmt: skip
NEVER = threading.Event()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(Node(tmp_path / "journal")) as made:
        yield made


def listen(node: Node, cursor: Cursor | None = None, **options: object) -> AsyncEventStream:
    """A stream that gives up after a while."""
    return AsyncEventStream(node.publish, node.catchup, cursor, **{"timeout": PATIENCE_S} | options)  # type: ignore[arg-type]


async def take(events: AsyncEventStream, count: int) -> list[int]:
    """Offsets of the next events."""
    return [(await anext(events)).offset for _ in range(count)]


def test_what_was_missed_comes_first_then_what_is_live(node: Node) -> None:
    async def main() -> None:
        node.say(1500)
        async with listen(node) as events:
            assert await take(events, 1500) == list(range(1, 1501))
            for count in (1, 3, 40):
                before = node.journal.last
                node.say(count)
                assert await take(events, count) == list(range(before + 1, before + count + 1))
            node.say(2, live=False)
            assert await take(events, 2) == [1545, 1546]
            assert events.position("edge-1") == Position(node.journal.id, 1546)

    asyncio.run(main())


def test_whoever_waits_can_be_cancelled_at_any_time(node: Node) -> None:
    """Each wait is given up soon, by three ways of doing so, while events come; each is given once and in order."""
    rng = random.Random(1)
    heard: list[int] = []

    async def by_timeout(events: AsyncEventStream, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            async for event in events:
                heard.append(event.offset)

    async def by_task(events: AsyncEventStream, seconds: float) -> None:
        task = asyncio.create_task(by_timeout(events, PATIENCE_S))
        await asyncio.sleep(seconds)
        task.cancel()
        await task

    async def one(events: AsyncEventStream, seconds: float) -> None:
        heard.append((await asyncio.wait_for(anext(events), seconds)).offset)

    async def main() -> None:
        ways: tuple[Callable[[AsyncEventStream, float], Awaitable[None]], ...] = (by_timeout, by_task, one)
        async with listen(node) as events:
            for turn in range(60):
                if turn % 4 == 3:
                    node.say(rng.randrange(1, 30), live=turn % 8 != 3)
                with suppress(TimeoutError, asyncio.CancelledError):
                    await rng.choice(ways)(events, rng.choice((0.0, 0.0005, 0.003, 0.03)))
            while len(heard) < node.journal.last:
                heard.append((await anext(events)).offset)

    asyncio.run(main())
    assert heard == list(range(1, node.journal.last + 1))


def test_an_event_is_done_with_when_the_next_is_asked_for(node: Node) -> None:
    node.say(3)
    cursor = MemoryCursor()

    async def handle(events: AsyncEventStream, wait: bool) -> None:
        async for event in events:
            if wait and event.offset == 2:
                await asyncio.sleep(PATIENCE_S)

    async def main(wait: bool) -> None:
        async with listen(node, cursor) as events:
            with suppress(TimeoutError):
                await asyncio.wait_for(handle(events, wait), 1.0)

    asyncio.run(main(True))
    assert cursor.load("edge-1") == Position(node.journal.id, 1)  # it was cancelled while it dealt with the second
    asyncio.run(main(False))
    assert cursor.load("edge-1") == Position(node.journal.id, 3)  # and while it waited for a fourth


def test_other_tasks_have_their_turn_while_many_events_are_there(node: Node) -> None:
    node.say(3000)
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def main() -> None:
        async with listen(node, label="Cat", timeout=1.0) as none, listen(node) as events:
            await take(events, 1)
            ticking = asyncio.create_task(tick())
            await take(events, 2999)
            found, left = turns, [event async for event in none]
            assert not left and found >= 3
            ticking.cancel()

    asyncio.run(main())


def test_one_task_at_a_time_and_an_end_that_waits_for_it(node: Node) -> None:
    async def main() -> None:
        events = listen(node)
        waiting = asyncio.create_task(anext(events))
        await asyncio.sleep(0.05)
        with pytest.raises(RuntimeError, match="one client serves one task at a time"):
            await anext(events)
        await events.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
        async with listen(node) as events:
            threading.Timer(0.2, events.stop).start()
            assert [event async for event in events] == []
        async with listen(node, timeout=0.0) as events:
            assert [event async for event in events] == []

    asyncio.run(main())


def test_a_daemon_that_is_killed_and_started_again_goes_on(tmp_path: Path) -> None:
    folder, publish, catchup = tmp_path / "journal", free_endpoint(), free_endpoint()
    command = [sys.executable, str(PRODUCER), str(folder), publish, catchup, "300"]

    async def main() -> list[int]:
        async with AsyncEventStream(publish, catchup, timeout=PATIENCE_S) as events:
            heard = []
            for _ in range(3):
                with started(command) as daemon:
                    heard += await take(events, 100)
                    daemon.end(signal.SIGKILL)
            return heard

    heard = asyncio.run(main())
    assert heard == list(range(1, 301))


def test_effect_and_cursor_in_one_transaction_whenever_it_is_cancelled(node: Node) -> None:
    rng = random.Random(2)
    node.say(300)

    async def application(database: sqlite3.Connection) -> None:
        async with listen(node, SqliteCursor(database), saves=False) as events:
            async for event in events:
                await asyncio.sleep(rng.choice((0, 0, 0, 0.001)))  # what it does before
                with database:
                    database.execute("INSERT INTO heard VALUES (?)", (event.offset,))
                    events.save()
                await asyncio.sleep(0)  # and after

    async def main(database: sqlite3.Connection) -> None:
        for _ in range(12):
            with suppress(TimeoutError):
                await asyncio.wait_for(application(database), rng.uniform(0.0, 0.1))
            node.say(5)
        task = asyncio.create_task(application(database))
        while not task.done() and database.execute("SELECT count(*) FROM heard").fetchone()[0] < node.journal.last:
            await asyncio.sleep(0.2)
        task.cancel()

    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE heard (offset INTEGER)")
        asyncio.run(main(database))
        heard = [offset for (offset,) in database.execute("SELECT offset FROM heard ORDER BY rowid")]
    assert heard == list(range(1, node.journal.last + 1))


def test_messages_come_typed_and_filtered() -> None:
    publisher = Publisher(free_endpoint())

    async def main() -> None:
        async with AsyncSubscriber(
            publisher.endpoint, ["tags", "gap"], label="Vehicle", timeout=PATIENCE_S
        ) as messages:
            assert await asyncio.to_thread(publisher.wait_for_subscriber, PATIENCE_S, NEVER)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(messages)
            for message in (TAGS, dataclasses.replace(TAGS, seq=1, tags=TAGS.tags[1:]), GAP):
                publisher(message)
            assert await anext(messages) == dataclasses.replace(TAGS, tags=TAGS.tags[:1])
            assert await anext(messages) == GAP and messages.missed == 0
            publisher._socket.send_multipart([b"tags/n/s/", b"\xc1"])
            with pytest.raises(ProtocolError, match="is no msgpack"):
                await anext(messages)
            publisher(GAP)
            assert [message async for message in messages if messages.stop() is None] == [GAP]

    with closing(publisher):
        asyncio.run(main())


def test_a_refusal_is_told_at_once(tmp_path: Path) -> None:
    ring = tmp_path / "keys"
    keyring.init(ring)
    other = keyring.add(ring, "remote", ["control"])

    async def main(node: Node) -> None:
        for keys, said in ((other, "refuses"), (None, "asks for keys")):
            async with listen(node, keys=keys) as events, AsyncSubscriber(node.publish, keys=keys) as messages:
                for each in (events, messages):
                    with pytest.raises(ConfigError, match=said):
                        await asyncio.wait_for(anext(each), PATIENCE_S)

    with closing(Node(tmp_path / "journal", access=make_access(str(ring), False))) as node:
        asyncio.run(main(node))
