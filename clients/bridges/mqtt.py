"""To MQTT: every event as JSON, and what goes on as states, with discovery for Home Assistant."""

import fnmatch
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty

from glatd.clients.bridges.base import Bridge
from glatd.clients.bridges.homeassistant import Discovery
from glatd.clients.bridges.mqtt_board import Board
from glatd.clients.bridges.mqtt_broker import Broker
from glatd.clients.bridges.mqtt_commands import Commands
from glatd.clients.bridges.mqtt_memory import Memory, RememberingCursor
from glatd.clients.bridges.mqtt_picture import Picture, as_json
from glatd.clients.bridges.mqtt_settings import MqttSettings, check_mqtt, read_address
from glatd.clients.bridges.mqtt_topics import Topics
from glatd.clients.cursor import Cursor
from glatd.clients.joining import Loss
from glatd.clients.subscriber import Subscriber
from glatd.errors import GlatdError
from glatd.messages import Event, Unknown

ON_THE_WAY = 100  # events that may wait for the broker's acknowledgement
LOOK_S = 0.5
LEAVE_S = 3.0  # for the last acknowledgements

log = logging.getLogger("glatd.bridge")


@dataclass(slots=True)
class _Sent:
    """An event that the broker has not acknowledged."""

    topic: str
    payload: str
    done: Callable[[], None]
    number: tuple[int, int] = (0, 0)  # generation of the connection, number of the message there


class MqttBridge(Bridge):
    """Events in their order with QoS 1, acknowledged in the cursor once the broker has them; states beside them.

    Raises:
        ConfigError: settings that cannot be, or paho-mqtt is not installed.
    """

    def __init__(self, settings: MqttSettings) -> None:
        check_mqtt(settings)
        super().__init__(settings, "mqtt")
        address = read_address(settings, self.cursor)
        self._topics = Topics(settings.prefix, address.client_id)
        self._discovers = f"{settings.homeassistant}/" if settings.homeassistant else None
        self._broker = Broker(
            address, self._topics.bridge, self._topics.commands if settings.control else (), self._is_up, self._came
        )
        self._board = Board(self._broker.publish)
        self._memory = Memory(self.cursor.with_name(f"{self.cursor.name}.memory"))
        self._commands = Commands(
            settings.control, settings.keys, self._topics, settings.classes, self._board, self._memory
        )
        seconds = settings.level_seconds
        self._picture = Picture(
            self._board,
            self._topics,
            settings.classes,
            seconds,
            self._memory,
            Discovery(settings.homeassistant, self._topics, settings.classes, seconds) if self._discovers else None,
            level=lambda topic, payload: self._broker.publish(topic, payload, qos=0, retain=False),
            look_for=self._broker.subscribe,
            new_session=self._commands.session,
            controlled=self._commands.controls,
        )
        self._sent: OrderedDict[int, _Sent] = OrderedDict()  # by what counts up
        self._count = 0
        self._ears: list[threading.Thread] = []
        self._failed: BaseException | None = None  # of a thread

    def make_cursor(self) -> Cursor:
        """One that the memory of what goes on is never behind."""
        return RememberingCursor(self.cursor, self._memory)

    def open(self) -> None:
        """Connect, and listen to what is said beside events."""
        self._board.put(self._topics.bridge, "online")
        self._broker.start()
        self._commands.start()
        for endpoint in self.settings.publish:
            self._ears.append(threading.Thread(target=self._listen, args=(endpoint,), name="ears", daemon=True))
            self._ears[-1].start()

    def send(self, event: Event, done: Callable[[], None]) -> None:
        """Show it, and hand it to the broker; waits while too much is on the way there."""
        self._picture.event(event)
        self._count += 1
        topic = self._topics.stream(event.node, event.stream).event
        self._sent[self._count] = _Sent(topic, as_json(event), done)
        self._heed(0.0)
        while len(self._sent) >= ON_THE_WAY and not self.stop.is_set():
            self._heed(LOOK_S)
            self._picture.turn()

    def turn(self) -> None:
        """Look after all that waits."""
        self._heed(0.0)
        self._picture.turn()

    def lost(self, loss: Loss) -> None:
        """Say so, and that nothing is known to go on."""
        super().lost(loss)
        self._picture.lost(loss.node)

    def close(self) -> None:
        """Wait a little for what is on its way, and leave."""
        self.stop.set()  # of whatever else listens, where an error ended it
        self._commands.close()
        for _ in range(round(LEAVE_S / LOOK_S)):
            if self._sent and self._broker.is_up:
                self._acknowledge(LOOK_S)
        self._board.put(self._topics.bridge, "offline")
        self._broker.close()
        for ear in self._ears:
            ear.join(LEAVE_S)
        self._memory.save()
        if self._sent:
            log.info("%d events have not reached the broker; they come when the bridge is started again",
                     len(self._sent))  # fmt: skip

    def _heed(self, seconds: float) -> None:
        """Take acknowledgements, for so long at most; send what this connection has not sent, in order.

        Raises:
            GlatdError: the broker or a node refuses this bridge.
        """
        self._broker.check()
        if self._failed is not None:
            raise self._failed
        self._acknowledge(seconds)
        generation = self._broker.generation
        for sent in self._sent.values():
            if sent.number[0] == generation:
                continue
            number = self._broker.publish(sent.topic, sent.payload, retain=False, generation=generation)
            if number is None:
                break  # no later one may overtake it
            sent.number = generation, number

    def _acknowledge(self, seconds: float) -> None:
        numbers = set()
        try:
            numbers.add(self._broker.acknowledged.get(seconds > 0, seconds))
            while True:
                numbers.add(self._broker.acknowledged.get_nowait())
        except Empty:
            pass
        for key in [key for key, sent in self._sent.items() if sent.number in numbers] if numbers else ():
            self._sent.pop(key).done()

    def _is_up(self) -> None:
        self._board.tell_all()
        self._picture.connected()

    def _came(self, topic: str, payload: str, retained: bool) -> None:
        if self._discovers is not None and topic.startswith(self._discovers):
            if retained:  # else it is what was said just now
                self._picture.stands(topic, payload)
        elif not retained:  # a command that the broker kept is not for now
            self._commands.command(topic, payload)

    def _listen(self, endpoint: str) -> None:
        """What a node says beside its events, in a thread of its own."""
        try:
            with Subscriber(endpoint, ["tags", "status", "node"], keys=self.settings.keys or None) as messages:
                self.stop.also(messages.stop)
                for message in messages:
                    if not isinstance(message, Unknown) and self._is_wanted(message.stream):
                        self._picture.take(message)
        except GlatdError as error:
            self._failed = error
        except Exception as error:
            log.exception("what %s publishes cannot be read: %s", endpoint, error)
            self._failed = error

    def _is_wanted(self, stream: str) -> bool:
        return not stream or fnmatch.fnmatchcase(stream, self.settings.stream)
