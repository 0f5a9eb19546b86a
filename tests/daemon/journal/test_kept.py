"""The journal of a daemon that runs: settings, events that flow, a kill, and a disk that is full."""

import signal
import threading
from pathlib import Path

import pytest

from glatd.clients.cursor import MemoryCursor
from glatd.clients.events import EventStream
from glatd.daemon.journal.journal import Journal
from glatd.daemon.journal.keeping import TroubleTeller, kept
from glatd.daemon.journal.numbering import Numbering
from glatd.daemon.security.access import LOCAL
from glatd.daemon.settings import Settings, read_settings
from glatd.errors import ConfigError
from glatd.messages import Event
from tests.conftest import ROOT
from tests.daemon.journal.made import events
from tests.daemon.processes import free_endpoint, running

STREET = ROOT / "demo" / "street.ogg"
needs_engine = pytest.mark.skipif(not (ROOT / "engines" / "default").is_dir(), reason="needs the default engine")


def test_settings(tmp_path: Path) -> None:
    with kept(Settings(), LOCAL) as numbering:
        assert isinstance(numbering, Numbering) and numbering.end_unfinished() == []
    endpoint = free_endpoint()
    with kept(Settings(journal=str(tmp_path / "j"), catchup=endpoint, journal_sync="full"), LOCAL) as journal:
        assert isinstance(journal, Journal) and journal.full
        with (
            pytest.raises(ConfigError, match="in use by another glatd"),
            kept(Settings(journal=str(tmp_path / "j")), LOCAL),
        ):
            pass
        with (
            pytest.raises(ConfigError, match=r"cannot answer who was away on .*is taken"),
            kept(Settings(journal=str(tmp_path / "k"), catchup=endpoint), LOCAL),
        ):
            pass
    with kept(Settings(journal=str(tmp_path / "k")), LOCAL) as again:
        assert again.append(events(0, 1))[0].offset == 1
    with pytest.raises(ConfigError, match="catchup = 'tcp://x:1' needs a journal to answer from"):
        read_settings(None, catchup="tcp://x:1")
    with pytest.raises(ConfigError, match="journal_days = -1"):
        read_settings(None, journal_days=-1.0)


def test_trouble_is_told_when_it_comes_and_when_it_goes(tmp_path: Path) -> None:
    told: list[str] = []
    journal = Journal(tmp_path)
    teller = TroubleTeller(journal, lambda: told.append(journal.trouble))
    for trouble in ("", "a", "b", "", ""):
        journal.trouble = trouble
        teller.look()
    assert told == ["a", ""]
    journal.close()


@needs_engine
@pytest.mark.timeout(180)
def test_a_daemon_that_is_killed_ends_what_went_on_and_goes_on_counting(tmp_path: Path) -> None:
    publish, catchup = free_endpoint(), free_endpoint()
    config = tmp_path / "glatd.toml"
    config.write_text(
        f'node = "edge-1"\npublish = "{publish}"\njournal = "{tmp_path}/journal"\ncatchup = "{catchup}"\n'
        "[events]\non = 0.2\noff = 0.1\n"
    )
    run = ("run", "--config", config, "--source", f"street=file:{STREET}")
    cursor = MemoryCursor()
    with EventStream(publish, catchup, cursor, timeout=60) as stream:
        heard: list[Event] = []
        with running(*run) as daemon:
            heard.append(next(stream))
            daemon.end(signal.SIGKILL)
        with running(*run, "--format", "jsonl") as daemon:
            while not any(event.cause == "restart" for event in heard):
                heard.append(next(stream))
            while heard[-1].session == heard[0].session:
                heard.append(next(stream))
            daemon.end(signal.SIGTERM)
    assert heard[0].phase == "start"
    assert [event.offset for event in heard] == list(range(1, len(heard) + 1))
    begun = {event.id for event in heard if event.session == heard[0].session and event.phase == "start"}
    ended = [event.id for event in heard if event.session == heard[0].session and event.phase in ("end", "retract")]
    assert begun == set(ended) and len(ended) == len(begun)
    with EventStream(publish, catchup, timeout=0.1) as nobody:
        threading.Timer(1.0, nobody.stop).start()
        assert list(nobody) == []
