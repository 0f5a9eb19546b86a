"""Events of one node or several, none lost: live ones, and by itself those that were missed while away."""

from collections.abc import Iterator
from types import TracebackType

from glatd.clients.receiving import Receiving
from glatd.clients.waiting import drive
from glatd.messages import Event


class EventStream(Receiving):
    """Events, in the order of each node's journal, without a hole or a repeat. Made, used and closed in one thread.

    >>> with EventStream("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5557", FileCursor("events.cursor")) as events:
    ...     for event in events:  # doctest: +SKIP
    ...         print(event.phase, event.label, event.onset_at)

    It saves the cursor when the next event is asked for, not sooner, and not each time: after a kill the last few
    events come once more (at least once). See `SqliteCursor` for exactly once. What a filter leaves out moves the
    cursor too. `aio.AsyncEventStream` is the same for asyncio.

    Args:
        publish: where the nodes publish, one endpoint or several; or a proxy's.
        catchup: where they answer who was away (`catchup` in glatd.toml), in any order. A node without one is heard
            live only, and what is missed of it is told as lost.
        cursor: where to go on; without one, what `fresh` says.
        stream: glob of the streams that are wanted, or several.
        label: a class or a group of AudioSet's ontology, or several: "Vehicle" brings "Truck".
        phase: "start", "update", "end" or "retract", or several; all when empty.
        least: score that an event has had at its best (`peak`) when it is told, 0 to 1. One that begins below and
            rises is heard from where it does.
        fresh: where a node begins that is not in the cursor: "first" with all that it keeps, "now" with what comes, a
            datetime with the first event that was told then or later; one without a zone is this machine's.
        saves: whether the cursor is saved here; False where the application calls `save` in a transaction of its own.
        lost: told of events that will not come (retention, a journal that was damaged); None writes them to the log.
        timeout: seconds of quiet after which iteration ends; None waits for ever.
        keys: of this client, or the file that holds them; or, where nodes have different ones, these by endpoint.

    Raises:
        ConfigError: an endpoint, label or key that cannot be.
    """

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """The next event that is wanted.

        Raises:
            StopIteration: `stop` was called, or it was quiet for too long.
            ProtocolError: bytes that are no message, or of a newer version.
            ConfigError: a node refuses this client.
        """
        event = drive(self._turns(), self._waiting)
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
