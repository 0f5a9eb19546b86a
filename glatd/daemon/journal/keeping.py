"""The journal of a daemon, with all that goes with it, as its settings want it."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from glatd.daemon.journal.catchup import CatchUp
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.numbering import Numbering
from glatd.daemon.journal.upkeep import Upkeep
from glatd.daemon.security.access import Access
from glatd.daemon.settings import Settings


@contextmanager
def kept(settings: Settings, access: Access) -> Iterator[Journal | Numbering]:
    """What gives events their offsets; with a journal, its retention and its catch-up run.

    Raises:
        ConfigError: the folder or the endpoint cannot be used.
    """
    if not settings.journal:
        yield Numbering()
        return
    with (
        closing(Journal(Path(settings.journal), settings.journal_sync == "full")) as journal,
        closing(Upkeep(journal, settings.journal_days, settings.journal_mb)),
    ):
        if not settings.catchup:
            yield journal
            return
        with closing(CatchUp(settings.catchup, journal, settings.node_name, access)):
            yield journal


class Writing(Protocol):
    """What may fail to write: a journal, clips."""

    @property
    def trouble(self) -> str:
        """Why; empty when all is well."""


class TroubleTeller:
    """Has the node tell how it fares as soon as something cannot be written, and when it can be again."""

    def __init__(self, of: Writing, tell: Callable[[], None]) -> None:
        self._of, self._tell = of, tell
        self._told = ""

    def look(self) -> None:
        """Tell if it has changed."""
        trouble = self._of.trouble
        if bool(trouble) != bool(self._told):
            self._told = trouble
            self._tell()
