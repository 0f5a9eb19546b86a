"""One browser that looks: what it watches, and what waits to be sent to it. In the dashboard's thread."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket

from glatd.daemon.web.asking import Refused, parse

MOST_WAITING = 400  # messages; beyond, this viewer loses, and is told so
MOST_PICTURES = 100  # that wait, from which on spectrograms are left out: they are drawn too late anyway
MOST_STREAMS = 512  # watched
MOST_LABELS = 64
LONGEST_NAME = 200
AGAIN = 1012  # code of a close: come again


class Viewer:
    """Has its own queue, so that a slow one keeps nobody waiting.

    Attributes:
        streams, labels: that it watches.
        missed: messages that it was too slow for, and has not been told of.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._waiting: deque[str | bytes] = deque()
        self._came = asyncio.Event()
        self.streams: frozenset[str] = frozenset()
        self.labels: tuple[str, ...] = ()
        self.missed = 0
        self._leaving = False

    def offer(self, message: str | bytes) -> None:
        """Have something sent, if there is room; text is JSON, bytes are a spectrogram."""
        if len(self._waiting) >= (MOST_PICTURES if isinstance(message, bytes) else MOST_WAITING):
            self.missed += 1
            return
        if self.missed and len(self._waiting) < MOST_PICTURES:
            self._waiting.append(json.dumps({"type": "missed", "count": self.missed}))
            self.missed = 0
        self._waiting.append(message)
        self._came.set()

    def hang_up(self) -> None:
        """Have it come again, once what waits has been sent."""
        self._leaving = True
        self._came.set()

    def greet(self, hello: str) -> None:
        """Have something sent before all else."""
        self._waiting.appendleft(hello)
        self._came.set()

    async def send(self) -> None:
        """Send what is offered, for as long as the connection stands."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                message = self._waiting.popleft()
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_text(message)
            if self._leaving:
                await self._socket.close(AGAIN, "another engine has taken over")
                return


def read_watch(text: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """The streams and labels of `{"watch": {"streams": [...], "labels": [...]}}`.

    Raises:
        Refused: anything else.
    """
    fields = parse(text)
    watch = fields.get("watch")
    if list(fields) != ["watch"] or not isinstance(watch, Mapping) or not watch.keys() <= {"streams", "labels"}:
        raise Refused(400, 'a viewer sends {"watch": {"streams": [...], "labels": [...]}}')
    streams, labels = _names(watch, "streams", MOST_STREAMS), _names(watch, "labels", MOST_LABELS)
    return frozenset(streams), tuple(dict.fromkeys(labels))


def _names(watch: Mapping[str, Any], key: str, most: int) -> list[str]:
    names = watch.get(key, [])
    if not isinstance(names, list) or len(names) > most:
        raise Refused(400, f'"{key}" must be a list of at most {most} names')
    if not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names):
        raise Refused(400, f'"{key}" must hold names of at most {LONGEST_NAME} characters')
    return names
