"""An application as others would write it: the effect of each event and the cursor in one transaction.

python application.py DATABASE PUBLISH CATCHUP [thread|asyncio]
"""

import asyncio
import sqlite3
import sys

from glatd.clients.aio import AsyncEventStream
from glatd.clients.cursor import SqliteCursor
from glatd.clients.events import EventStream
from glatd.messages import Event


def main(path: str, publish: str, catchup: str, way: str = "thread") -> None:
    """Write down every event, until killed."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # enough for a kill
    with database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS heard (session TEXT, number INTEGER, phase TEXT, cause TEXT, offset INTEGER)"
        )
    cursor = SqliteCursor(database)
    if way == "asyncio":
        asyncio.run(listen(AsyncEventStream(publish, catchup, cursor, saves=False), database))
    with EventStream(publish, catchup, cursor, saves=False) as events:
        for event in events:
            with database:
                write(database, event)
                events.save()


async def listen(stream: AsyncEventStream, database: sqlite3.Connection) -> None:
    """The same in a loop."""
    async with stream as events:
        async for event in events:
            await asyncio.sleep(0)
            with database:
                write(database, event)
                events.save()


def write(database: sqlite3.Connection, event: Event) -> None:
    """The effect of an event."""
    database.execute(
        "INSERT INTO heard VALUES (?, ?, ?, ?, ?)",
        (event.session, event.onset, event.phase, event.cause, event.offset),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
