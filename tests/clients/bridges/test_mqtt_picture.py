"""What the MQTT bridge shows, without a broker: what is said to it goes onto a board."""

import dataclasses
import json
from pathlib import Path

import pytest

from glatd.clients.bridges import mqtt_picture
from glatd.clients.bridges.homeassistant import Discovery
from glatd.clients.bridges.mqtt_board import Board
from glatd.clients.bridges.mqtt_memory import Memory, RememberingCursor
from glatd.clients.bridges.mqtt_picture import Picture
from glatd.clients.bridges.mqtt_topics import Topics
from glatd.clients.cursor import Position
from glatd.errors import DataError
from tests.clients.bridges.test_mqtt import health, sound, status, tags

TOPICS = Topics("glatd", "me")
YARD = TOPICS.stream("edge-1", "yard")
OLD = "2026-01-01T00:00:00.000000Z"


class Shown:
    """A picture, what it published, and what it asked for."""

    def __init__(self, folder: Path, *classes: str) -> None:
        self.said: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.sessions: list[tuple[str, str]] = []
        self.memory = Memory(folder / "memory")
        self.discovery = Discovery("ha", TOPICS, classes, 5.0)
        self.board = Board(lambda topic, payload: self.said.append((topic, payload)))
        self.picture = Picture(
            self.board, TOPICS, classes, 5.0, self.memory, self.discovery,
            level=lambda topic, payload: self.said.append((topic, payload)),
            look_for=self.asked.append,
            new_session=lambda node, stream: self.sessions.append((node, stream)),
            controlled=lambda node: False,
        )  # fmt: skip

    def of(self, topic: str) -> list[str]:
        """What a topic has said."""
        return [payload for where, payload in self.said if where == topic]


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    made = Shown(tmp_path, "Dog", "Vehicle")
    made.picture.take(status())
    return made


def test_what_is_over_by_now_does_not_flicker(shown: Shown) -> None:
    for event in (sound(1, "start", time=OLD), sound(1, "end", time=OLD), sound(2, "start", "Truck", time=OLD)):
        shown.picture.event(event)
    assert shown.of(YARD.state("Dog")) == shown.of(YARD.state("Vehicle")) == ["OFF"]
    shown.picture.turn()
    assert shown.of(YARD.state("Dog")) == ["OFF"] and shown.of(YARD.state("Vehicle")) == ["OFF", "ON"]
    assert json.loads(shown.of(YARD.last)[-1])["label"] == "Truck"


def test_what_may_have_ended_unheard_goes_on_no_more(shown: Shown) -> None:
    shown.picture.event(sound(1, "start"))
    shown.picture.lost("edge-1")
    shown.picture.turn()
    assert shown.of(YARD.state("Dog")) == ["OFF", "ON", "OFF"]
    shown.picture.event(sound(1, "update"))  # it does go on
    assert shown.of(YARD.state("Dog"))[-1] == "ON"


def test_a_broker_that_forgot_is_told_everything(shown: Shown) -> None:
    before = {topic for topic, payload in shown.said if payload}
    shown.said.clear()
    shown.board.tell_all()
    assert {topic for topic, _ in shown.said} == before
    shown.picture.connected()
    assert shown.asked == ["ha/+/glatd-edge_2d1/+/config"] * 2


def test_what_earlier_runs_left_is_taken_away(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_picture, "GRACE_S", -1.0)
    left = Discovery("ha", TOPICS, ("Dog", "Cat"), 5.0).stream("edge-1", "gate", True)
    others = Discovery("ha", Topics("glatd", "other"), ("Cat",), 5.0).stream("edge-1", "hall", True)
    for topic, payload in (left | others | shown.discovery.stream("edge-1", "yard", False)).items():
        shown.picture.stands(topic, payload)
    shown.said.clear()
    shown.picture.turn()
    assert {topic for topic, payload in shown.said if not payload} == set(left)
    # After a restart of the daemon, what it no longer tells of goes too.
    shown.picture.take(status("gate"))
    shown.said.clear()
    shown.picture.take(dataclasses.replace(status(), session="s2"))
    assert shown.sessions[-2:] == [("edge-1", "yard"), ("edge-1", "gate")]
    shown.picture.turn()
    gone = {topic for topic, payload in shown.said if not payload}
    assert set(shown.discovery.stream("edge-1", "gate", False)) < gone and not [t for t in gone if "yard" in t]


def test_a_node_that_is_silent_is_away(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    shown.picture.turn()
    assert shown.of(TOPICS.node("edge-1")) == ["online"]
    monkeypatch.setattr(mqtt_picture, "QUIET_S", -1.0)
    shown.picture.turn()
    assert shown.of(TOPICS.node("edge-1"))[-1] == "offline"
    shown.picture.take(health())
    assert shown.of(TOPICS.node("edge-1"))[-1] == "online"


def test_levels_are_the_mean_power(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    shown.picture.take(tags(level=-20.0))
    monkeypatch.setattr(mqtt_picture.time, "monotonic", lambda now=mqtt_picture.time.monotonic: now() + 1.0)
    for level in (-120.0, -120.0, -120.0):
        shown.picture.take(tags(level=level))
    monkeypatch.undo()
    monkeypatch.setattr(mqtt_picture.time, "monotonic", lambda now=mqtt_picture.time.monotonic: now() + 10.0)
    shown.picture.take(tags(level=-20.0))
    assert shown.of(YARD.level) == ["-20.0", "-26.0"]


def test_the_memory_outlives_the_bridge(shown: Shown, tmp_path: Path) -> None:
    shown.picture.event(sound(1, "start"))
    shown.memory.command(YARD.mute, "ON")
    RememberingCursor(tmp_path / "cursor", shown.memory).save("edge-1", Position("j", 1))
    again = Shown(tmp_path, "Dog")
    assert again.of(TOPICS.node("edge-1")) == ["offline"]  # until it is heard
    again.picture.take(status())
    assert again.of(YARD.state("Dog")) == ["ON"]
    assert again.memory.commanded(YARD.base) == {YARD.mute: "ON"}
    again.picture.take(status(state="ended", reason="removed"))
    assert again.memory.commanded(YARD.base) == {} and not again.memory.sounding("edge-1", "yard")
    (tmp_path / "memory").write_text("[]")
    with pytest.raises(DataError, match="delete it to begin anew"):
        Memory(tmp_path / "memory")
