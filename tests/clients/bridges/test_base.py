"""What all bridges share: the cursor, patience, and being alone."""

import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from glatd.clients.bridges.base import (
    LONGEST_WAIT_S,
    BridgeSettings,
    Patience,
    Stop,
    alone,
    cursor_path,
    read_bridge_settings,
)
from glatd.clients.bridges.behind import Behind
from glatd.clients.cursor import MemoryCursor, Position
from glatd.errors import ConfigError


def at(offset: int) -> Position:
    return Position("j", offset)


def test_the_cursor_waits_for_the_oldest_event_on_its_way() -> None:
    real = MemoryCursor()
    behind = Behind(real)
    first, second = behind.ticket(), behind.ticket()
    behind.save("n", at(2))
    behind.done(second)
    behind.flush()
    assert real.load("n") is None and behind.on_the_way == 1
    third = behind.ticket()
    behind.save("n", at(3))
    behind.done(first)
    behind.done(first)
    behind.flush()
    assert real.load("n") == at(2)
    behind.done(third)
    behind.flush()
    assert real.load("n") == behind.load("n") == at(3)
    behind.save("n", at(9))  # nothing on its way: events that are not wanted, for example
    assert real.load("n") == at(9)


def test_it_waits_longer_and_longer_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "glatd.bridge")
    patience = Patience("the broker mqtt://host")
    waits = [patience.failed("no route") for _ in range(40)]
    assert 0.7 < waits[0] <= 1.0 and 1.4 < waits[1] <= 2.0
    assert max(waits) <= LONGEST_WAIT_S and min(waits[10:]) > 0.7 * LONGEST_WAIT_S
    patience.worked()
    patience.worked()
    assert patience.failed("again") <= 1.0
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3 and said[0].startswith("the broker mqtt://host is away: no route; events wait")
    assert said[1].startswith("the broker mqtt://host is back after")


def test_a_sleep_ends_when_a_signal_says_so() -> None:
    stop = Stop()
    told: list[str] = []
    stop.also(lambda: told.append("stopped"))
    assert not stop.wait(0.01)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop.on_signals()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        began = time.monotonic()
        assert stop.wait(60) and stop.is_set() and time.monotonic() - began < 30
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert told == ["stopped"] and stop.wait(60)


def test_a_cursor_is_for_one_bridge(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    with alone(path), pytest.raises(ConfigError, match="another bridge uses the cursor"), alone(path):
        pass
    with alone(path):  # it is free again
        pass
    with pytest.raises(ConfigError, match="cannot write the cursor"), alone(tmp_path / "none" / "cursor"):
        pass


def test_where_it_remembers(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cursor_path(BridgeSettings(cursor="x"), "mqtt") == Path("x")
    assert cursor_path(BridgeSettings(), "mqtt") == home / ".local" / "state" / "glatd" / "mqtt.cursor"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert cursor_path(BridgeSettings(), "mqtt") == tmp_path / "state" / "glatd" / "mqtt.cursor"
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:{tmp_path}/other")
    assert cursor_path(BridgeSettings(), "mqtt") == tmp_path / "mqtt.cursor"


def test_settings_come_from_a_file_and_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text('publish = ["tcp://a:1"]\nstream = "yard"\nlabel = ["Dog"]\n')
    settings = read_bridge_settings(BridgeSettings, path, publish=("tcp://b:1",), stream=None, label=())
    assert (settings.publish, settings.stream, settings.label) == (("tcp://b:1",), "yard", ("Dog",))
    path.write_text("strem = 'x'\n")
    with pytest.raises(ConfigError, match="did you mean 'stream'"):
        read_bridge_settings(BridgeSettings, path)
    path.write_text("x")
    with pytest.raises(ConfigError, match="is not a TOML file"):
        read_bridge_settings(BridgeSettings, path)
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        read_bridge_settings(BridgeSettings, tmp_path / "none")
