"""What stands at the broker: every retained topic and what it says, so that a broker that forgot it is told again."""

import threading
from collections.abc import Callable, Iterable


class Board:
    """Any thread may use it.

    Args:
        publish: a retained message; does nothing while the broker is away.
    """

    def __init__(self, publish: Callable[[str, str], object]) -> None:
        self._publish = publish
        self._lock = threading.Lock()  # held while publishing, so that the last word here is the last one there
        self._stands: dict[str, str] = {}

    def put(self, topic: str, payload: str, again: bool = False) -> None:
        """Have a topic say something; a repeat is sent only if wanted."""
        with self._lock:
            if again or self._stands.get(topic) != payload:
                self._stands[topic] = payload
                self._publish(topic, payload)

    def drop(self, topics: Iterable[str]) -> None:
        """Have topics say nothing more; the broker forgets them."""
        with self._lock:
            for topic in topics:
                self._stands.pop(topic, None)
                self._publish(topic, "")

    def says(self, topic: str) -> str | None:
        """What a topic says."""
        return self._stands.get(topic)

    def repeat(self, topic: str) -> None:
        """Say it again, to whoever thinks that it has changed."""
        with self._lock:
            if topic in self._stands:
                self._publish(topic, self._stands[topic])

    def tell_all(self) -> None:
        """To a broker that has just come, or come back."""
        with self._lock:
            for topic, payload in self._stands.items():
                self._publish(topic, payload)
