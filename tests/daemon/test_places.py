"""Where a daemon will write and answer: what `glatd check` says of it, without touching anything."""

import os
from pathlib import Path

import pytest

from glatd.daemon.places import check_endpoint, places, room
from glatd.daemon.privacy.settings import BlankSettings, ClipSettings
from glatd.daemon.settings import Settings
from glatd.errors import ConfigError


def test_what_is_told_of_the_defaults() -> None:
    assert dict(places(Settings())) == {
        "journal": "off: events are counted from 1 in each run, and what is missed is lost",
        "catchup": "off",
        "record": "off",
        "clips": "off: no audio of events is kept",
    }


def test_folders_are_measured_and_none_is_made(tmp_path: Path) -> None:
    settings = Settings(
        journal=str(tmp_path / "journal"),
        journal_days=0.0,
        catchup="tcp://127.0.0.1:5557",
        record=str(tmp_path / "rec"),
        clips=ClipSettings(folder=str(tmp_path / "clips"), megabytes=1e15),
        blank=BlankSettings(speech=True, labels=("Speech",)),
    )
    told = dict(places(settings))
    assert told["journal"].startswith(f"{tmp_path}/journal: ") and told["journal"].endswith(
        "at most 256 MB; kept for ever"
    )
    assert told["clips"].endswith("(more than there is); of every class that is told, kept for 7 days")
    assert told["record"].endswith(" GB free") and told["catchup"] == "tcp://127.0.0.1:5557"
    assert told["blank"] == "where any of Speech scores 0.2 is left out of what is written"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("tcp://127.0.0.1", "is no endpoint; give tcp://127.0.0.1:PORT"),
        ("tcp://:5557", "is no endpoint"),
        ("udp://127.0.0.1:5557", "is no endpoint"),
        ("tcp://127.0.0.1:99999", "there is no port 99999"),
        ("ipc:///no/such/folder/x", "there is no folder /no/such/folder"),
    ],
)
def test_what_is_no_endpoint_is_refused(endpoint: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_endpoint(endpoint, "catchup")


def test_two_sockets_cannot_have_one_endpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"publish and catchup are both tcp://127.0.0.1:5555"):
        list(places(Settings(journal=str(tmp_path), catchup="tcp://127.0.0.1:5555")))


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"journal = .*file is no folder; choose another journal"):
        room(tmp_path / "file" / "journal", "journal", 0.0)
    if os.geteuid():  # root may write everywhere
        tmp_path.chmod(0o500)
        with pytest.raises(ConfigError, match="cannot be written to; chown it"):
            room(tmp_path / "journal", "journal", 0.0)
