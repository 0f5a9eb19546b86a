"""Events of one node or several, none lost: what `EventStream` and `AsyncEventStream` share, all but the waiting."""

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import zmq

from glatd.clients.catchup import FIRST_LOOK_S, Link
from glatd.clients.connecting import connect
from glatd.clients.cursor import Cursor, MemoryCursor, Position
from glatd.clients.filters import several, wanted
from glatd.clients.joining import Fresh, Joiner, Loss
from glatd.clients.keys import Handshakes, Keys, keys_for, use_keys
from glatd.clients.waiting import Waiting, check_timeout
from glatd.errors import ConfigError, ProtocolError
from glatd.messages import Event, topic, unpack

RECEIVE_HWM = 10_000  # live events that may wait here; what is dropped beyond is asked for again
MOST_TAKEN = 1000  # live events a turn; an asyncio loop must not stand still for longer than they take
LOOK_S = 5.0  # between two looks whether something was missed; the first ones come sooner
AGAIN_S = 0.1  # after an answer that brought nothing on, or a request that could not be sent
SAVE_S = 0.5  # between two savings of the cursor
UNKNOWN_S = 5.0  # that a node whose catch-up has not answered yet is waited for
PATIENCE_S = 10.0  # without an answer, after which the log says so
POLL_S = 1.0  # longest sleep

KeysOf = Keys | Path | str | Mapping[str, Keys | Path | str | None] | None  # of this client, for all endpoints or each

log = logging.getLogger("glatd.clients")


class Receiving:
    """Sockets, joiners and books. Its arguments are those of `EventStream`."""

    def __init__(
        self,
        publish: str | Sequence[str],
        catchup: str | Sequence[str] = (),
        cursor: Cursor | None = None,
        *,
        stream: str | Sequence[str] = "*",
        label: str | Sequence[str] = (),
        phase: str | Sequence[str] = (),
        least: float = 0.0,
        fresh: Fresh = "first",
        saves: bool = True,
        lost: Callable[[Loss], None] | None = None,
        timeout: float | None = None,
        keys: KeysOf = None,
    ) -> None:
        check_timeout(timeout)
        if fresh not in ("first", "now") and not isinstance(fresh, datetime):
            raise ConfigError(f'fresh = {fresh!r} must be "first", "now" or a datetime')
        self.timeout = timeout
        self._wanted = wanted(stream, label, phase, least)
        self._cursor = cursor or MemoryCursor()
        self._fresh, self._saves, self._lost = fresh, saves, lost or _log_loss
        self._joiners: dict[str, Joiner] = {}
        self._alone: dict[str, float] = {}  # nodes whose catch-up has not answered: since when, monotonic s
        self._done: dict[str, Position] = {}  # of each node, up to where all was dealt with
        self._unsaved: set[str] = set()
        self._given: tuple[str, Position] | None = None  # what the application has in hand
        self._saved = 0.0  # monotonic s
        self._stopped = False
        self._waiting = Waiting()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._handshakes: Handshakes | None = None
        self._links: list[Link] = []
        self._socket = self._context.socket(zmq.SUB)
        try:
            self._connect(several(publish), keys)
            for endpoint in several(catchup):
                self._link(endpoint, keys_for(keys, endpoint))
        except BaseException:
            self._close_sockets()
            raise

    @property
    def repeats(self) -> int:
        """Events that came more than once and were dropped."""
        return sum(joiner.repeats for joiner in self._joiners.values())

    def position(self, node: str) -> Position | None:
        """Where a node stands with the event that was given last, or before; None for one that is new."""
        if self._given is not None and self._given[0] == node:
            return self._given[1]
        return self._done.get(node) or self._cursor.load(node)

    def save(self) -> None:
        """Save the cursor, the event that was given last included: it has been dealt with."""
        self._finish()
        self._save()

    def stop(self) -> None:
        """End the iteration, from any thread or a signal handler."""
        self._stopped = True
        self._waiting.wake()

    def close(self) -> None:
        """Save the cursor up to the event before the one that was given last, and close the sockets."""
        try:
            if self._saves:
                self._save()
        finally:
            self._close_sockets()

    def _turns(self) -> Generator[float, None, Event | None]:
        """Until there is a wanted event, or None at the end: seconds for which to wait before the next turn.

        It can be left at any of them: what has come is kept for the next call.
        """
        self._finish()
        until = None if self.timeout is None else time.monotonic() + self.timeout
        while not self._stopped:
            event = self._pop()
            due = self._save_in_time() if self._saves else float("inf")
            if event is not None:
                return event
            now = time.monotonic()
            if until is not None:
                if now >= until:
                    break
                due = min(due, until)
            due = min(due, self._ask_all(now))
            if not self._is_ready():
                yield max(0.0, due - time.monotonic())
            self._take()
        if self._saves:
            self._save()
        return None

    def _connect(self, endpoints: Sequence[str], keys: KeysOf) -> None:
        self._socket.rcvhwm, self._socket.linger, self._socket.ipv6 = RECEIVE_HWM, 0, True
        self._socket.subscribe(topic("event"))
        if len(endpoints) == 1:
            self._handshakes = Handshakes(self._socket, endpoints[0], keys_for(keys, endpoints[0]))
            self._waiting.add(self._handshakes.monitor)
        for endpoint in endpoints:
            self._socket.curve_server = False  # without keys, whatever the endpoint before asked for
            use_keys(self._socket, keys_for(keys, endpoint))
            connect(self._socket, endpoint)
        self._waiting.add(self._socket)

    def _link(self, endpoint: str, keys: Keys | None) -> None:
        """What the node can leave out by itself need not travel."""
        streams, labels = self._wanted.streams, self._wanted.labels
        stream, label = streams[0] if len(streams) == 1 else "*", labels[0] if len(labels) == 1 else ""
        link = Link(self._context, endpoint, keys, stream, label)
        self._links.append(link)
        self._waiting.add(link.socket, link.monitor)

    def _close_sockets(self) -> None:
        self._waiting.close()
        for link in self._links:
            link.close()
        self._links.clear()
        if self._handshakes is not None:
            self._handshakes.close()
            self._handshakes = None
        self._socket.close()
        self._context.term()

    def _pop(self) -> Event | None:
        """The next wanted event that is ready; losses before it are told, and what is not wanted is done with."""
        for joiner in self._joiners.values():
            while joiner.ready:
                position, item = joiner.ready.popleft()
                self._given = joiner.node, position
                if isinstance(item, Loss):
                    self._lost(item)
                elif item is not None and self._wanted.event(item):
                    return item
                self._finish()
        return None

    def _finish(self) -> None:
        """What was given has been dealt with."""
        if self._given is not None:
            node, self._done[node] = self._given
            self._unsaved.add(node)
            self._given = None

    def _save(self) -> None:
        self._saved = time.monotonic()
        for node in self._unsaved:
            self._cursor.save(node, self._done[node])
        self._unsaved.clear()

    def _save_in_time(self) -> float:
        """Save the cursor, unless it was just now; when to come back for it (monotonic s)."""
        if not self._unsaved:
            return float("inf")
        due = self._saved + SAVE_S
        if time.monotonic() < due:
            return due
        self._save()
        return float("inf")

    def _is_ready(self) -> bool:
        return any(joiner.ready for joiner in self._joiners.values())

    def _ask_all(self, now: float) -> float:
        """Ask what is to be asked; when to come back (monotonic s)."""
        due = [now + POLL_S, *(self._ask(link, now) for link in self._links)]
        for node, since in list(self._alone.items()):
            if all(link.node for link in self._links) or now - since > UNKNOWN_S:
                self._joiners[node].unlink()
                del self._alone[node]
            else:
                due.append(since + UNKNOWN_S)
        return min(due)

    def _take(self) -> None:
        """Take what has come, and look whether a node refuses this client."""
        for link in self._links:
            self._answer(link)
            link.check()
        if self._handshakes is not None:
            self._handshakes.check()
        for _ in range(MOST_TAKEN):
            try:
                parts = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            self._receive(parts)

    def _receive(self, parts: list[bytes]) -> None:
        if len(parts) != 2:
            raise ProtocolError(f"a message of {len(parts)} frames, not topic and payload; is this a glatd endpoint?")
        message = unpack(parts[1])
        if isinstance(message, Event):
            self._joiner(message.node).live(message)

    def _joiner(self, node: str) -> Joiner:
        if node not in self._joiners:
            linked = any(link.node in ("", node) for link in self._links)
            self._joiners[node] = Joiner(node, self._cursor.load(node), self._fresh, linked)
            if linked and all(link.node != node for link in self._links):
                self._alone[node] = time.monotonic()
        return self._joiners[node]

    def _ask(self, link: Link, now: float) -> float:
        """Ask a node if there is something to ask; when to come back (monotonic s)."""
        joiner = self._joiners.get(link.node)
        if joiner is not None and link.waits and link.epoch != joiner.epoch:
            link.forget()  # the daemon was started again since
            link.pause = FIRST_LOOK_S
        if link.waits or now < link.due:
            return now + POLL_S if link.waits else link.due
        start, epoch = 1, 0
        limit: int | None = 0
        if joiner is not None:
            if joiner.wanted() is None and now >= link.look_at:
                joiner.look()
            asks = joiner.wanted()
            if asks is None:
                return link.look_at
            (start, limit), epoch = asks, joiner.epoch
        if link.ask(start, epoch, limit):
            return now + POLL_S
        link.due = now + AGAIN_S
        link.silent += AGAIN_S
        if PATIENCE_S < link.silent < PATIENCE_S + 2 * AGAIN_S:
            link.silent += 2 * AGAIN_S
            log.warning("nobody answers on %s; is that what glatd.toml has under catchup?", link.endpoint)
        return link.due

    def _answer(self, link: Link) -> None:
        """Take a reply, if one has come."""
        before = link.node
        answer = link.receive()
        now = time.monotonic()
        if answer is None:
            return
        if isinstance(answer, str):
            log.warning("%s refuses: %s", link.endpoint, answer)
            link.due = now + LOOK_S
            return
        reply, asked, epoch = answer
        known = reply.node in self._joiners
        joiner = self._joiner(reply.node)
        if self._alone.pop(reply.node, None) is not None or (known and not joiner.linked):
            joiner.link()
        if joiner.new or before == reply.node:
            joiner.reply(reply, asked, epoch)
        if joiner.wanted() is None:
            link.look_at, link.pause = now + link.pause, min(LOOK_S, 2 * link.pause)
        elif not reply.events and reply.next <= asked:
            link.due = now + AGAIN_S


def _log_loss(loss: Loss) -> None:
    log.warning("%s", loss)
