"""An application as others would write it: the effect of each event and the cursor in one transaction.

python application.py DATABASE PUBLISH CATCHUP
"""

import sqlite3
import sys

from glatd.clients.cursor import SqliteCursor
from glatd.clients.events import EventStream


def main(path: str, publish: str, catchup: str) -> None:
    """Write down every event, until killed."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")  # enough for a kill
    with database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS heard (session TEXT, number INTEGER, phase TEXT, cause TEXT, offset INTEGER)"
        )
    with EventStream(publish, catchup, SqliteCursor(database), saves=False) as events:
        for event in events:
            with database:
                database.execute(
                    "INSERT INTO heard VALUES (?, ?, ?, ?, ?)",
                    (event.session, event.onset, event.phase, event.cause, event.offset),
                )
                events.save()


if __name__ == "__main__":
    main(*sys.argv[1:])
