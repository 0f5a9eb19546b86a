"""`/live`: the WebSocket of a viewer."""

import asyncio
import json

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from glatd.daemon.web.access import Doorman
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.board import MOST_VIEWERS, Board
from glatd.daemon.web.state import State
from glatd.daemon.web.viewer import Viewer, read_watch

FULL, NONSENSE, AWAY = 1013, 1008, 1011  # codes of a close: try again later; policy; the loop does not answer
PAUSE_S = 0.05  # between two wishes of a viewer
LONGEST_REASON = 120  # bytes, of a close


class Live:
    """Serves viewers."""

    def __init__(self, board: Board, state: State, doorman: Doorman) -> None:
        self._board, self._state, self._doorman = board, state, doorman

    async def serve(self, socket: WebSocket) -> None:
        """One viewer, until it leaves."""
        await socket.accept()
        if len(self._board.viewers) >= MOST_VIEWERS:
            await self._hang_up(socket, FULL, f"{MOST_VIEWERS} viewers are here already; close one")
            return
        viewer = Viewer(socket)
        self._board.enter(viewer)
        sending = None
        try:
            hello = await self._state.told(self._doorman.knows(socket))
            viewer.greet(json.dumps({"type": "hello"} | hello, ensure_ascii=False))
            sending = asyncio.create_task(viewer.send())
            while True:
                message = await socket.receive_text()
                self._board.watch(viewer, *read_watch(message))
                await asyncio.sleep(PAUSE_S)
        except Refused as refused:
            await self._hang_up(socket, AWAY if refused.status == 503 else NONSENSE, str(refused))
        except KeyError:  # bytes, where text belongs
            await self._hang_up(socket, NONSENSE, "a viewer sends text, not bytes")
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._board.leave(viewer)
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    @staticmethod
    async def _hang_up(socket: WebSocket, code: int, reason: str) -> None:
        if socket.application_state is WebSocketState.CONNECTED:
            short = reason.encode()[:LONGEST_REASON].decode(errors="ignore")
            await socket.close(code, short)
