"""Verdicts outlive a restart, and are what `glatd calibrate` reads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra web")

from glatd.daemon.calibrate.truth import read_truth
from glatd.daemon.web.asking import Refused
from glatd.daemon.web.stories import Story
from glatd.daemon.web.verdicts import NAME, OLD_LINES, Verdicts
from tests.daemon.journal.made import event


def story(number: int, stream: str = "yard", session: str = "s1", label: str = "Dog") -> Story:
    """One that lasted for 2 s, begun so many seconds after its stream."""
    begun = event(32_000 * number, "end", f"{number:020x}", stream, session=session)
    at = f"2026-01-01T00:00:{number:02}.000000Z"
    return Story((replace(begun, label=label, offset_time=32_000 * (number + 2), onset_at=at),))


def test_the_table_is_what_calibrate_reads(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    verdicts.give(story(9), "confirmed", "")
    verdicts.give(story(3, label="Vehicle horn, car horn, honking"), "confirmed", "the neighbour's")
    verdicts.give(story(5), "rejected", "")
    verdicts.give(story(7, stream="gate"), "rejected", "")
    verdicts.give(story(1, session="before"), "confirmed", "")
    table = tmp_path / "verdicts.tsv"
    table.write_text(verdicts.table(), encoding="utf-8")
    truth = read_truth(table, {"yard": ("yard",), "gate": ("gate",), "roof": ("roof",)})
    assert truth.onsets == {"yard": {"Dog": [9.0], "Vehicle horn, car horn, honking": [3.0]}, "gate": {}}
    assert truth.unmarked == ("roof",)
    assert table.read_text().splitlines()[:2] == [
        "filename\tonset\toffset\tevent_label",
        "yard\t3.000\t5.000\tVehicle horn, car horn, honking",
    ]
    assert verdicts.table("before").splitlines()[1:] == ["yard\t1.000\t3.000\tDog"]
    assert verdicts.table("none").splitlines() == ["filename\tonset\toffset\tevent_label"]


def test_they_outlive_a_restart_and_can_be_taken_back(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    for number in (1, 2, 3):
        verdicts.give(story(number), "confirmed", f"note {number}")
    verdicts.give(story(2), "rejected", "after all")
    verdicts.give(story(3), None, "")
    again = Verdicts(tmp_path)
    assert {line["onset"] // 32_000: (line["verdict"], line["note"]) for line in again.of.values()} == {
        1: ("confirmed", "note 1"), 2: ("rejected", "after all"),
    }  # fmt: skip
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_torn_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Verdicts(tmp_path).give(story(1), "confirmed", "")
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-20])
    verdicts = Verdicts(tmp_path)
    assert "line 1 is no verdict" in caplog.text and not verdicts.of
    verdicts.give(story(2), "confirmed", "")
    assert list(Verdicts(tmp_path).of) == [f"{2:020x}"]


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"verdict": "maybe"}, {"rate": 0}, {"onset": "1"}, {"end": 1.5}, {"id": None}, {"note": 7}],
)
def test_a_line_that_is_no_verdict_is_left_out(tmp_path: Path, change: dict[str, object]) -> None:
    Verdicts(tmp_path).give(story(1), "confirmed", "")
    path = tmp_path / NAME
    good = json.loads(path.read_text())
    path.write_text(
        json.dumps(good | change) + "\n[]\nnull\n" + "[" * 5000 + "\n" + json.dumps(good | {"id": "b"}) + "\n"
    )
    assert list(Verdicts(tmp_path).of) == ["b"]


def test_what_no_longer_holds_is_cleared_away(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    verdicts.give(story(1), "confirmed", "")
    path = tmp_path / NAME
    path.write_text(path.read_text() * (OLD_LINES + 2))
    assert len(Verdicts(tmp_path).of) == 1 and len(path.read_text().splitlines()) == 1


def test_without_a_journal_there_is_nowhere_to_keep_them() -> None:
    with pytest.raises(Refused, match="name a folder under journal"):
        Verdicts(None).give(story(1), "confirmed", "")
