"""What the dashboard knows, in its own thread: taken from the feed, told to every viewer. It asks the loop nothing."""

import json
from collections.abc import Collection, Iterable
from typing import Any

from glatd.daemon.clock import rfc3339
from glatd.daemon.web.feed import Feed, Frames, Item, Look
from glatd.daemon.web.spectrogram import KEPT_S, Newest, Scale, Stretch
from glatd.daemon.web.viewer import Viewer
from glatd.engines.manifest import Manifest
from glatd.messages import Message, Node, Status, to_map

MOST_VIEWERS = 16
OVER = ("ended", "failed", "stopped")  # states of a stream that gives nothing more
DIGITS = 4  # of a score


class Board:
    """Everything that is on show.

    Args:
        feed: of the loop.
        manifest: of the engine.
        scale: of spectrograms.
    """

    def __init__(self, feed: Feed, manifest: Manifest, scale: Scale) -> None:
        self.feed, self.manifest, self.scale = feed, manifest, scale
        sizes = manifest.geometry
        self._kept = round(KEPT_S * sizes.rate / sizes.hop)  # mel frames
        self._index = {label.name: index for index, label in enumerate(manifest.labels)}
        self._pictures: dict[str, Newest] = {}
        self.statuses: dict[str, Status] = {}
        self.node: Node | None = None
        self.viewers: set[Viewer] = set()
        self.memory_seconds = 0.0

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

    def tell(self, fields: dict[str, Any]) -> None:
        """Tell every viewer."""
        if self.viewers:
            text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
            for viewer in self.viewers:
                viewer.offer(text)

    def _take(self, item: Item) -> None:
        if isinstance(item, Frames):
            self._draw(item)
        elif isinstance(item, Look):
            self._score(item)
        elif isinstance(item, Message):
            self._hear(item)

    def _hear(self, message: Message) -> None:
        if isinstance(message, Node):
            self.node = message
        elif isinstance(message, Status):
            if message.state in OVER and message.reason == "removed":
                self._forget(message.stream)
            else:
                self.statuses[message.stream] = message
        self.tell(to_map(message))

    def _draw(self, item: Frames) -> None:
        before = max(0, -item.first)  # frames before the stream began, which are silence
        stretch = Stretch(item.first + before, item.frames[before:])
        self._pictures.setdefault(item.stream, Newest(self._kept)).add(stretch)
        for viewer in self._watching(item.stream):
            viewer.offer(stretch.packed(item.stream, self.scale))

    def _score(self, item: Look) -> None:
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

    def _watching(self, stream: str) -> Iterable[Viewer]:
        return [viewer for viewer in self.viewers if stream in viewer.streams]

    def _forget(self, stream: str) -> None:
        self.statuses.pop(stream, None)
        self._pictures.pop(stream, None)
