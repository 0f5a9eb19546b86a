"""Tags one recording after the other, each through the loop of `glatd replay`: the same code says the same."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from glatd.audio import Block, Missing
from glatd.daemon.assembly import Assembly, make_engine
from glatd.daemon.loop import Loop
from glatd.daemon.recording.reader import RecordingSource
from glatd.daemon.replay import lost_audio
from glatd.daemon.settings import Settings
from glatd.daemon.sources.base import Source
from glatd.daemon.sources.file import FileSource
from glatd.errors import DataError, EngineError, GlatdError
from glatd.messages import Gap, Message


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of one recording."""

    seconds: float  # of real audio
    lost: float  # s in gaps
    windows: int
    gaps: tuple[Gap, ...]
    trouble: str  # why not all of it was heard; "" if it was
    stopped: bool = False  # before its end


class _Recorded(RecordingSource):
    """A stream of a recording, which knows whether it was told when it was recorded."""

    dated = False

    def blocks(self) -> Iterator[Block | Missing]:
        """As of `RecordingSource`."""
        for piece in super().blocks():
            if isinstance(piece, Block) and piece.wall is not None:
                self.dated = True
            yield piece


class Hearer:
    """One engine, one thread of inference. `stop` may be called from any thread, all else from one.

    Args:
        settings: of every recording.
        engine: content hash that the engine must have; "" for any.

    Raises:
        EngineError: it cannot be loaded, or is another one.
        ConfigError: settings that it cannot do.
    """

    def __init__(self, settings: Settings, engine: str = "") -> None:
        self.engine = make_engine(settings)
        if engine not in ("", self.engine.manifest.hash):
            raise EngineError(
                f"the engine of this worker is {self.engine.manifest.hash}, and {engine} was asked for; "
                "install the same glatd on every machine, or give an --engine that all of them see"
            )
        self._assembly = Assembly(settings, self.engine)
        self._loop: Loop | None = None
        self._stopped = False

    def hear(self, path: Path, named: str, tell: Callable[[Message, bool], None]) -> Heard:
        """Tag one recording.

        Args:
            path: of a file, or of one stream of a recording of glatd's.
            named: what it is called in `Heard.trouble`, where `path` is a copy of it.
            tell: every message, in order, and whether its times are those of the recording and not of its tagging.
        """
        gaps: list[Gap] = []

        def note(message: Message) -> None:
            if isinstance(message, Gap):
                gaps.append(message)
            tell(message, isinstance(source, _Recorded) and source.dated)

        try:
            source: Source = _Recorded(path) if path.is_dir() else FileSource(path)
        except DataError as error:
            return Heard(0.0, 0.0, 0, (), _why(error, path, named))
        track = self._assembly.track(source, None)
        self._loop = self._assembly.loop([track], [note], live=False)
        if not self._stopped:
            self._loop.run()
        self._loop = None
        stream, rate = track.channel.stream, self.engine.sizes.rate
        trouble = track.worker.error or lost_audio(source, gaps)
        return Heard(
            stream.received / rate,
            stream.lost / rate,
            track.announcer.windows,
            tuple(gaps),
            "" if trouble is None else _why(trouble, path, named),
            self._stopped,
        )

    def stop(self) -> None:
        """End at once, without what is still to come of this recording and all others."""
        self._stopped = True
        if (loop := self._loop) is not None:
            loop.stop()


def _why(error: GlatdError, path: Path, named: str) -> str:
    """An error about a file, with the name that its user knows; names in it are text that any table holds."""
    text = os.fsencode(str(error)).decode("utf-8", "backslashreplace")
    here = os.fsencode(path).decode("utf-8", "backslashreplace")
    return re.sub(r"\s+", " ", text.replace(f"file:{here}", named).replace(here, named))
