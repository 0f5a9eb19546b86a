"""A ROUTER socket that is bound, served and closed in a thread of its own, as ZeroMQ wants it."""

import threading
from abc import ABC, abstractmethod
from contextlib import closing

import zmq

from glatd.daemon.endpoint import Endpoint, Purpose
from glatd.daemon.security.access import Access


class Answering(ABC):
    """Serves from when it is made until it is closed.

    Args:
        name: of the thread.
        endpoint: ZeroMQ endpoint to bind.
        access: the keys of the node.
        leave: seconds for a request that is being answered when it is closed.

    Raises:
        ConfigError: as of `Endpoint`.
    """

    def __init__(self, name: str, endpoint: str, purpose: Purpose, access: Access, leave: float) -> None:
        self.endpoint = endpoint
        self._purpose, self._access, self._leave = purpose, access, leave
        self._stopped, self._bound = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._bound.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def close(self) -> None:
        """Answer no more; waits for a request that is being done, but not for ever."""
        self._stopped.set()
        self._thread.join(self._leave)

    def _run(self) -> None:
        try:
            bound = Endpoint(zmq.ROUTER, self.endpoint, self._purpose, self._access)
        except BaseException as error:  # it is raised again in the thread that made this
            self._error = error
            return
        finally:
            self._bound.set()
        with closing(bound):
            self._serve(bound)

    @abstractmethod
    def _serve(self, bound: Endpoint) -> None:
        """Answer until `_stopped` is set, in the thread."""
