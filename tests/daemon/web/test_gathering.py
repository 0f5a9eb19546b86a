"""Clips of judged events become recordings for `glatd train finetune`."""

from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra web")

from glatd.daemon.web.gathering import Gathered, gather
from glatd.daemon.web.verdicts import Verdicts
from glatd.errors import ConfigError, DataError
from tests.daemon.processes import glatd
from tests.daemon.web.test_verdicts import story


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of the journal and of the clips."""
    journal, clips = tmp_path / "journal", tmp_path / "clips"
    journal.mkdir()
    clips.mkdir()
    given = Verdicts(journal)
    for number, label, verdict in ((1, "Dog", "confirmed"), (2, "Dog", "rejected"), (3, "Cat", "confirmed")):
        one = story(number, label=label)
        given.give(one, verdict, "")
        (clips / f"{one.last.id}.flac").write_bytes(bytes([number]))
    given.give(story(4), "confirmed", "")  # its clip was removed in time
    given.give(story(1), None, "")
    given.give(story(1), "confirmed", "")
    return journal, clips


def test_confirmed_and_rejected_go_where_finetune_looks(judged: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "sounds"
    assert gather(*judged, out) == Gathered({"Cat": 1, "Dog": 1}, 1, 1)
    held = {str(path.relative_to(out).parent): path.read_bytes() for path in out.rglob("*.flac")}
    assert held == {"Cat": b"\3", "Dog": b"\1", "background": b"\2"}
    assert gather(*judged, tmp_path / "mine", "Dog", "Our dog") == Gathered({"Our dog": 1}, 1, 1)


def test_the_command_says_what_it_did(judged: tuple[Path, Path], tmp_path: Path) -> None:
    done = glatd("verdicts", judged[0], "--clips", judged[1], "--out", tmp_path / "s", "--label", "Dog")
    assert done.returncode == 0, done.stderr
    sounds = tmp_path / "s"
    assert done.stdout.splitlines() == [f"{sounds}/Dog: 1 confirmed", f"{sounds}/background: 1 rejected"]
    assert done.stderr == "1 judged events have no clip (any more)\n"


def test_nothing_to_gather_is_an_error(judged: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no verdicts\.jsonl: judge events on the dashboard"):
        gather(tmp_path, judged[1], tmp_path / "s")
    (tmp_path / "s").write_text("a file")
    with pytest.raises(DataError, match="cannot copy"):
        gather(*judged, tmp_path / "s")
