"""From what was seen to what is said: messages of one stream, numbered and dated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glatd.daemon.clock import WallClock, rfc3339
from glatd.daemon.stream import Stream, Window
from glatd.daemon.tagging import Seen
from glatd.engines.manifest import Manifest
from glatd.messages import Crop, Gap, Status, Tag, Tags

DIGITS = 6  # of a score; more are noise of float32


@dataclass(slots=True)
class Counts:
    """What is counted of a stream beside its samples; as in `Status`."""

    late: float = 0.0  # s, of the last window
    findings: tuple[str, ...] = ()
    connections: int = 0
    repeated: int = 0
    skipped: int = 0
    dropped: int = 0
    quiet: int = 0


class Announcer:
    """Makes the messages of one stream.

    Args:
        node, session, name, uri: as in the messages; `uri` with credentials hidden.
        manifest: of the engine.
        clock: of the stream.
        top: tags a message, by falling score; None for all classes.
    """

    def __init__(
        self, node: str, session: str, name: str, uri: str, manifest: Manifest, clock: WallClock, top: int | None
    ) -> None:
        self.node, self.session, self.name, self.uri = node, session, name, uri
        self.manifest, self.clock, self.top = manifest, clock, top
        self.windows = 0
        self.state = "starting"

    def tags(self, seen: Seen) -> Tags:
        """The message of one window."""
        return self._window(seen.window, seen.level, tags=self._ranked(seen), crops=self._crops(seen))

    def quiet(self, window: Window, level: float) -> Tags:
        """The message of a window that was not looked at, because all of it is quiet."""
        return self._window(window, level, tags=(), crops=(), quiet=True)

    def _window(self, window: Window, level: float, **found: Any) -> Tags:
        message = Tags(
            node=self.node,
            session=self.session,
            stream=self.name,
            time=rfc3339(self.clock.at(window.end)),
            seq=self.windows,
            start=window.start,
            end=window.end,
            rate=self.manifest.geometry.rate,
            filled=round(window.real / (self.manifest.geometry.window * self.manifest.geometry.hop), DIGITS),
            level_dbfs=round(level, 2),
            engine=self.manifest.hash,
            **found,
        )
        self.windows += 1
        return message

    def gap(self, start: int, end: int, cause: str) -> Gap:
        """Samples [start, end) are lost; dated at the start, since windows inside the gap are still to come."""
        return Gap(
            self.node,
            self.session,
            self.name,
            rfc3339(self.clock.at(start)),
            start=start,
            end=end,
            rate=self.manifest.geometry.rate,
            cause=cause,
        )

    def status(self, stream: Stream, now: float, counts: Counts, reason: str = "") -> Status:
        """How the stream fares.

        Args:
            now: UNIX seconds.
        """
        drift = self.clock.fit.drift_ppm
        return Status(
            self.node,
            self.session,
            self.name,
            rfc3339(now),
            state=self.state,
            uri=self.uri,
            engine=self.manifest.hash,
            rate=self.manifest.geometry.rate,
            samples=stream.received,
            lost=stream.lost,
            windows=self.windows,
            late_ms=round(1000 * counts.late, 1),
            reason=reason,
            findings=counts.findings,
            drift_ppm=None if drift is None else round(drift, 1),
            connections=counts.connections,
            repeated=counts.repeated,
            skipped=counts.skipped,
            dropped=counts.dropped,
            quiet=counts.quiet,
        )

    def _ranked(self, seen: Seen) -> tuple[Tag, ...]:
        order: Sequence[int] = np.argsort(-seen.scores, kind="stable")[: self.top].tolist()
        labels = self.manifest.labels
        return tuple(
            Tag(
                labels[index].name,
                labels[index].mid,
                round(float(seen.scores[index]), DIGITS),
                round(float(seen.global_[index]), DIGITS),
                round(float(seen.local[index]), DIGITS),
            )
            for index in order
        )

    def _crops(self, seen: Seen) -> tuple[Crop, ...]:
        sizes = self.manifest.geometry
        length = sizes.crop * sizes.hop
        return tuple(
            Crop(self.manifest.labels[index].name, start, start + length, round(activation, DIGITS))
            for start, index, activation in zip(seen.starts, seen.classes, seen.activations, strict=True)
        )
