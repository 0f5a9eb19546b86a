"""A daemon without ears: numbered events through the real journal, publisher and catch-up, until it is killed.

python producer.py FOLDER PUBLISH CATCHUP [PER_SECOND [NODE [COUNT]]]
"""

import signal
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

from glatd.daemon.journal.catchup import CatchUp
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.upkeep import Upkeep
from glatd.daemon.publish import Publisher
from glatd.messages import Event

TURN_S = 0.01  # as of the loop: all events of a turn are one commit
MOST = 1000  # events a turn: on a busy machine it falls behind, and does not fall silent


def main(
    folder: str, publish: str, catchup: str, per_second: str = "500", node: str = "edge-1", count: str = "0"
) -> None:
    """Say what number each event has in `onset`, counted in this session."""
    session = uuid.uuid4().hex
    number, most = 0, int(count)
    with (
        closing(Journal(Path(folder))) as journal,
        closing(Upkeep(journal, days=1, megabytes=100)),
        closing(Publisher(publish)) as publisher,
        closing(CatchUp(catchup, journal, node)),
    ):
        for event in journal.end_unfinished():
            publisher(event)
        print("ready", flush=True)
        began = time.monotonic()
        while not most or number < most:
            due = min(int((time.monotonic() - began) * float(per_second)), most or sys.maxsize, number + MOST)
            new = [
                Event(
                    node, session, "yard" if index % 2 else "gate", "2026-01-01T00:00:25.920000Z", offset=0,
                    id=f"{session[:6]}-{index // 2}", phase="end" if index % 2 else "start", label="Dog",
                    mid="/m/0bt9lr", rate=32_000, onset=index, offset_time=None, peak=0.9, mean=0.5,
                    evidence={"crop": [1, 2]}, cause="",
                )
                for index in range(number, due)
            ]  # fmt: skip
            number = max(number, due)
            for event in journal.append(new):
                publisher(event)
            time.sleep(TURN_S)
        print("done", flush=True)
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
