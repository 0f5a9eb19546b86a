"""glatd itself, with its defaults: `Tagger`, which is the daemon without sources and sockets."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.peers.contender import HOP_S, THREADS, Floats, Parts
from glatd.daemon.tagger import Tagger
from glatd.engines.load import load_engine
from glatd.messages import Tags


class Ours:
    """See `contender.Network`.

    Args:
        local: as of `Tagger`; its default, unless it is to be held against the plain method.
    """

    trained = True

    def __init__(self, engine: Path, local: Literal["top-k", "all"] = "all") -> None:
        self._local: Literal["top-k", "all"] = local
        self._engine = load_engine(engine, THREADS)
        self.rate = self._engine.sizes.rate
        self.hop = round(HOP_S * self.rate)
        self.mids = [label.mid for label in self._engine.manifest.labels]

    def listen(self) -> Callable[[Floats], object]:
        return Tagger(self._engine, self.rate, hop=HOP_S, local=self._local).push

    def clip(self, samples: Floats) -> Floats:
        tagger = Tagger(self._engine, self.rate, hop=HOP_S, top=None, local=self._local)
        said = [message for message in (*tagger.push(samples), *tagger.finish()) if isinstance(message, Tags)]
        scores = {tag.mid: tag.score for tag in said[-1].tags}
        return np.array([[scores[mid] for mid in self.mids]], np.float32)


def obstacle(parts: Parts) -> str:
    """Why it cannot run here."""
    return ""


def make(parts: Parts) -> Ours:
    """Load it."""
    return Ours(parts.engine)
