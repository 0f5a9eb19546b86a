"""Events of one node or several, none lost: live ones, and by itself those that were missed while away."""

import fnmatch
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import zmq

from glatd.clients.catchup import FIRST_LOOK_S, Link
from glatd.clients.cursor import Cursor, MemoryCursor, Position
from glatd.clients.joining import Fresh, Joiner, Loss
from glatd.clients.keys import Handshakes, Keys, given_keys, use_keys
from glatd.config import check_port
from glatd.errors import ConfigError, ProtocolError
from glatd.labels import mids_below
from glatd.messages import Event, topic, unpack

RECEIVE_HWM = 10_000  # live events that may wait here; what is dropped beyond is asked for again
LOOK_S = 5.0  # between two looks whether something was missed; the first ones come sooner
AGAIN_S = 0.1  # after an answer that brought nothing on, or a request that could not be sent
SAVE_S = 0.5  # between two savings of the cursor while events keep coming
UNKNOWN_S = 5.0  # that a node whose catch-up has not answered yet is waited for
PATIENCE_S = 10.0  # without an answer, after which the log says so
POLL_S = 1.0  # longest sleep
LONGEST_SECONDS = 1e6

log = logging.getLogger("glatd.clients")


class EventStream:
    """Events, in the order of each node's journal, without a hole or a repeat. Made, used and closed in one thread.

    >>> with EventStream("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5557", FileCursor("events.cursor")) as events:
    ...     for event in events:  # doctest: +SKIP
    ...         print(event.phase, event.label, event.onset_at)

    It saves the cursor when the next event is asked for, not sooner, and not each time: after a kill the last few
    events come once more (at least once). See `SqliteCursor` for exactly once.

    Args:
        publish: where the nodes publish, one endpoint or several; or a proxy's.
        catchup: where they answer who was away (`catchup` in glatd.toml), in any order. A node without one is heard
            live only, and what is missed of it is told as lost.
        cursor: where to go on; without one, what `fresh` says.
        stream: glob of the streams that are wanted.
        label: a class or a group of AudioSet's ontology, or several: "Vehicle" brings "Truck".
        fresh: where a node begins that is not in the cursor: "first" with all that it keeps, "now" with what comes.
        saves: whether the cursor is saved here; False where the application calls `save` in a transaction of its own.
        lost: told of events that will not come (retention, a journal that was damaged); None writes them to the log.
        timeout: seconds of quiet after which iteration ends; None waits for ever.
        keys: of this client, or the file that holds them.

    Raises:
        ConfigError: an endpoint, label or key that cannot be.
    """

    def __init__(
        self,
        publish: str | Sequence[str],
        catchup: str | Sequence[str] = (),
        cursor: Cursor | None = None,
        *,
        stream: str = "*",
        label: str | Sequence[str] = (),
        fresh: Fresh = "first",
        saves: bool = True,
        lost: Callable[[Loss], None] | None = None,
        timeout: float | None = None,
        keys: Keys | Path | str | None = None,
    ) -> None:
        if timeout is not None and not 0 <= timeout <= LONGEST_SECONDS:
            raise ConfigError(f"timeout = {timeout!r} must be seconds from 0 to {LONGEST_SECONDS:g}")
        if fresh not in ("first", "now"):
            raise ConfigError(f'fresh = {fresh!r} must be "first" or "now"')
        self.timeout = timeout
        self._cursor = cursor or MemoryCursor()
        self._stream, self._fresh, self._saves, self._lost = stream, fresh, saves, lost or _log_loss
        labels = (label,) if isinstance(label, str) else tuple(label)
        self._mids = frozenset().union(*map(mids_below, labels)) if labels else None
        self._joiners: dict[str, Joiner] = {}
        self._alone: dict[str, float] = {}  # nodes whose catch-up has not answered: since when, monotonic s
        self._done: dict[str, Position] = {}  # of each node, up to where all was dealt with
        self._unsaved: set[str] = set()
        self._given: tuple[str, Position] | None = None  # what the application has in hand
        self._saved = time.monotonic()
        self._stopped = False
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._handshakes: Handshakes | None = None
        self._links: list[Link] = []
        self._socket = self._context.socket(zmq.SUB)
        try:
            self._connect((publish,) if isinstance(publish, str) else publish, given_keys(keys))
            for endpoint in (catchup,) if isinstance(catchup, str) else catchup:
                wanted = labels[0] if len(labels) == 1 else ""
                self._links.append(Link(self._context, endpoint, given_keys(keys), stream, wanted))
        except BaseException:
            self._close_sockets()
            raise
        self._poller = zmq.Poller()
        self._poller.register(self._woken, zmq.POLLIN)
        self._poller.register(self._socket, zmq.POLLIN)
        for link in self._links:
            self._poller.register(link.socket, zmq.POLLIN)

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
        if self._given is not None:
            self._finish()
        self._save()

    def stop(self) -> None:
        """End the iteration, from any thread or a signal handler."""
        self._stopped = True
        with suppress(OSError):  # closed, or woken already
            self._waker.send(b"\0")

    def close(self) -> None:
        """Save the cursor up to the event before the one that was given last, and close the sockets."""
        try:
            if self._saves:
                self._save()
        finally:
            self._close_sockets()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """The next event that is wanted.

        Raises:
            StopIteration: `stop` was called, or it was quiet for too long.
            ProtocolError: bytes that are no message, or of a newer version.
            ConfigError: a node refuses this client.
        """
        self._finish()
        until = None if self.timeout is None else time.monotonic() + self.timeout
        while not self._stopped:
            event = self._pop()
            if event is not None:
                if self._saves and time.monotonic() - self._saved >= SAVE_S:
                    self._save()
                return event
            if self._saves:
                self._save()
            if until is not None and time.monotonic() >= until:
                break
            self._wait(until)
        if self._saves:
            self._save()
        raise StopIteration

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self, endpoints: Sequence[str], keys: Keys | None) -> None:
        self._socket.rcvhwm, self._socket.linger, self._socket.ipv6 = RECEIVE_HWM, 0, True
        use_keys(self._socket, keys)
        self._socket.subscribe(topic("event"))
        if len(endpoints) == 1:
            self._handshakes = Handshakes(self._socket, endpoints[0], keys)
        for endpoint in endpoints:
            check_port(endpoint)
            try:
                self._socket.connect(endpoint)
            except zmq.ZMQError as error:
                raise ConfigError(
                    f"cannot connect to {endpoint!r}: {error.strerror}; give tcp://HOST:PORT or ipc:///PATH"
                ) from error

    def _close_sockets(self) -> None:
        for link in self._links:
            link.close()
        self._links.clear()
        if self._handshakes is not None:
            self._handshakes.close()
            self._handshakes = None
        self._socket.close()
        self._context.term()
        self._waker.close()
        self._woken.close()

    def _pop(self) -> Event | None:
        """The next wanted event that is ready; losses before it are told."""
        for joiner in self._joiners.values():
            while joiner.ready:
                position, item = joiner.ready.popleft()
                self._given = joiner.node, position
                if isinstance(item, Loss):
                    self._lost(item)
                elif (self._mids is None or item.mid in self._mids) and fnmatch.fnmatchcase(item.stream, self._stream):
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

    def _wait(self, until: float | None) -> None:
        """Ask what is to be asked, and take what comes."""
        now = time.monotonic()
        due = [now + POLL_S, *(self._ask(link, now) for link in self._links)]
        if until is not None:
            due.append(until)
        for node, since in list(self._alone.items()):
            if all(link.node for link in self._links) or now - since > UNKNOWN_S:
                self._joiners[node].unlink()
                del self._alone[node]
            else:
                due.append(since + UNKNOWN_S)
        if any(joiner.ready for joiner in self._joiners.values()):
            return
        came = dict(self._poller.poll(max(0, round(1000 * (min(due) - time.monotonic()))) + 1))
        if self._woken.fileno() in came:
            self._woken.recv(64)
        for link in self._links:
            if link.socket in came:
                self._answer(link)
            link.check()
        if self._handshakes is not None:
            self._handshakes.check()
        for _ in range(RECEIVE_HWM if self._socket in came else 0):
            if not self._socket.poll(0):
                break
            self._receive(self._socket.recv_multipart())

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
        if joiner is None:
            start, events, epoch = 1, False, 0
        else:
            if joiner.wanted() is None and now >= link.look_at:
                joiner.look()
            wanted = joiner.wanted()
            if wanted is None:
                return link.look_at
            (start, events), epoch = wanted, joiner.epoch
        if link.ask(start, epoch, None if events else 0):
            return now + POLL_S
        link.due = now + AGAIN_S
        link.silent += AGAIN_S
        if PATIENCE_S < link.silent < PATIENCE_S + 2 * AGAIN_S:
            link.silent += 2 * AGAIN_S
            log.warning("nobody answers on %s; is that what glatd.toml has under catchup?", link.endpoint)
        return link.due

    def _answer(self, link: Link) -> None:
        """Take a reply."""
        before = link.node
        answer = link.receive()
        now = time.monotonic()
        if answer is None:
            if link.refused:
                log.warning("%s refuses: %s", link.endpoint, link.refused)
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
    if loss.start == loss.stop:
        log.warning("%s: %s; what it has now is heard from its beginning", loss.node, loss.cause)
    else:
        log.warning("%s: events %d to %d are lost: %s", loss.node, loss.start, loss.stop - 1, loss.cause)
