"""The dashboard of a daemon whose engine is changed shows the new one, and nothing by halves."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

pytest.importorskip("starlette")

from glatd.daemon.events.settings import EventSettings, RuleSettings
from glatd.daemon.stream import Stream
from glatd.daemon.tagging import hop_frames, silence, step
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.feed import Feed
from glatd.daemon.web.rehearsal import Trial, rehearse
from glatd.daemon.web.state import State
from glatd.daemon.web.viewer import Viewer
from glatd.engines.engine import Engine, Floats
from glatd.engines.load import load_engine
from tests.daemon.sounds import RATE, noise, write_wav
from tests.daemon.swap.conftest import GONE, KEPT
from tests.daemon.web.heard import Heard, hear

ON = 0.77  # of a class that another engine has not


@pytest.fixture
def heard(engines: Path, tmp_path: Path) -> Heard:
    """By the engine `tiny`."""
    events = EventSettings(rule=(RuleSettings((GONE,), on=ON),))
    return hear(load_engine(engines / "tiny", 1), write_wav(tmp_path / "a.wav", noise(15 * RATE)), events=events)


def test_what_another_engine_said_is_put_away_and_viewers_come_again(engines: Path, heard: Heard) -> None:
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


def test_a_viewer_of_a_class_that_is_gone_costs_nobody_what_follows(engines: Path, heard: Heard) -> None:
    board, other = heard.board, load_engine(engines / "relabelled", 1)
    viewer = Viewer(cast(Any, None))
    board.enter(viewer)
    board.watch(viewer, frozenset({"yard"}), (GONE, KEPT))
    viewer._waiting.clear()
    board.feed.turn(other)
    stream = Stream(other.sizes, hop_frames(other, 0.96), silence(other))
    while not (found := step(other, [stream])):
        stream.append(noise(stream.wanted()))
    board.feed.saw(heard.loop.tracks["yard"], found[0])
    board.take()
    (scores,) = [json.loads(message)["scores"] for message in viewer._waiting]
    assert list(scores) == [KEPT]


def test_a_front_end_that_fails_hands_nothing_over(engines: Path) -> None:
    def fails(samples: Floats) -> Any:
        raise RuntimeError("no frames")

    other = load_engine(engines / "other", 1)
    feed = Feed({}, 320)
    with pytest.raises(RuntimeError, match="no frames"):
        feed.turn(Engine(other.manifest, {"frontend": fails}))
    assert feed.take() == [] and feed._hop == 320


def test_rules_of_one_engine_meet_no_scores_of_another(engines: Path, heard: Heard) -> None:
    """The loop has turned, and the board has not heard of it yet."""
    board, new = heard.board, load_engine(engines / "relabelled", 1).manifest
    trial = Trial.of({"stream": "yard", "label": KEPT, "threshold": 0.5})
    turns, rules = board.kept_of("yard").turns(), heard.rules
    assert rehearse(trial, rules, turns, True, (), board.manifest, lambda: None)["seconds"] > 1
    with pytest.raises(Refused, match="another engine takes over; ask again") as refused:
        rehearse(trial, replace(rules, labels=new.labels), turns, True, (), board.manifest, lambda: None)
    assert refused.value.status == 503


def test_the_rules_of_a_stream_have_the_names_of_its_own_engine(engines: Path, heard: Heard) -> None:
    """It ended before the turn, and keeps the rules that it had."""
    heard.board.feed.turn(load_engine(engines / "relabelled", 1))
    heard.board.take()
    state = State(heard.loop, heard.board, heard.settings, "session")

    async def told() -> dict[str, Any]:
        asked = asyncio.create_task(state.told(False))
        await asyncio.sleep(0)
        heard.loop._calls.answer()  # it runs no more
        return await asked

    (yard,) = asyncio.run(told())["streams"]
    assert yard["rules"].keys() == {"*", GONE, "Silence"} and yard["rules"][GONE]["on"] == ON
