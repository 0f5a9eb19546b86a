"""`glatd plot`: the pictures show what the daemon says, are the same each time, and errors are one line."""

import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from glatd.cli import cli
from glatd.daemon.assembly import make_engine
from glatd.daemon.events.rehearse import rehearse
from glatd.daemon.plot.draw import plot
from glatd.daemon.plot.folded import Folded
from glatd.daemon.plot.page import DPI, WIDTH, clock, style, two_lines
from glatd.daemon.plot.watching import Watching
from glatd.daemon.plot.whole import draw_whole
from glatd.daemon.plot.window import draw_window
from glatd.daemon.replay import plan
from glatd.engines.engine import Engine
from glatd.errors import ConfigError, GlatdError
from glatd.messages import Event, Message, Tags
from tests.conftest import ROOT
from tests.daemon.events.barking import Barking, cut_off
from tests.daemon.processes import glatd

STREET = ROOT / "demo" / "street.ogg"
GIVEN = {"engine": None, "hop": None, "events": None}


def raised(error: GlatdError) -> None:
    raise error


def watched(at: float | None) -> tuple[Watching, list[Message]]:
    """What was seen of the demo recording, and the messages of the same run."""
    (part,) = plan((STREET,), (), {"top": 0})
    said: list[Message] = []

    class Listening(Watching):
        def take(self, seen):  # type: ignore[no-untyped-def]
            said.append(self._announcer.tags(seen))
            events = super().take(seen)
            said.extend(events)
            return events

    engine = make_engine(part.settings)
    seen, _ = rehearse(part, engine, lambda *of: Listening(*of, at), float("inf"), lambda _: None, raised)
    return seen, said


@pytest.fixture(scope="module")
def window() -> tuple[Watching, list[Message]]:
    return watched(21.0)


@pytest.fixture(scope="module")
def whole() -> tuple[Watching, list[Message]]:
    return watched(None)


def test_a_window_shows_what_its_message_says(window: tuple[Watching, list[Message]]) -> None:
    seen, said = window
    look = seen.look
    assert look is not None and look.frames.shape == (1000, 128)
    # Of all windows the one whose middle is nearest to the second that was asked for.
    of = [message for message in said if isinstance(message, Tags)]
    message = min(of, key=lambda tags: abs(tags.start / tags.rate + 5 - 21.0))
    assert (look.start, look.end) == (message.start / message.rate, message.end / message.rate)
    names = [entry.name for entry in seen.manifest.labels]
    assert [(names[crop.index], crop.start, crop.end) for crop in look.crops] == [
        (crop.label, crop.start / message.rate, crop.end / message.rate) for crop in message.crops
    ]
    for tag in message.tags:
        index = names.index(tag.label)
        shown = [look.scores[index], look.global_[index], look.local[index]]
        assert shown == pytest.approx([tag.score, tag.global_, tag.local], abs=1e-6)
    # The moment lies in its crop, or in the piece at its edge, and the activation there is the greatest in the crop.
    for crop in look.crops:
        assert crop.start - 0.32 <= crop.moment <= crop.end + 0.32
        assert crop.activation <= look.framewise[crop.index].max()


def test_the_whole_shows_every_event_and_every_crop(whole: tuple[Watching, list[Message]]) -> None:
    seen, said = whole
    ends = {event.id: event for event in said if isinstance(event, Event)}
    kept = {key: event for key, event in ends.items() if event.phase != "retract"}
    assert seen.events.keys() == kept.keys() and seen.events
    rate = seen.manifest.geometry.rate
    crops = {(crop.label, crop.start) for message in said if isinstance(message, Tags) for crop in message.crops}
    assert {(seen.manifest.labels[index].name, start) for index, start in seen.crops} == crops
    assert 39.9 < seen.length <= 40.1
    # A row each 10 ms of log-mel, one each 0.32 s of activations; none is missing.
    assert seen.waterfall.seconds == 320 / rate and seen.activations.seconds == 32 * 320 / rate
    assert np.isfinite(seen.waterfall.rows()).all() and len(seen.waterfall.rows()) == pytest.approx(4000, abs=2)
    best = max(tag.score for message in said if isinstance(message, Tags) for tag in message.tags if tag.label == "Dog")
    dog = [entry.name for entry in seen.manifest.labels].index("Dog")
    assert seen.scores.rows()[:, dog].max() == pytest.approx(best, abs=1e-6)


def test_an_event_that_an_outage_ended_is_not_drawn_to_the_end(engine: Engine, tmp_path: Path) -> None:
    (part,) = plan((cut_off(tmp_path / "rec"),), (), {"top": 1})
    seen, _ = rehearse(part, Barking(engine), lambda *of: Watching(*of, None), float("inf"), lambda _: None, raised)
    assert {event.phase for event in seen.events.values()} == {"end"} and seen.length > 41
    assert all(event.offset_time is not None and event.offset_time / event.rate <= 7 for event in seen.events.values())


def test_pictures_are_files_of_their_kind_and_the_same_each_time(
    window: tuple[Watching, list[Message]], whole: tuple[Watching, list[Message]], tmp_path: Path
) -> None:
    seen = window[0]
    assert seen.look is not None
    for form, begins in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        for name in ("one", "two"):
            with style():
                draw_window(seen.look, "street", seen.manifest).save(tmp_path / f"{name}.{form}")
        one, two = ((tmp_path / f"{name}.{form}").read_bytes() for name in ("one", "two"))
        assert one.startswith(begins) and one == two
    width, height = struct.unpack(">II", (tmp_path / "one.png").read_bytes()[16:24])
    assert width == round(WIDTH * DPI) and 1000 < height < 2000
    with style():
        draw_whole(whole[0]).save(tmp_path / "whole.svg")
    assert b"<image" in (tmp_path / "whole.svg").read_bytes()


def test_the_command_draws_and_says_where(tmp_path: Path) -> None:
    done = glatd("plot", STREET, "--out", tmp_path / "x.png", "--at", "3")
    assert (done.returncode, done.stdout) == (0, "") and done.stderr.splitlines()[-1] == str(tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 50_000


@pytest.mark.parametrize(
    ("at", "out", "said"),
    [
        (None, "x.gif", "ends in .png, .svg, .pdf"),
        (None, "absent/x.png", "there is no folder"),
        (40.5, "x.png", "--at 40.5 is not in street, which has 40.0 s"),
        (float("nan"), "x.png", "--at nan"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(at: float | None, out: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        plot(STREET, tmp_path / out, at, None, GIVEN, lambda _: None, raised)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_help_names_what_it_draws() -> None:
    assert "class-wise activations" in " ".join(CliRunner().invoke(cli, ["plot", "--help"]).output.split())


@pytest.mark.parametrize("piece", [1, 7, 500])
def test_folding_keeps_the_largest_of_each_stretch(piece: int) -> None:
    """However the rows come, and however often it has to fold."""
    rows = np.random.default_rng(1).normal(size=(1000, 3)).astype(np.float32)
    folded = Folded(3, 1.0, 64)
    for first in range(0, len(rows), piece):
        folded.add(float(first), rows[first : first + piece], 1.0)
    assert folded.seconds == 16.0
    expected = [rows[first : first + 16].max(0) for first in range(0, 1000, 16)]
    assert np.array_equal(folded.rows(), np.stack(expected))


def test_rows_of_before_the_start_are_left_out() -> None:
    folded = Folded(1, 1.0, 8)
    folded.add(-2.0, np.array([[9], [8], [1], [2]], np.float32), 1.0)
    folded.add(1.0, np.array([[5]], np.float32), 1.0)
    assert folded.rows().ravel().tolist() == [1, 5]


def test_texts_fit_the_page() -> None:
    assert two_lines("Vehicle horn, car horn, honking", 22) == "Vehicle horn, car\nhorn, honking"
    assert two_lines("Dog", 22) == "Dog"
    assert [clock(value) for value in (5, 12.5, 60, 123, 3723)] == ["5", "12.5", "1:00", "2:03", "1:02:03"]
