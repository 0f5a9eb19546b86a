"""Hears a node in a thread, and shows what it says: on the whole screen, or as a page now and then."""

import threading
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live

from glatd.clients.subscriber import Subscriber
from glatd.clients.top.drawn import draw
from glatd.clients.top.picture import Picture
from glatd.errors import GlatdError
from glatd.messages import Node

REDRAW_S = 0.25
FIRST_S = 12.0  # for the first `node` message to come, which a daemon sends every 10 s; without it a page is drawn too
PAGE_S = 10.0  # between two pages where there is no terminal


class Watch:
    """A subscription in a thread, and the picture that it makes.

    Args:
        endpoint, keys: as of `Subscriber`.
        stream: globs.
    """

    def __init__(self, endpoint: str, stream: tuple[str, ...], keys: Path | None) -> None:
        self.error: GlatdError | None = None
        self._picture, self._lock = Picture(), threading.Lock()
        self._stopped, self._node = threading.Event(), threading.Event()
        self._given = endpoint, stream, keys
        self._thread = threading.Thread(target=self._hear, name="top", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """From any thread, or a signal handler."""
        self._stopped.set()
        self._node.set()

    def join(self) -> None:
        """Wait for the thread."""
        self.stop()
        self._thread.join(2.0)

    def _hear(self) -> None:
        endpoint, stream, keys = self._given
        try:
            # A second without a word is no end: it is looked whether to stop.
            with Subscriber(endpoint, (), stream or "*", timeout=REDRAW_S, keys=keys) as messages:
                while not self._stopped.is_set():
                    for message in messages:
                        with self._lock:
                            self._picture.take(message, time.monotonic())
                        if isinstance(message, Node):
                            self._node.set()
                        if self._stopped.is_set():
                            break
        except GlatdError as error:
            self.error = error
        finally:
            self.stop()

    def show(self, console: Console, once: bool) -> None:
        """Until it is stopped; one page if `once`.

        Raises:
            GlatdError: what ended the subscription.
        """
        try:
            if once:
                self._node.wait(FIRST_S)
                self._page(console)
            elif console.is_terminal:
                self._screen(console)
            else:
                self._node.wait(FIRST_S)
                while not self._stopped.is_set():
                    self._page(console)
                    self._stopped.wait(PAGE_S)
        finally:
            self.join()
        if self.error is not None:
            raise self.error

    def _page(self, console: Console) -> None:
        if self.error is None:
            with self._lock:
                console.print(draw(self._picture, console.width, 0, time.monotonic()))
                console.print()

    def _screen(self, console: Console) -> None:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while not self._stopped.wait(REDRAW_S):
                with self._lock:
                    drawn = draw(self._picture, console.width, console.height, time.monotonic())
                live.update(drawn, refresh=True)
