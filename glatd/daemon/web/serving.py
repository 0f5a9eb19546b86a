"""Puts the parts of the dashboard together for a daemon."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from glatd.daemon.assembly import Assembly
from glatd.daemon.clock import rfc3339
from glatd.daemon.journal.journal import Journal
from glatd.daemon.loop import Loop
from glatd.daemon.manage import Manager
from glatd.daemon.metrics.address import read_address
from glatd.daemon.privacy.outlet import is_veiled
from glatd.daemon.web.access import Doorman, read_token
from glatd.daemon.web.api import Api
from glatd.daemon.web.app import make_app
from glatd.daemon.web.board import Board
from glatd.daemon.web.feed import Feed
from glatd.daemon.web.live import Live
from glatd.daemon.web.pages import Pages
from glatd.daemon.web.past import JournalPast, Past, RunPast
from glatd.daemon.web.server import DashboardServer, bind
from glatd.daemon.web.spectrogram import mel_hz, scale_of
from glatd.daemon.web.state import State
from glatd.daemon.web.verdicts import Verdicts

ALIVE_S = 5.0  # between two signs of life, so that a page knows a dead connection


class Dashboard:
    """Shows what a loop does, from before it runs until `close`.

    Raises:
        ConfigError: the address or the token cannot be used.
    """

    def __init__(self, assembly: Assembly, loop: Loop, manager: Manager) -> None:
        settings, web = assembly.settings, assembly.settings.web
        address = read_address(web.address, settings.insecure, "web.address", 8080)
        token = read_token(Path(web.token)) if web.token else ""
        sizes = assembly.engine.sizes
        self.feed = Feed(loop.tracks, sizes.hop)
        self._board = board = Board(
            self.feed,
            assembly.engine.manifest,
            scale_of(assembly.engine),
            settings.hop,
            lambda stream: is_veiled(stream, settings.blank),
            mel_hz(assembly.engine),
        )
        verdicts = Verdicts(Path(settings.journal) if settings.journal else None)
        journal = assembly.journal

        def past() -> Past:
            return JournalPast(journal) if isinstance(journal, Journal) else RunPast(lambda: tuple(board.events))

        state = State(loop, board, settings, assembly.session)
        bound = bind(address)
        doorman = Doorman(token, bound.getsockname()[1])
        self._api = Api(settings, board, state, doorman, manager, past, verdicts)
        app = make_app(self._api, Live(board, state, doorman), Pages(), address[0], web.origins)
        loop.sinks = [*loop.sinks, self.feed]
        loop.saw = self.feed.saw
        loop.turned = self.feed.turn
        self._own: asyncio.AbstractEventLoop | None = None
        self._server = DashboardServer(bound, app, self._begin)

    @property
    def port(self) -> int:
        """On which it is served."""
        return self._server.port

    def close(self) -> None:
        """Serve no more."""
        self.feed.wake = lambda: None
        self._api.close()
        self._in_own(self._board.listeners.close)
        self._server.close()

    def _begin(self, own: asyncio.AbstractEventLoop) -> None:
        """In the dashboard's thread."""

        def alive() -> None:
            self._board.tell({"type": "alive", "time": rfc3339(time.time())})
            own.call_later(ALIVE_S, alive)

        self._own = own
        self.feed.connect(lambda: self._in_own(self._board.take))
        alive()

    def _in_own(self, function: Callable[[], None]) -> None:
        """Have something called in the dashboard's thread."""
        if self._own is not None:
            with suppress(RuntimeError):  # its loop is closed; the daemon ends
                self._own.call_soon_threadsafe(function)
