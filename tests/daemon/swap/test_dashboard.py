"""The dashboard of a daemon whose engine is changed shows the new one, and nothing by halves."""

from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("starlette")

from glatd.daemon.web.state import State
from glatd.daemon.web.viewer import Viewer
from glatd.engines.load import load_engine
from tests.daemon.sounds import RATE, noise, write_wav
from tests.daemon.web.heard import hear


def test_what_another_engine_said_is_put_away_and_viewers_come_again(engines: Path, tmp_path: Path) -> None:
    heard = hear(load_engine(engines / "tiny", 1), write_wav(tmp_path / "a.wav", noise(15 * RATE)))
    board = heard.board
    state = State(heard.loop, board, heard.settings, "session")
    viewer = Viewer(cast(Any, None))
    board.enter(viewer)
    assert len(board.timeline("yard", 3600, [0])[0]) > 10
    assert state._engine()["mels"] == 24

    other = load_engine(engines / "relabelled", 1)
    board.feed.turn(other)
    board.take()
    assert board.manifest.hash == other.manifest.hash
    assert board.index("Xylophone of tests") == [label.name for label in other.manifest.labels].index(
        "Xylophone of tests"
    )
    assert len(board.timeline("yard", 3600, [0])[0]) == 0
    assert not board.kept_of("yard").turns()
    assert viewer._leaving
    assert state._engine()["hash"] == other.manifest.hash

    board.feed.turn(load_engine(engines / "other", 1))
    board.take()
    assert (state._engine()["mels"], len(state._engine()["mel_hz"])) == (16, 16)
