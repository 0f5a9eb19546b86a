"""What a page has to know before anything else: `/api/state`, and the first message to a viewer."""

import asyncio
import time
from typing import Any

import glatd
from glatd.daemon.clock import rfc3339
from glatd.daemon.events.rules import Rules
from glatd.daemon.loop import Loop
from glatd.daemon.settings import Settings
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.board import Board
from glatd.engines.manifest import LabelEntry
from glatd.messages import to_map

PATIENCE_S = 2.0  # for the loop to answer between two passes; then the rules of last time have to do
FIRST_S = 20.0  # for its first answer: engines warm up, and a page is opened on a box at full load too

Labels = tuple[LabelEntry, ...]


class State:
    """Told from the board, with the rules that the loop goes by at this moment.

    Args:
        session: id of this run.
    """

    def __init__(self, loop: Loop, board: Board, settings: Settings, session: str) -> None:
        self._loop, self._board, self._settings, self._session = loop, board, settings, session
        self._rules_then: dict[str, dict[str, Any] | None] | None = None  # as last told by the loop

    def _engine(self) -> dict[str, Any]:
        """Of which all is that is shown now."""
        board, settings = self._board, self._settings
        manifest, sizes, scale = board.manifest, board.manifest.geometry, board.scale
        return {
            "model": manifest.model,
            "target": manifest.runtime.target,
            "precision": manifest.runtime.precision,
            "hash": manifest.hash,
            "hop_s": settings.hop,
            "window_s": sizes.window * sizes.hop / sizes.rate,
            "rate": sizes.rate,
            "mels": sizes.mels,
            "mel_hz": list(board.mel_hz),
            "frame_s": sizes.hop / sizes.rate,
            "classes": len(manifest.labels),
            "spec_floor_db": scale.floor,
            "spec_ceiling_db": scale.ceiling,
        }

    async def told(self, may_write: bool) -> dict[str, Any]:
        """The map.

        Raises:
            Refused: the loop does not answer.
        """
        rules = await self._rules()
        board, settings = self._board, self._settings
        streams = [
            to_map(status) | {"rules": rules.get(name) or {}, "veiled": board.is_veiled(name)}
            for name, status in board.statuses.items()
        ]
        return {
            "node": settings.node_name,
            "session": self._session,
            "version": glatd.__version__,
            "time": rfc3339(time.time()),
            "engine": self._engine(),
            "labels": [{"label": label.name, "mid": label.mid} for label in board.manifest.labels],
            "streams": streams,
            "node_status": to_map(board.node) if board.node else None,
            "web": {
                "token_set": bool(settings.web.token),
                "may_write": may_write,
                "listen": settings.web.listen,
                "clips": bool(settings.clips.folder),
                "journal": bool(settings.journal),
                "memory_s": board.memory_seconds,
            },
        }

    async def _rules(self) -> dict[str, dict[str, Any] | None]:
        """Of every stream that there is, also of those that have ended; None for one of which no events are told."""

        def ask() -> dict[str, tuple[Labels, Rules | None]]:
            # Of each its own classes: the board may not have heard of another engine yet, nor a stream that has ended.
            return {
                name: (track.announcer.manifest.labels, track.decider.rules if track.decider else None)
                for name, track in self._loop.tracks.items()
            }

        patience = FIRST_S if self._rules_then is None else PATIENCE_S
        try:
            async with asyncio.timeout(patience):
                found = await asyncio.wrap_future(self._loop.ask(ask))
        except TimeoutError:
            if self._rules_then is None:
                raise Refused(503, f"the loop does not answer within {patience:g} s; see the log") from None
            return self._rules_then
        self._board.forget_gone(found.keys())
        self._rules_then = {
            name: None if rules is None else self._described(labels, rules) for name, (labels, rules) in found.items()
        }
        return self._rules_then

    def _described(self, labels: Labels, rules: Rules) -> dict[str, Any]:
        """Those of all classes under "*", and under its label those of a class that has others."""
        events = self._settings.events
        usual = {"on": events.on, "off": events.off, "publish": events.publish}
        described: dict[str, Any] = {"*": usual}
        for index, (label, rule) in enumerate(zip(labels, rules.of, strict=True)):
            own = {"on": rule.on, "off": rule.off, "publish": bool(rules.on[index] <= 1)}
            if own != usual:
                described[label.name] = own
        return described
