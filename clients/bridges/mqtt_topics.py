"""The topics of the MQTT bridge."""

from dataclasses import dataclass

from glatd.clients.bridges.mqtt_settings import slug


@dataclass(frozen=True, slots=True)
class StreamTopics:
    """Of one stream."""

    base: str  # PREFIX/NODE/STREAM

    @property
    def event(self) -> str:
        """Every event message, as JSON."""
        return f"{self.base}/event"

    @property
    def last(self) -> str:
        """The event that began last."""
        return f"{self.base}/last"

    @property
    def availability(self) -> str:
        """Whether it is listened to."""
        return f"{self.base}/availability"

    @property
    def status(self) -> str:
        """Its status message."""
        return f"{self.base}/status"

    @property
    def level(self) -> str:
        """In dBFS."""
        return f"{self.base}/level"

    @property
    def mute(self) -> str:
        """Whether its audio is thrown away; `/set` behind it for the command."""
        return f"{self.base}/mute"

    def state(self, label: str) -> str:
        """ON while a class sounds."""
        return f"{self.base}/{slug(label)}/state"

    def class_mute(self, label: str) -> str:
        """Whether events of a class are told; `/set` behind it for the command."""
        return f"{self.base}/{slug(label)}/mute"

    def threshold(self, label: str) -> str:
        """The score from which a class is heard; `/set` behind it for the command."""
        return f"{self.base}/{slug(label)}/threshold"


@dataclass(frozen=True, slots=True)
class Topics:
    """Of a bridge."""

    prefix: str
    client_id: str

    @property
    def bridge(self) -> str:
        """Whether the bridge is there; the broker says so where it was killed. No node's name begins so."""
        return f"{self.prefix}/_bridge/{self.client_id}/availability"

    def node(self, node: str) -> str:
        """Whether a node is heard."""
        return f"{self.prefix}/{node}/availability"

    def health(self, node: str) -> str:
        """Its own status message."""
        return f"{self.prefix}/{node}/health"

    def stream(self, node: str, stream: str) -> StreamTopics:
        """Those of a stream."""
        return StreamTopics(f"{self.prefix}/{node}/{stream}")

    @property
    def commands(self) -> tuple[str, ...]:
        """To subscribe to."""
        base = f"{self.prefix}/+/+"
        return f"{base}/mute/set", f"{base}/+/mute/set", f"{base}/+/threshold/set"
