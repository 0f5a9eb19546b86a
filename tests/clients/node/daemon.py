"""What the daemon has of events, told line by line by the tests in JavaScript what to do.

python daemon.py FOLDER PUBLISH CATCHUP [NODE [KEYS]], then on stdin one JSON array a line, answered on stdout by one:
["say", COUNT, STREAM, LABEL, LIVE], ["close"], ["open", SESSION], ["forget"] (the journal), ["revoke", CLIENT],
["tag", LABEL].
"""

import dataclasses
import json
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from glatd.daemon.journal.catchup import CatchUp
from glatd.daemon.journal.journal import Journal
from glatd.daemon.publish import Publisher
from glatd.daemon.security import keyring
from glatd.daemon.security.access import make_access
from glatd.labels import node_mid
from glatd.messages import Tag, Tags
from tests.daemon.journal.made import event


class Daemon:
    """The real journal, publisher and catch-up, without ears."""

    def __init__(self, folder: str, publish: str, catchup: str, node: str = "edge-1", keys: str = "") -> None:
        self._folder, self._publish, self._catchup, self._node = Path(folder), publish, catchup, node
        self._keys, self._said = keys, 0
        self.open("s1")

    def open(self, session: str) -> str:
        """Start."""
        access = make_access(self._keys, False)
        self._session, self._parts = session, ExitStack()
        self._journal = self._parts.enter_context(closing(Journal(self._folder)))
        self._publisher = self._parts.enter_context(closing(Publisher(self._publish, access)))
        self._parts.enter_context(closing(CatchUp(self._catchup, self._journal, self._node, access)))
        return self._journal.id

    def close(self) -> None:
        """Stop."""
        self._parts.close()

    def say(self, count: int, stream: str = "yard", label: str = "Dog", live: bool = True) -> int:
        """Events; with live=False they are dropped on the way. The last one's offset."""
        made = [
            dataclasses.replace(
                event(self._said + number, "end", stream=stream, mid=node_mid(label), session=self._session),
                node=self._node,
                label=label,
            )
            for number in range(count)
        ]
        self._said += count
        for each in self._journal.append(made):
            if live:
                self._publisher(each)
        return self._journal.last

    def tag(self, *labels: str) -> None:
        """One window with these tags."""
        found = tuple(Tag(label, node_mid(label), 0.9 - 0.1 * rank, 0.5, 0.5) for rank, label in enumerate(labels))
        self._said += 1
        self._publisher(
            Tags(
                self._node, self._session, "yard", "2026-01-01T00:00:25.920000Z", self._said, 0, 320_000, 32_000, 1.0,
                -31.5, "0123456789abcdef", found, (),
            )
        )  # fmt: skip

    def forget(self) -> None:
        """Delete the journal; to be done while it is closed."""
        for path in self._folder.iterdir():
            path.unlink()

    def revoke(self, client: str) -> None:
        """Take a client's keys back."""
        keyring.revoke(Path(self._keys), client)


def main(*arguments: str) -> None:
    """Answer each line."""
    daemon = Daemon(*arguments)
    print('"ready"', flush=True)
    for line in sys.stdin:
        do, *values = json.loads(line)
        print(json.dumps(getattr(daemon, do)(*values)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
