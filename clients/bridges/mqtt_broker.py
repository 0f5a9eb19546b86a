"""The connection to an MQTT broker: kept up, and given up where the broker says that it will never be.

Each connection has a client of its own: paho's would send again what it still had from the one before, after what is
true by now. What has to arrive is repeated by whoever sent it, when `generation` has changed.
"""

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from glatd.clients.bridges.base import Away, Patience
from glatd.clients.bridges.mqtt_settings import Address
from glatd.errors import ConfigError

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 30  # after which, and half as much, a broker that has vanished is noticed, and the bridge by it
ANSWER_S = 15.0  # for the broker to let us in
LEAVE_S = 3.0
# Reasons of MQTT 5 that trying again does not mend: who we are, what we speak, what we may.
FOR_EVER = frozenset({129, 130, 132, 133, 134, 135, 138, 140, 144, 154, 155})

log = logging.getLogger("glatd.bridge")


class Broker:
    """Connects in a thread of its own, again and again, from `start` to `close`.

    Args:
        will: topic that says "offline" when this process is gone without a word, retained.
        commands: topics to hear.
        on_up: called in a thread of paho's whenever there is a connection.
        on_message: called in that thread with topic, payload, and whether it was retained.

    Attributes:
        generation: of the connection, from 1; another one means that what was not acknowledged is to be sent again.
        acknowledged: (generation, number of the message) of each message of QoS 1 that the broker has.

    Raises:
        ConfigError: files of certificates that cannot be used, or paho-mqtt is not installed.
    """

    def __init__(
        self,
        address: Address,
        will: str,
        commands: Sequence[str],
        on_up: Callable[[], None],
        on_message: Callable[[str, str, bool], None],
    ) -> None:
        try:
            import paho.mqtt.client as paho
        except ImportError as error:
            raise ConfigError(f"the bridge needs paho-mqtt ({error}); pip install 'glatd[mqtt]'") from error
        self._paho = paho
        self.address, self._will, self._commands = address, will, commands
        self._on_up, self._on_message = on_up, on_message
        self._tls = make_tls(address)
        self.generation = 0
        self.acknowledged: SimpleQueue[tuple[int, int]] = SimpleQueue()
        self._up: tuple[int, Client] | None = None  # the connection, with its generation
        self._reason = ""  # why the connection ended
        self._refused: ConfigError | None = None
        self._gone, self._closing = threading.Event(), threading.Event()
        self._patience = Patience(f"the broker {address.shown}")
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    @property
    def is_up(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._up is not None

    def start(self) -> None:
        """Connect."""
        self._thread.start()

    def check(self) -> None:
        """Raise what ended it.

        Raises:
            ConfigError: the broker will never let this client in, or take what it says.
        """
        if self._refused is not None:
            raise self._refused

    def publish(
        self, topic: str, payload: str, qos: int = 1, retain: bool = True, generation: int | None = None
    ) -> int | None:
        """Send a message, by the connection of this generation alone if one is given; its number there, or None where
        it could not be sent."""
        up = self._up
        if up is None or generation not in (None, up[0]):
            return None
        info = up[1].publish(topic, payload.encode(), qos, retain)
        return info.mid if info.rc == self._paho.MQTT_ERR_SUCCESS else None

    def subscribe(self, topic: str) -> None:
        """Hear one more topic, of this connection only."""
        if (up := self._up) is not None:
            up[1].subscribe(topic, 1)

    def close(self) -> None:
        """Leave; the broker does not tell the will."""
        self._closing.set()
        if (up := self._up) is not None:
            up[1].disconnect()
            self._gone.wait(LEAVE_S)
        if self._thread.ident is not None:
            self._thread.join(LEAVE_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._connect_once()
            except Away as error:
                if not self._closing.is_set():
                    self._closing.wait(self._patience.failed(str(error)))
            except ConfigError as error:
                self._refused = error
                return
            except Exception as error:  # of a library; the bridge must not live on without a broker
                log.exception("the connection to %s failed: %s", self.address.shown, error)
                self._refused = ConfigError(f"{self.address.shown}: {type(error).__name__}: {error}; see the log")
                return

    def _connect_once(self) -> None:
        """One connection, from its beginning to its end.

        Raises:
            Away: how it ended.
            ConfigError: it will never work.
        """
        where = self.address
        client = self._make_client()
        self._gone.clear()
        self._reason = ""
        try:
            client.connect(where.host, where.port, KEEPALIVE_S)
        except ssl.SSLCertVerificationError as error:
            raise ConfigError(
                f"{where.shown} has a certificate that is not trusted: {error.verify_message}; "
                "give who signed it (--ca FILE), and the host by the name that it is made out to"
            ) from error
        except OSError as error:
            raise Away(str(error.strerror or error)) from error
        except ValueError as error:
            raise ConfigError(f"{where.shown}: {error}; check the address") from error
        client.loop_start()
        try:
            if not self._gone.wait(ANSWER_S) and self._up is None:
                client.disconnect()
                raise Away(f"no answer to the connection within {ANSWER_S:g} s")
            self._gone.wait()
        finally:
            self._up = None
        client.loop_stop()  # its thread has ended
        if self._refused is not None:
            raise self._refused
        raise Away(self._reason)

    def _make_client(self) -> "Client":
        paho, where = self._paho, self.address
        client: Client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            where.client_id,
            clean_session=None if where.five else True,
            protocol=paho.MQTTv5 if where.five else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        if where.user:
            client.username_pw_set(where.user, where.password or None)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.will_set(self._will, "offline", 1, True)
        client.on_connect, client.on_disconnect = self._answered, self._ended
        client.on_publish, client.on_subscribe, client.on_message = self._taken, self._subscribed, self._came
        return client

    # In paho's thread; an exception there would end it, so these raise none.

    def _answered(self, client: "Client", _: Any, flags: Any, reason: "ReasonCode", properties: Any) -> None:
        if reason.is_failure:
            self._judge(reason, f"{self.address.shown} refuses {self._who}", "check user, password and client id")
            client.disconnect()
            return
        self.generation += 1
        self._up = self.generation, client
        if self._commands:
            client.subscribe([(topic, 1) for topic in self._commands])
        self._on_up()
        self._patience.worked()

    def _ended(self, client: "Client", _: Any, flags: Any, reason: "ReasonCode", properties: Any) -> None:
        self._up = None
        self._reason = self._reason or f"the connection was lost ({reason})"
        self._gone.set()

    def _taken(self, client: "Client", _: Any, number: int, reason: "ReasonCode", properties: Any) -> None:
        if reason.is_failure:
            self._judge(reason, f"{self.address.shown} does not let {self._who} publish", "allow it in the broker")
            client.disconnect()
        else:
            self.acknowledged.put((self.generation, number))

    def _subscribed(
        self, client: "Client", _: Any, number: int, reasons: "Sequence[ReasonCode]", properties: Any
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._judge(reason, f"{self.address.shown} lets {self._who} hear no commands", "allow it in the broker")
                client.disconnect()

    def _came(self, client: "Client", _: Any, message: Any) -> None:
        try:
            payload = message.payload.decode()
        except UnicodeDecodeError:
            return  # nothing that is asked for here
        self._on_message(message.topic, payload, message.retain)

    @property
    def _who(self) -> str:
        return repr(self.address.user) if self.address.user else "a client without a user"

    def _judge(self, reason: "ReasonCode", what: str, remedy: str) -> None:
        if reason.value in FOR_EVER:
            if reason.value == 132:
                remedy = "another version of MQTT may do (--protocol 3.1.1)"
            self._refused = ConfigError(f"{what}: {reason}; {remedy}")
        self._reason = f"{what}: {reason}"


def make_tls(address: Address) -> ssl.SSLContext | None:
    """How to recognize the broker; None without TLS.

    Raises:
        ConfigError: a file that cannot be used.
    """
    if not address.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=address.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot use ca = {address.ca!r}: {error.strerror or error}; give a file of PEM") from error
    if address.cert:
        try:
            context.load_cert_chain(address.cert, address.cert_key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"cannot use cert = {address.cert!r} with its key: {error.strerror or error}; give files of PEM"
            ) from error
    return context
