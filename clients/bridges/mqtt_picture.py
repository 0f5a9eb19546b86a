"""What the MQTT bridge shows of nodes and streams, made of their messages: states, levels, availability, discovery."""

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from glatd.clients.bridges.homeassistant import Discovery
from glatd.clients.bridges.mqtt_board import Board
from glatd.clients.bridges.mqtt_memory import Memory
from glatd.clients.bridges.mqtt_topics import StreamTopics, Topics
from glatd.labels import mids_below
from glatd.messages import Event, Message, Node, Status, Tags, to_map

HEARD = ("live", "silent")  # states in which a stream is listened to
OVER = ("ended", "failed", "stopped")
RECENT_S = 60.0  # an event that is older is no news: only what is left of all such is shown
QUIET_S = 30.0  # without a message, after which a node is away; longer where its own messages come seldom
GRACE_S = 60.0  # for a node to tell of all its streams, after which one that it does not is gone

log = logging.getLogger("glatd.bridge")


@dataclass(slots=True)
class _Stream:
    """What is known of a stream."""

    topics: StreamTopics
    power: float = 0.0  # sum of the mean squares of windows
    windows: int = 0  # that it is the sum of
    told: float = 0.0  # monotonic s of its last level


@dataclass(slots=True)
class _Node:
    """What is known of a node."""

    session: str
    since: float  # monotonic s, of the session's first message
    heard: float  # monotonic s, of the last message
    said: float = 0.0  # monotonic s, of its own last message
    pause: float = 0.0  # s between two of these
    settled: bool = False  # whether it had the time to tell of all streams
    streams: dict[str, _Stream] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)  # streams that were told of in this session
    old: set[str] = field(default_factory=set)  # discovery messages that stand at the broker, and may be out of date


class Picture:
    """Any thread may tell it what has come.

    Args:
        level: publishes a level, which is not kept: topic, payload.
        discovery: None without Home Assistant.
        look_for: has the broker tell what stands below a topic, to `stands`.
        new_session: told of a node's streams whenever the daemon has started, and of a new stream: node, stream.
    """

    def __init__(
        self,
        board: Board,
        topics: Topics,
        classes: tuple[str, ...],
        level_seconds: float,
        memory: Memory,
        discovery: Discovery | None,
        level: Callable[[str, str], object],
        look_for: Callable[[str], None],
        new_session: Callable[[str, str], None],
        controlled: Callable[[str], bool],
    ) -> None:
        self._board, self._topics, self._memory, self._discovery = board, topics, memory, discovery
        self._classes = {label: mids_below(label) for label in classes}
        self._level_seconds, self._level = level_seconds, level
        self._look_for, self._new_session, self._controlled = look_for, new_session, controlled
        self._lock = threading.RLock()
        self._nodes: dict[str, _Node] = {}
        for node in memory.nodes:  # until it is heard
            board.put(topics.node(node), "offline")
        self._last: dict[tuple[str, str], str] = {}  # the event of a stream that began last
        self._late: set[tuple[str, str]] = set()  # streams whose states are to be shown

    def take(self, message: Message) -> None:
        """A message that was published live; events come by `event` alone."""
        with self._lock:
            node = self._node(message)
            if isinstance(message, Node):
                now = time.monotonic()
                node.pause, node.said = now - node.said if node.said else 0.0, now
                self._board.put(self._topics.health(message.node), as_json(message))
            elif isinstance(message, Status):
                self._status(node, message)
            elif isinstance(message, Tags):
                self._tags(self._stream(node, message.node, message.stream), message)

    def event(self, event: Event) -> None:
        """An event, in its order."""
        with self._lock:
            if event.phase in ("end", "retract"):
                self._memory.ends(event.node, event.id)
            else:
                self._memory.begins(event.node, event.id, event.stream, event.mid)
            if event.phase == "start":
                self._last[event.node, event.stream] = as_json(event)
            if is_recent(event.time):
                self._show(event.node, event.stream)
            else:
                self._late.add((event.node, event.stream))

    def lost(self, node: str) -> None:
        """Events of a node will not come; what began before may have ended with them."""
        with self._lock:
            self._memory.forget_events(node)
            self._late |= {(node, stream) for stream in self._nodes[node].streams} if node in self._nodes else set()

    def turn(self) -> None:
        """Show what time alone changes; about once a second."""
        with self._lock:
            now = time.monotonic()
            for of, stream in self._late:
                self._show(of, stream)
            self._late.clear()
            for name, node in self._nodes.items():
                quiet = max(QUIET_S, 3 * node.pause)
                self._board.put(self._topics.node(name), "online" if now - node.heard < quiet else "offline")
                if not node.settled and node.heard - node.since > GRACE_S:
                    node.settled = True
                    self._forget_old(name, node)

    def connected(self) -> None:
        """There is a new connection to the broker: it is asked again what it has."""
        with self._lock:
            if self._discovery is not None:
                for name in self._nodes:
                    self._look_for(self._discovery.filter(name))

    def stands(self, topic: str, payload: str) -> None:
        """What the broker had kept; it may be of a stream or class that is no more."""
        if self._discovery is None or not payload or not self._discovery.is_ours(payload):
            return
        with self._lock:
            for name, node in self._nodes.items():
                if topic.split("/")[-3] == self._discovery.filter(name).split("/")[-3]:
                    node.old.add(topic)
                    if node.settled:
                        self._forget_old(name, node)

    def _node(self, message: Message) -> _Node:
        now = time.monotonic()
        node = self._nodes.get(message.node)
        if node is None:
            node = self._nodes[message.node] = _Node(message.session, now, now)
            self._memory.knows(message.node)
            if self._discovery is not None:
                for topic, payload in self._discovery.node(message.node).items():
                    self._board.put(topic, payload)
                self._look_for(self._discovery.filter(message.node))
            self._board.put(self._topics.node(message.node), "online")
        elif node.session != message.session:
            node.session, node.since, node.settled = message.session, now, False
            node.said = node.pause = 0.0
            node.fresh.clear()
            for stream in node.streams:
                self._new_session(message.node, stream)
        if now - node.heard > QUIET_S:
            self._board.put(self._topics.node(message.node), "online")
        node.heard = now
        return node

    def _stream(self, node: _Node, name: str, stream: str) -> _Stream:
        node.fresh.add(stream)
        if stream not in node.streams:
            node.streams[stream] = found = _Stream(self._topics.stream(name, stream))
            for topic, payload in self._discovered(name, stream).items():
                self._board.put(topic, payload)
            self._board.put(found.topics.mute, "OFF")
            self._show(name, stream)
            self._new_session(name, stream)
        return node.streams[stream]

    def _status(self, node: _Node, status: Status) -> None:
        if status.state == "ended" and status.reason == "removed":
            self._forget(status.node, node, status.stream)
            return
        topics = self._stream(node, status.node, status.stream).topics
        self._board.put(topics.status, as_json(status))
        self._board.put(topics.availability, "online" if status.state in HEARD else "offline")
        if status.state not in OVER:
            self._board.put(topics.mute, "ON" if status.state == "muted" else "OFF")

    def _tags(self, stream: _Stream, tags: Tags) -> None:
        if self._board.says(stream.topics.availability) is None:  # it was live before the bridge was
            self._board.put(stream.topics.availability, "online")
        stream.power += 10 ** (tags.level_dbfs / 10)
        stream.windows += 1
        now = time.monotonic()
        if now - stream.told >= self._level_seconds:
            self._level(stream.topics.level, f"{10 * math.log10(stream.power / stream.windows):.1f}")
            stream.told, stream.power, stream.windows = now, 0.0, 0

    def _show(self, name: str, stream: str) -> None:
        """The states of its classes, and its last sound. Of a stream that is not there only its events are told."""
        node = self._nodes.get(name)
        if node is None or stream not in node.streams:
            return
        if (last := self._last.get((name, stream))) is not None:
            self._board.put(node.streams[stream].topics.last, last)
        sounding = self._memory.sounding(name, stream)
        for label, mids in self._classes.items():
            self._board.put(node.streams[stream].topics.state(label), "ON" if sounding & mids else "OFF")

    def _discovered(self, name: str, stream: str) -> dict[str, str]:
        return self._discovery.stream(name, stream, self._controlled(name)) if self._discovery is not None else {}

    def _forget(self, name: str, node: _Node, stream: str) -> None:
        """A stream is no more: nothing of it stays."""
        if node.streams.pop(stream, None) is None:
            return
        node.fresh.discard(stream)
        topics = self._topics.stream(name, stream)
        self._last.pop((name, stream), None)
        self._memory.forget_events(name, stream)
        for topic in self._memory.commanded(topics.base):
            self._memory.command(topic, None)
        self._board.drop([*self._discovered(name, stream), *self._retained(topics)])
        log.info("%s: the stream %s is no more; it is taken away", name, stream, extra={"stream": stream})

    def _retained(self, topics: StreamTopics) -> list[str]:
        of_all = [topics.availability, topics.status, topics.mute, topics.last]
        of_each = [
            make(label) for label in self._classes for make in (topics.state, topics.class_mute, topics.threshold)
        ]
        return of_all + of_each

    def _forget_old(self, name: str, node: _Node) -> None:
        """Take away what an earlier run of the bridge or the node has left."""
        for stream in set(node.streams) - node.fresh:
            self._forget(name, node, stream)
        if self._discovery is None or not node.old:
            return
        wanted = {topic for stream in node.streams for topic in self._discovered(name, stream)}
        gone = node.old - wanted - set(self._discovery.node(name))
        node.old.clear()
        self._board.drop(gone)


def as_json(message: Message) -> str:
    """A message as the daemon says it, on one line."""
    return json.dumps(to_map(message), ensure_ascii=False, separators=(",", ":"))


def is_recent(when: str) -> bool:
    """Whether a time in a message is about now, by this machine's clock."""
    try:
        return abs(time.time() - datetime.fromisoformat(when).timestamp()) < RECENT_S
    except ValueError:
        return False
