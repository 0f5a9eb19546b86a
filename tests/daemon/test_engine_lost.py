"""An engine that fails while the daemon runs, as on a GPU that is lost: an error in a line, and a last message."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from glatd.daemon import serve
from glatd.daemon.assembly import Assembly
from glatd.daemon.loop import Loop
from glatd.daemon.settings import Settings, SourceSettings
from glatd.engines.engine import Engine, Graph
from glatd.engines.load import load_engine
from glatd.errors import EngineError
from glatd.messages import Message, Node
from tests.conftest import ROOT

LOST = "the GPU failed (NVIDIA Test 1, cudaGraphLaunch: unspecified launch failure, error 719); run with a cpu engine"


class Failing(Mapping[str, Graph]):
    """Graphs of an engine, of which those of windows fail from their second run on; the first warms up."""

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        self._graphs, self._runs = graphs, 0

    def __getitem__(self, name: str) -> Graph:
        if name.startswith("global"):
            self._runs += 1
            if self._runs > 1:
                raise EngineError(LOST)
        return self._graphs[name]

    def __iter__(self) -> Any:
        return iter(self._graphs)

    def __len__(self) -> int:
        return len(self._graphs)


def test_it_is_told_and_ends_the_daemon(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    whole = load_engine(None, 1)
    monkeypatch.setattr(serve, "make_engine", lambda *_, **__: Engine(whole.manifest, Failing(whole.graphs)))
    monkeypatch.setattr(serve, "stop_on_signals", lambda stop: None)
    recording = next(Path(ROOT, "demo").glob("*.ogg"))
    settings = replace(Settings(), publish="", threads=1, source=(SourceSettings(f"file:{recording}"),))
    told: list[Message] = []
    refusals = []

    def leave(loop: Loop, code: int) -> NoReturn:
        """As the daemon's own, which ends this process too."""
        raise SystemExit(code)

    def counted(assembly: Assembly, loop: Loop) -> Node:
        refusals.append(assembly.refusals)
        return node_status(assembly, loop)

    node_status = Assembly.node_status
    monkeypatch.setattr(Assembly, "node_status", counted)
    monkeypatch.setattr(serve, "leave", leave)
    with pytest.raises(SystemExit) as left:
        serve.run(settings, told.append)
    assert left.value.code == EngineError.exit_code and LOST in caplog.messages
    nodes = [message for message in told if isinstance(message, Node)]
    assert LOST in nodes[-1].trouble and refusals[-1] == 0
