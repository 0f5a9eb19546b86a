"""A bridge that runs beside the test, in a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from glatd.clients.bridges.base import Bridge
from tests.clients.nodes import Node

PATIENCE_S = 60.0


def of(*nodes: Node) -> dict[str, Any]:
    """Settings of a bridge that hears nodes from the beginning of their journals."""
    publish, catchup = tuple(node.publish for node in nodes), tuple(node.catchup for node in nodes)
    return {"publish": publish, "catchup": catchup, "fresh": "first"}


class Beside:
    """A bridge that runs until `stop`, or until it ends by itself."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.bridge.run()
        except BaseException as error:
            self.error = error

    def end(self) -> BaseException | None:
        """Wait until it ends by itself; what it raised, which is no error of the test then."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        error, self.error = self.error, None
        return error

    def stop(self) -> None:
        """Stop it as a signal does."""
        self.bridge.stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@contextmanager
def beside(bridge: Bridge) -> Iterator[Beside]:
    """Run a bridge while the block lasts; what it raises is raised at the end."""
    running = Beside(bridge)
    try:
        yield running
    finally:
        running.stop()
    if running.error is not None:
        raise running.error
