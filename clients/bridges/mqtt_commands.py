"""Switches and numbers of the MQTT bridge: what is commanded over MQTT, done through the nodes' control sockets."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from glatd.clients.bridges.mqtt_board import Board
from glatd.clients.bridges.mqtt_memory import Memory
from glatd.clients.bridges.mqtt_settings import slug
from glatd.clients.bridges.mqtt_topics import Topics
from glatd.clients.control import ask
from glatd.errors import ConfigError, GlatdError

MOST_WAITING = 1000  # commands; whoever sends more than that at once is not answered
ANSWER_S = 15.0
AGAIN_S = 5.0  # after a node could not be told what was commanded before it started
TRIES = 60

log = logging.getLogger("glatd.bridge")


class Commands:
    """Works in a thread of its own, one command after the other, since a node may take its time to answer.

    Args:
        endpoints: control sockets; each is asked which node it is of.
        keys: the file of this client's keys; "" for none.
    """

    def __init__(
        self, endpoints: Sequence[str], keys: str, topics: Topics, classes: Sequence[str], board: Board, memory: Memory
    ) -> None:
        self._endpoints, self._keys, self._topics = endpoints, keys or None, topics
        self._classes = {slug(label): label for label in classes}
        self._board, self._memory = board, memory
        self._of: dict[str, str] = {}  # endpoint of each node
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST_WAITING)
        self._again: dict[tuple[str, str], tuple[float, int]] = {}  # streams to tell: when (monotonic s), tries left
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Do no more."""
        try:
            self._jobs.put_nowait(None)
        except queue.Full:
            return  # the thread ends with the process

    def controls(self, node: str) -> bool:
        """Whether there is, or may be, a control socket of a node."""
        return node in self._of or len(self._of) < len(self._endpoints)

    def command(self, topic: str, payload: str) -> None:
        """What was sent to a command's topic; from any thread."""
        self._put(partial(self._obey, topic.removesuffix("/set"), payload))

    def session(self, node: str, stream: str) -> None:
        """A daemon has started, or a stream has come: tell it what was commanded, and show what holds."""
        if self._endpoints:
            self._put(partial(self._begin, node, stream))

    def _put(self, job: Callable[[], None]) -> None:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            log.warning("more than %d commands wait; one is left out", MOST_WAITING)

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=AGAIN_S)
            except queue.Empty:
                job = self._retry
            if job is None:
                return
            try:
                job()
            except Exception as error:  # one command must not end the others
                log.exception("a command failed: %s", error)

    def _begin(self, node: str, stream: str, tries: int = TRIES) -> None:
        """Tell a stream what was commanded; once more after a while, where its node is too busy to listen."""
        try:
            self._restore(node, stream)
        except GlatdError as error:
            log.warning("%s, stream %s: %s", node, stream, error)
            self._again[node, stream] = time.monotonic() + AGAIN_S, tries - 1
        else:
            self._again.pop((node, stream), None)

    def _retry(self) -> None:
        now = time.monotonic()
        for (node, stream), (when, tries) in list(self._again.items()):
            if not tries:
                del self._again[node, stream]
            elif when <= now:
                self._begin(node, stream, tries)

    def _obey(self, topic: str, payload: str) -> None:
        """Do what was commanded, or show again what holds."""
        try:
            self._do(topic, payload)
        except GlatdError as error:
            log.warning("%s cannot be set to %s: %s", topic, ascii(payload[:40]), error)
            self._board.repeat(topic)
        else:
            self._memory.command(topic, payload)

    def _restore(self, node: str, stream: str) -> None:
        """Raises: GlatdError: the node does not do it, now or ever."""
        topics = self._topics.stream(node, stream)
        for topic, payload in self._memory.commanded(topics.base).items():
            log.info("%s: %s as it was commanded before", topic, payload)
            self._do(topic, payload)
        for label in self._classes.values():
            self._show(node, stream, label, self._ask(node, "rules", stream=stream, label=label))

    def _do(self, topic: str, payload: str) -> None:
        """Raises: GlatdError: it cannot be done, and why."""
        node, stream, *rest = topic.removeprefix(f"{self._topics.prefix}/").split("/")
        if rest == ["mute"]:
            self._ask(node, "mute" if _switched(payload) else "unmute", stream=stream)
            self._board.put(topic, payload, again=True)
            return
        label = self._classes.get(rest[0])
        if label is None:
            raise ConfigError(f"there is no class {rest[0]!r} here; the bridge has: {', '.join(self._classes)}")
        if rest[1:] == ["mute"]:
            key, value = "publish", "false" if _switched(payload) else "true"
        else:
            key, value = "on", repr(_score(payload))
        self._show(node, stream, label, self._ask(node, "set", stream=stream, label=label, key=key, value=value))

    def _show(self, node: str, stream: str, label: str, rules: dict[str, object]) -> None:
        topics = self._topics.stream(node, stream)
        self._board.put(topics.class_mute(label), "OFF" if rules["publish"] else "ON", again=True)
        self._board.put(topics.threshold(label), f"{rules['on']}", again=True)

    def _ask(self, node: str, do: str, **values: str) -> dict[str, object]:
        if node not in self._of:
            for endpoint in self._endpoints:
                try:
                    self._of[str(ask(endpoint, "version", timeout=ANSWER_S, keys=self._keys)["node"])] = endpoint
                except GlatdError as error:
                    log.warning("%s", error)
        if node not in self._of:
            raise ConfigError(f"no control socket of {node} is known; give it as --control")
        return ask(self._of[node], do, timeout=ANSWER_S, keys=self._keys, **values)


def _switched(payload: str) -> bool:
    if payload not in ("ON", "OFF"):
        raise ConfigError("it is ON or OFF")
    return payload == "ON"


def _score(payload: str) -> float:
    try:
        score = float(payload)
    except ValueError:
        score = 0.0
    if not 0 < score <= 1:
        raise ConfigError("it is a score above 0 and up to 1")
    return score
