"""Connections that do not outstay their welcome: uvicorn's own two protocols, with a limit to every wait.

uvicorn waits for ever for a request that comes byte by byte, and for a peer that does not read what it asked for.
"""

import asyncio
from typing import Any

import h11
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

MOST_CONNECTIONS = 64  # at once, of all kinds; one more is hung up on
REQUEST_S = 5.0  # that the head of a request may take to come
READ_S = 30.0  # that a peer may leave what was sent to it lying
LEAVE_S = 2.0  # after its end, for the last bytes of a viewer


class Deadline:
    """Aborts a connection unless it is called off in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float, transport: asyncio.Transport) -> None:
        """From now on; nothing new where it runs already."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, transport.abort)

    def stop(self) -> None:
        """Call it off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Unread(asyncio.Protocol):
    """Before a protocol of uvicorn's: hangs up on a peer that leaves lying what was sent to it."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._unread = Deadline(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """What was sent lies unread."""
        self._unread.start(READ_S, self.transport)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It was read."""
        self._unread.stop()
        super().resume_writing()


class Requests(Unread, H11Protocol):
    """HTTP/1.1."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head = Deadline(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._head.start(REQUEST_S, transport)

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except h11.ProtocolError:  # what comes makes no sense, and the answer has begun already
            self.transport.abort()
            return
        if self.conn.their_state is h11.IDLE:
            self._head.start(REQUEST_S, self.transport)
        else:
            self._head.stop()

    def send_400_response(self, msg: str) -> None:
        """Refuse what makes no sense; with that a request is answered whose body it was, too."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.stop()
        super().connection_lost(exc)


class Viewers(Unread, WebSocketsSansIOProtocol):
    """WebSocket."""

    def send_receive_event_to_app(self) -> None:
        """Hand a message on; what is no text hangs up, and is nothing for the log."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.conn.send_close(CloseCode.INVALID_DATA, "text is UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def send(self, message: ASGISendEvent) -> None:
        """Send, if anybody is there: who left before he was let in is nothing for the log."""
        if message["type"] == "websocket.accept" and self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # it was refused in full, which uvicorn takes for an error of ours

    def handle_ping(self) -> None:
        """Answer, but never heap up answers that nobody reads."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """It does not answer: hang up, whatever waits to be sent."""
        super().keepalive_timeout()
        self.transport.abort()

    async def run_asgi(self) -> None:
        """And leave, even where the peer does not read the farewell."""
        await super().run_asgi()
        self.loop.call_later(LEAVE_S, self.transport.abort)
