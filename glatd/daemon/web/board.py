"""What the dashboard knows, in its own thread: taken from the feed, told to every viewer. It asks the loop nothing."""

import difflib
import json
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from glatd.daemon.clock import rfc3339
from glatd.daemon.stream import Window
from glatd.daemon.web.feed import Engaged, Feed, Frames, Item, Look, Sound
from glatd.daemon.web.kept import Kept
from glatd.daemon.web.listening import Listeners
from glatd.daemon.web.memory import SECONDS, Looks, Memory
from glatd.daemon.web.spectrogram import KEPT_S, Newest, Scale, Stretch
from glatd.daemon.web.viewer import Viewer
from glatd.engines.manifest import Manifest
from glatd.errors import ConfigError
from glatd.messages import Event, Gap, Message, Node, Status, Tags, to_map

MOST_VIEWERS = 16
MOST_EVENTS = 20_000  # messages of this run that are remembered; about 30 MB
MOST_GAPS = 2000  # of a stream
OVER = ("ended", "failed", "stopped")  # states of a stream that gives nothing more
DIGITS = 4  # of a score


class Board:
    """Everything that is on show.

    Args:
        feed: of the loop.
        manifest: of the engine.
        scale: of spectrograms.
        hop_s: s between windows.
        is_veiled: whether speech of a stream must not leave memory: then its spectrogram does not either, for whoever
            has enough of its bands can make speech of them again.
        mel_hz: centres of the bands.

    Attributes:
        statuses: the newest of each stream that was not removed.
        events: messages of this run.
    """

    def __init__(
        self,
        feed: Feed,
        manifest: Manifest,
        scale: Scale,
        hop_s: float,
        is_veiled: Callable[[str], bool],
        mel_hz: Sequence[float] = (),
    ) -> None:
        self.feed, self.is_veiled = feed, is_veiled
        self._pictures: dict[str, Newest] = {}
        self.statuses: dict[str, Status] = {}
        self.node: Node | None = None
        self.viewers: set[Viewer] = set()
        self.listeners = Listeners(feed, manifest.geometry.rate)
        self._looks = math.ceil(SECONDS / hop_s)
        self.memory_seconds = self._looks * hop_s
        self._memories: dict[str, Memory] = {}
        self._kept: dict[str, Kept] = {}
        self._gaps: dict[str, deque[Gap]] = {}
        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)  # of this run, oldest first
        self._engage(Engaged(manifest, scale, tuple(mel_hz)))

    def take(self) -> None:
        """All that the loop has handed over."""
        for item in self.feed.take():
            self._take(item)

    def enter(self, viewer: Viewer) -> None:
        """One more looks, from now on."""
        self.viewers.add(viewer)
        self.feed.eager = True

    def leave(self, viewer: Viewer) -> None:
        """It does no more."""
        self.viewers.discard(viewer)
        self.feed.eager = bool(self.viewers)

    def watch(self, viewer: Viewer, streams: frozenset[str], labels: tuple[str, ...]) -> None:
        """A viewer wants to see these: first what is there of those that it has not seen."""
        new = streams - viewer.streams
        viewer.streams = streams
        viewer.labels = tuple(label for label in labels if label in self._index)
        for name in sorted(new & self._pictures.keys()):
            for stretch in self._pictures[name].stretches:
                viewer.offer(stretch.packed(name, self.scale))

    def forget_gone(self, there: Collection[str]) -> None:
        """Streams that are over and were removed, of which nothing is told any more."""
        for name, status in list(self.statuses.items()):
            if status.state in OVER and name not in there:
                self._forget(name)

    def index(self, label: str) -> int:
        """The number of a class.

        Raises:
            ConfigError: there is none of that name.
        """
        if label not in self._index:
            near = difflib.get_close_matches(label[:200], self._index, 1, 0.5)
            raise ConfigError(
                f"the engine has no class {label[:60]!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        return self._index[label]

    def timeline(self, stream: str, seconds: float, classes: list[int]) -> Looks:
        """The scores of some classes in the last so many seconds of a stream."""
        return self._memory_of(stream).since(time.time() - seconds, classes)

    def gaps_of(self, stream: str, looks: Looks) -> list[tuple[int, int]]:
        """What was lost of a stream since the first of some looks."""
        first = int(looks[0][0]) if len(looks[0]) else 0
        return [(gap.start, gap.end) for gap in self._gaps.get(stream, ()) if gap.end > first]

    def kept_of(self, stream: str) -> Kept:
        """What its decisions were made of."""
        if stream not in self._kept:
            self._kept[stream] = Kept(self._looks)
        return self._kept[stream]

    def tell(self, fields: dict[str, Any]) -> None:
        """Tell every viewer."""
        if self.viewers:
            text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
            for viewer in self.viewers:
                viewer.offer(text)

    def _engage(self, item: Engaged) -> None:
        """Show what this engine says from now on; of what another said, its classes and bands, nothing fits."""
        self.manifest, self.scale, self.mel_hz = item.manifest, item.scale, item.mel_hz
        sizes = self.manifest.geometry
        self._drawn = round(KEPT_S * sizes.rate / sizes.hop)  # mel frames
        self._index = {label.name: index for index, label in enumerate(self.manifest.labels)}
        for known in (self._pictures, self._memories, self._kept):
            known.clear()
        for viewer in self.viewers:  # it comes again, and is told all anew
            viewer.labels = tuple(label for label in viewer.labels if label in self._index)
            viewer.hang_up()

    def _take(self, item: Item) -> None:
        if isinstance(item, Engaged):
            self._engage(item)
        elif isinstance(item, Frames):
            self._draw(item)
        elif isinstance(item, Look):
            self._score(item)
        elif isinstance(item, Sound):
            self.listeners.take(item)
        else:
            self._hear(item)

    def _hear(self, message: Message) -> None:
        if isinstance(message, Node):
            self.node = message
        elif isinstance(message, Status):
            before = self.statuses.get(message.stream)
            known = message.reason or (before.reason if before and before.state == message.state else "")
            self.statuses[message.stream] = replace(message, reason=known)  # why it is in a state is told once
            if message.state in OVER:
                self.listeners.end(message.stream)
                if message.reason == "removed":
                    self._forget(message.stream)
        elif isinstance(message, Event):
            self.events.append(message)
        elif isinstance(message, Gap):
            self._gaps.setdefault(message.stream, deque(maxlen=MOST_GAPS)).append(message)
            self.kept_of(message.stream).lost(message)
        elif message.quiet:
            self._pass_over(message)
        self.tell(to_map(message))

    def _draw(self, item: Frames) -> None:
        before = max(0, -item.first)  # frames before the stream began, which are silence
        self.kept_of(item.stream).frames(item.frames)
        if self.is_veiled(item.stream):
            return
        stretch = Stretch(item.first + before, item.frames[before:])
        self._pictures.setdefault(item.stream, Newest(self._drawn)).add(stretch)
        for viewer in self._watching(item.stream):
            viewer.offer(stretch.packed(item.stream, self.scale))

    def _score(self, item: Look) -> None:
        self._memory_of(item.stream).add(item.seen.window.end, item.wall, item.seen.scores)
        self.kept_of(item.stream).looked(item.seen, item.wall)
        for viewer in self._watching(item.stream):
            if viewer.labels:
                scores = {label: round(float(item.seen.scores[self._index[label]]), DIGITS) for label in viewer.labels}
                fields = {
                    "type": "scores",
                    "stream": item.stream,
                    "end": item.seen.window.end,
                    "rate": self.manifest.geometry.rate,
                    "time": rfc3339(item.wall),
                    "scores": scores,
                }
                viewer.offer(json.dumps(fields, ensure_ascii=False, separators=(",", ":")))

    def _pass_over(self, message: Tags) -> None:
        """A window that the level gate kept the networks from."""
        sizes = self.manifest.geometry
        wall = datetime.fromisoformat(message.time).timestamp()
        real = round(message.filled * sizes.window * sizes.hop)
        self._memory_of(message.stream).add(message.end, wall, None)
        window = Window(-(-message.end // sizes.hop), message.start, message.end, real)
        self.kept_of(message.stream).quiet(window, wall)

    def _memory_of(self, stream: str) -> Memory:
        if stream not in self._memories:
            self._memories[stream] = Memory(self._looks, len(self.manifest.labels))
        return self._memories[stream]

    def _watching(self, stream: str) -> Iterable[Viewer]:
        return [viewer for viewer in self.viewers if stream in viewer.streams]

    def _forget(self, stream: str) -> None:
        of_streams: tuple[dict[str, Any], ...] = (
            self.statuses, self._pictures, self._memories, self._kept, self._gaps
        )  # fmt: skip
        for known in of_streams:
            known.pop(stream, None)
