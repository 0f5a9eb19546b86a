"""What the MQTT bridge remembers beside its cursor: which events go on, and what was commanded over MQTT."""

import json
import os
import threading
from pathlib import Path

from glatd.clients.cursor import FileCursor, Position
from glatd.errors import ConfigError, DataError


class Memory:
    """A small JSON file. Any thread may change it; the thread of the cursor saves it.

    Raises:
        DataError: there is a file, and it is none of these.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._changed = False
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            # Of each node: events that go on, as id -> (stream, mid).
            self._going: dict[str, dict[str, tuple[str, str]]] = {
                node: {str(id_): (str(stream), str(mid)) for id_, (stream, mid) in events.items()}
                for node, events in kept["going"].items()
            }
            # What was commanded, by topic: a daemon that starts again is told once more.
            self._commanded: dict[str, str] = {str(topic): str(said) for topic, said in kept["commanded"].items()}
            self.nodes: frozenset[str] = frozenset(map(str, kept["nodes"]))  # that were ever heard
        except FileNotFoundError:
            self._going, self._commanded, self.nodes = {}, {}, frozenset()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(f"cannot read {path} ({type(error).__name__}); delete it to begin anew") from error

    def knows(self, node: str) -> None:
        """A node was heard."""
        with self._lock:
            self._changed |= node not in self.nodes
            self.nodes |= {node}

    def begins(self, node: str, id_: str, stream: str, mid: str) -> None:
        """An event goes on."""
        with self._lock:
            self._going.setdefault(node, {})[id_] = (stream, mid)
            self._changed = True

    def ends(self, node: str, id_: str) -> None:
        """An event goes on no more."""
        with self._lock:
            self._changed |= self._going.get(node, {}).pop(id_, None) is not None

    def forget_events(self, node: str, stream: str = "") -> None:
        """Nothing goes on that is known of, on a node or one of its streams."""
        with self._lock:
            events = self._going.get(node, {})
            self._going[node] = {id_: event for id_, event in events.items() if stream and event[0] != stream}
            self._changed = True

    def sounding(self, node: str, stream: str) -> frozenset[str]:
        """Mids of what goes on."""
        with self._lock:
            return frozenset(mid for of, mid in self._going.get(node, {}).values() if of == stream)

    def command(self, topic: str, payload: str | None) -> None:
        """Remember what was commanded; None forgets it."""
        with self._lock:
            if payload is None:
                self._changed |= self._commanded.pop(topic, None) is not None
            else:
                self._commanded[topic] = payload
                self._changed = True

    def commanded(self, base: str) -> dict[str, str]:
        """What was commanded below a topic."""
        with self._lock:
            return {topic: said for topic, said in self._commanded.items() if topic.startswith(f"{base}/")}

    def save(self) -> None:
        """Write it down, as a whole, if it has changed.

        Raises:
            ConfigError: it cannot be written.
        """
        with self._lock:
            if not self._changed:
                return
            text = json.dumps({"nodes": sorted(self.nodes), "going": self._going, "commanded": self._commanded})
            self._changed = False
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise ConfigError(f"cannot write {self._path}: {error.strerror}; name another cursor") from error


class RememberingCursor(FileCursor):
    """A cursor that is never ahead of the memory: events that come once more change nothing in that."""

    def __init__(self, path: Path, memory: Memory) -> None:
        super().__init__(path)
        self._memory = memory

    def save(self, node: str, position: Position) -> None:
        """Remember both."""
        self._memory.save()
        super().save(node, position)
