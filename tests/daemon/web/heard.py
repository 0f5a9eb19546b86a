"""A recording through the real loop as fast as it goes, and what the dashboard knows of it then. No socket."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glatd.daemon.assembly import Assembly
from glatd.daemon.live_rules import LiveRules
from glatd.daemon.loop import Loop
from glatd.daemon.privacy.outlet import is_veiled
from glatd.daemon.settings import Settings
from glatd.daemon.sources.uri import parse_source
from glatd.daemon.web.board import Board
from glatd.daemon.web.feed import Feed
from glatd.daemon.web.spectrogram import scale_of
from glatd.engines.engine import Engine
from glatd.messages import Message


@dataclass(frozen=True)
class Heard:
    """All of it, of the one stream `yard`."""

    board: Board
    messages: list[Message]
    loop: Loop
    settings: Settings

    @property
    def rules(self) -> LiveRules:
        """As the manager has them."""
        manifest, hop = self.board.manifest, self.loop.tracks["yard"].channel.stream.hop
        return LiveRules(self.settings.events, manifest.labels, manifest.geometry, hop * manifest.geometry.hop, "yard")


def hear(engine: Engine, path: Path, **settings: Any) -> Heard:
    """Listen to a file to its end."""
    of = Settings(node="edge-1", **settings)
    assembly = Assembly(of, engine)
    messages: list[Message] = []
    passes: list[Feed] = []
    track = assembly.track(parse_source(f"yard=file:{path}"), None)
    loop = assembly.loop([track], [messages.append], live=False, every_pass=lambda: passes[0].look())
    feed = Feed(loop.tracks, engine.sizes.hop)
    passes.append(feed)
    board = Board(feed, engine.manifest, scale_of(engine), of.hop, lambda stream: is_veiled(stream, of.blank))
    feed.wake, feed.eager = board.take, True
    loop.sinks = [*loop.sinks, feed]
    loop.saw = feed.saw
    loop.run()
    board.take()
    return Heard(board, messages, loop, of)
