"""What clients are tested against: the journal, publisher and catch-up of the daemon, here or in a process."""

import dataclasses
from contextlib import ExitStack, closing
from pathlib import Path

from glatd.daemon.journal.catchup import CatchUp
from glatd.daemon.journal.journal import Journal
from glatd.daemon.publish import Publisher
from glatd.daemon.security.access import LOCAL, Access
from glatd.labels import audioset
from tests.conftest import ROOT
from tests.daemon.journal.made import event
from tests.daemon.processes import free_endpoint

PRODUCER = ROOT / "tests" / "daemon" / "journal" / "producer.py"
MIDS = {label.name: label.mid for label in audioset()}


class Node:
    """What the daemon has of events, in this process."""

    def __init__(self, folder: Path, name: str = "edge-1", session: str = "s1", access: Access = LOCAL) -> None:
        self.folder, self.name, self.session, self._access = folder, name, session, access
        self.publish, self.catchup = free_endpoint(), free_endpoint()
        self._number = 0
        self.start()

    def start(self) -> None:
        """Open everything."""
        self._parts = ExitStack()
        self.journal = self._parts.enter_context(closing(Journal(self.folder)))
        self.publisher = self._parts.enter_context(closing(Publisher(self.publish, self._access)))
        self._parts.enter_context(closing(CatchUp(self.catchup, self.journal, self.name, self._access)))

    def say(
        self, count: int = 1, stream: str = "yard", label: str = "Dog", live: bool = True, **values: object
    ) -> None:
        """Publish events; with live=False they are dropped on the way. Their numbers are in `onset`."""
        made = [
            dataclasses.replace(
                event(self._number + index, "end", stream=stream, mid=MIDS[label], session=self.session),
                **{"node": self.name, "label": label} | values,
            )
            for index in range(count)
        ]
        self._number += count
        for each in self.journal.append(made):
            if live:
                self.publisher(each)

    def close(self) -> None:
        """Close everything."""
        self._parts.close()
