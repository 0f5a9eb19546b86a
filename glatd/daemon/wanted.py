"""Which engine the configuration of a daemon that runs means: that of a folder, or with "auto" the best that can run.

At its start "auto" passes over engines that do not load (`choose.load_best`), and so it does here. What was passed over
is remembered: else each reload would try it once more, for seconds, and tell the same trouble. It is tried again once
anything has changed in its folder, or when somebody asks for "auto" or for that folder by the control socket.
"""

import logging
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from glatd.daemon.candidate import Candidate
from glatd.daemon.settings import Settings
from glatd.engines.choose import Choice, choices, folders_of
from glatd.engines.manifest import Manifest, read_manifest
from glatd.errors import EngineError

log = logging.getLogger("glatd")


class Wanted:
    """Finds it, and loads it. One request at a time.

    Args:
        settings: that the daemon began with.
        running: the engine that it has found by them.

    Raises:
        EngineError: see `choices`.
    """

    def __init__(self, settings: Settings, running: Manifest) -> None:
        self._passed: set[tuple[str, int]] = set()  # as of `state`
        if settings.engine == "auto":
            better = takewhile(lambda choice: choice.manifest.hash != running.hash, self._choices(settings))
            self._passed = {state(choice.folder, choice.manifest) for choice in better}

    def forget(self) -> None:
        """Try what was passed over again."""
        self._passed.clear()

    def is_new(self, settings: Settings, running: Manifest) -> bool:
        """Whether settings mean another engine than the one that runs.

        Raises:
            EngineError: there is none in the folder that they name; and see `choices`.
        """
        if settings.engine != "auto":
            return read_manifest(Path(settings.engine)).hash != running.hash
        best = next(self._choices(settings), None)
        return best is not None and best.manifest.hash != running.hash

    def load(self, settings: Settings, running: Manifest) -> Candidate:
        """The engine that settings mean, fit to take over.

        Of "auto" the best that is, better than the one that runs or that itself; what is better and is not is passed
        over with a warning.

        Raises:
            EngineError, ConfigError: as of `Candidate.load`; of "auto" what speaks against each that is better than the
                one that runs.
        """
        if settings.engine != "auto":
            folder = Path(settings.engine)
            candidate = Candidate.load(folder, settings, running)
            self._passed.discard(state(folder, candidate.engine.manifest))
            return candidate
        failed: list[str] = []
        for choice in self._choices(settings):
            if failed and choice.manifest.hash == running.hash:
                break  # it goes on as it is
            try:
                candidate = Candidate.load(choice.folder, settings, running)
            except EngineError as error:
                self._passed.add(state(choice.folder, choice.manifest))
                failed.append(str(error))
                continue
            for reason in (*choice.others, *failed):
                log.warning("engine auto: %s", reason)
            return candidate
        raise EngineError("; ".join(failed) or "no engine can run here, not even the default one: see glatd doctor")

    def _choices(self, settings: Settings) -> Iterator[Choice]:
        """Those of "auto", the best first, without what was passed over."""
        found = choices(folders_of(settings.engines))
        return (choice for choice in found if state(choice.folder, choice.manifest) not in self._passed)


def state(folder: Path, manifest: Manifest) -> tuple[str, int]:
    """What is in the folder of an engine, without reading it all: its hash, and when it was last written to, in ns.

    A copy that was cut short has the hash of the whole one.
    """
    try:
        return manifest.hash, max(path.stat().st_ctime_ns for path in (folder, *folder.iterdir()))
    except OSError:
        return manifest.hash, 0  # it is gone, which its load will say
