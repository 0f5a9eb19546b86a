"""What is not a page: one method for each address of docs/dashboard.md."""

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from glatd.daemon.manage import Manager
from glatd.daemon.privacy.retention import NAME, SUFFIX
from glatd.daemon.settings import Settings
from glatd.daemon.web.access import Doorman
from glatd.daemon.web.asking import Refused, number, query, read_json, text_of
from glatd.daemon.web.board import Board
from glatd.daemon.web.history import KEYS, find, read_wish, search, with_verdict
from glatd.daemon.web.listening import MOST_LISTENERS
from glatd.daemon.web.memory import SECONDS
from glatd.daemon.web.past import Past
from glatd.daemon.web.rehearsal import FIELDS, Trial, rehearse, the_same
from glatd.daemon.web.state import State
from glatd.daemon.web.stories import Story
from glatd.daemon.web.timeline import as_json
from glatd.daemon.web.verdicts import LONGEST_NOTE, VERDICTS, Verdicts
from glatd.daemon.web.viewer import MOST_LABELS
from glatd.daemon.web.work import Pace, Work

ID = re.compile(r"[0-9a-f]{1,64}")
SESSION = re.compile(r"[0-9a-zA-Z-]{0,64}")
HOUR_S = 3600.0

T = TypeVar("T")

log = logging.getLogger("glatd.web")


class Api:
    """Answers requests, in the dashboard's thread.

    Args:
        past: makes what reads the events of before; called in the thread that uses it.
    """

    def __init__(
        self,
        settings: Settings,
        board: Board,
        state: State,
        doorman: Doorman,
        manager: Manager,
        past: Callable[[], Past],
        verdicts: Verdicts,
    ) -> None:
        self._settings, self._board, self._state, self._doorman = settings, board, state, doorman
        self._manager, self._make_past, self._verdicts = manager, past, verdicts
        self._past: Past | None = None
        self._reading, self._trying = Work("history"), Work("rehearsal")

    def close(self) -> None:
        """Stop what takes long."""
        self._reading.close(lambda: self._past.close() if self._past else None)
        self._trying.close()

    async def state(self, request: Request) -> Response:
        """GET /api/state."""
        query(request)
        return answer(await self._state.told(self._doorman.knows(request)))

    async def login(self, request: Request) -> Response:
        """POST /api/login."""
        fields = await read_json(request, ["token"])
        reply = answer({"may_write": True})
        secure = request.headers.get("origin", "").lower().startswith("https:")
        self._doorman.log_in(text_of(fields, "token", 1000), reply, secure)
        return reply

    async def logout(self, request: Request) -> Response:
        """POST /api/logout."""
        await read_json(request, [])
        reply = answer({"may_write": False})
        self._doorman.log_out(reply)
        return reply

    async def timeline(self, request: Request) -> Response:
        """GET /api/timeline."""
        labels = request.query_params.getlist("label")
        words = query(request, "stream", "seconds", twice=["label"])
        if not 1 <= len(labels) <= MOST_LABELS:
            raise Refused(400, f"give label=NAME once to {MOST_LABELS} times")
        classes = [self._board.index(label) for label in labels]
        seconds = number(words.get("seconds", str(HOUR_S)), "seconds", 1, SECONDS)
        stream = self._known(words.get("stream", ""))
        looks = self._board.timeline(stream, seconds, classes)
        gaps = self._board.gaps_of(stream, looks)
        rate = self._board.manifest.geometry.rate
        return StreamingResponse(
            _one_by_one(as_json(stream, rate, labels, looks, gaps)), headers=NOT_KEPT, media_type="application/json"
        )

    async def events(self, request: Request) -> Response:
        """GET /api/events."""
        wish = read_wish(query(request, *KEYS), datetime.now().astimezone())
        verdicts = dict(self._verdicts.of)  # as they are now; it is read in another thread
        return answer(await self._read(lambda past, step: search(past, wish, verdicts, step)))

    async def event(self, request: Request) -> Response:
        """GET /api/events/ID."""
        query(request)
        story = await self._story(request.path_params["id"])
        return answer(with_verdict(story.whole(), self._verdicts.of.get(story.last.id)))

    async def clip(self, request: Request) -> Response:
        """GET /api/events/ID/clip, in ranges too."""
        query(request)
        self._doorman.check(request)
        if not self._settings.clips.folder:
            raise Refused(404, "no clips are kept; name a folder under clips.folder in glatd.toml")
        name = f"{request.path_params['id']}{SUFFIX}"
        path = Path(self._settings.clips.folder) / name
        if not NAME.fullmatch(name) or not path.is_file():
            raise Refused(
                404, f"there is no clip {name[:60]!r}: none was kept, it is not complete yet, or it is too old"
            )
        return FileResponse(path, media_type="audio/flac", headers=NOT_KEPT)

    async def rehearse(self, request: Request) -> Response:
        """POST /api/rehearse."""
        trial = Trial.of(await read_json(request, FIELDS))
        stream = self._known(trial.stream)
        turns, whole = self._board.kept_of(stream).since(time.time() - trial.seconds)
        events = tuple(event for event in self._board.events if event.stream == stream)
        manifest = self._board.manifest

        def work(step: Pace) -> dict[str, Any]:
            return rehearse(trial, the_same(self._manager.live_rules(stream)), turns, whole, events, manifest, step)

        left = threading.Event()  # a slider moves on, and what was asked before is not waited for
        watching = asyncio.create_task(_watch(request, left))
        try:
            return answer(await self._trying.do(work, left))
        finally:
            watching.cancel()

    async def judge(self, request: Request) -> Response:
        """POST /api/verdicts."""
        self._doorman.check(request)
        fields = await read_json(request, ["id", "verdict", "note"])
        verdict = fields.get("verdict")
        if "verdict" not in fields or verdict not in VERDICTS:
            raise Refused(400, '"verdict" must be "confirmed", "rejected" or null')
        note = text_of(fields, "note", LONGEST_NOTE, needed=False)
        story = await self._story(text_of(fields, "id"))
        given = self._verdicts.give(story, verdict, note)
        self._board.tell({"type": "verdict", "id": given["id"], "verdict": verdict, "note": note})
        return answer(given)

    async def verdicts(self, request: Request) -> Response:
        """GET /api/verdicts.json."""
        query(request)
        return answer({"verdicts": list(self._verdicts.of.values())})

    async def table(self, request: Request) -> Response:
        """GET /api/verdicts.tsv."""
        session = query(request, "session").get("session", "")
        if not SESSION.fullmatch(session):
            raise Refused(400, f"session = {session[:60]!r} is none; see /api/verdicts.json")
        headers = NOT_KEPT | {"Content-Disposition": 'attachment; filename="verdicts.tsv"'}
        table = self._verdicts.table(session).encode("utf-8", "replace")
        return Response(table, media_type="text/tab-separated-values", headers=headers)

    async def listen(self, request: Request) -> Response:
        """GET /api/listen."""
        words = query(request, "stream")
        self._doorman.check(request)
        if not self._settings.web.listen:
            raise Refused(403, "live listening is off; set web.listen = true in glatd.toml")
        stream = self._known(words.get("stream", ""))
        if self._board.is_veiled(stream):
            raise Refused(403, f"{stream} keeps speech in (blank.speech), and live audio is not known to have none")
        if self._board.listeners.count >= MOST_LISTENERS:
            raise Refused(429, f"{MOST_LISTENERS} listen already; stop one of them")
        return StreamingResponse(self._heard(stream, request), headers=NOT_KEPT, media_type="audio/wav")

    async def _heard(self, stream: str, request: Request) -> AsyncIterator[bytes]:
        who = request.client.host if request.client else "somebody"
        log.info("%s listens to %s now", who, stream, extra={"stream": stream})
        try:
            async for piece in self._board.listeners.listen(stream):
                yield piece
        finally:
            log.info("%s listens to %s no more", who, stream, extra={"stream": stream})

    def _known(self, stream: str) -> str:
        if stream not in self._board.statuses:
            known = ", ".join(sorted(self._board.statuses)) or "none"
            raise Refused(404, f"there is no stream {stream[:64]!r}; there are: {known[:500]}")
        return stream

    async def _story(self, identity: str) -> Story:
        if not ID.fullmatch(identity):
            raise Refused(404, f"{identity[:64]!r} is no id of an event")
        story = await self._read(lambda past, step: find(past, identity))
        if story is None:
            raise Refused(404, f"there is no event {identity!r}; it may be older than what the journal keeps")
        return story

    async def _read(self, function: Callable[[Past, Pace], T]) -> T:
        def work(step: Pace) -> T:
            if self._past is None:
                self._past = self._make_past()
            return function(self._past, step)

        return await self._reading.do(work)


NOT_KEPT = {"Cache-Control": "no-store"}


def answer(fields: object, status: int = 200) -> Response:
    """JSON that is asked for anew each time."""
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Response(body.encode("utf-8", "replace"), status, NOT_KEPT, "application/json")


async def _watch(request: Request, left: threading.Event) -> None:
    """Set `left` when whoever asked hangs up; its body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()


async def _one_by_one(pieces: Iterator[str]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece.encode()
        await asyncio.sleep(0)  # the loop's thread may want its turn
