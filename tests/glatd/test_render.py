"""What people and programs see of a message."""

import json
from typing import Any

import pytest

from glatd.messages import Event, Gap, Message, Status, Tag, Tags, Unknown, to_map
from glatd.render import TextView, as_json, bar, clock, level_mark

HEAD = {"node": "n", "session": "s", "stream": "yard", "time": "2026-01-01T00:00:25.920000Z"}
GAP = Gap(**HEAD, start=32_000, end=48_000, rate=32_000, cause="overload")


def tags(*scores: tuple[str, float], end: int = 64_000, dbfs: float = -31.2) -> Tags:
    found = tuple(Tag(name, "/m/x", score, score, score) for name, score in scores)
    return Tags(
        **HEAD, seq=0, start=end - 320_000, end=end, rate=32_000, filled=0.2, level_dbfs=dbfs,
        engine="e", tags=found, crops=(),
    )


def status(state: str) -> Status:
    return Status(
        **HEAD, state=state, uri="mic:", engine="e", rate=32_000, samples=0, lost=0, windows=0, late_ms=0.0,
        reason="because",
    )


@pytest.mark.parametrize("message", [tags(("Dog", 0.91)), GAP, status("live")])
def test_a_line_of_json_is_the_map_of_the_wire(message: Message) -> None:
    line = as_json(message)
    assert "\n" not in line
    assert json.loads(line) == to_map(message)


def test_json_keeps_letters_as_they_are() -> None:
    assert "ü" in as_json(tags(("Glühwürmchen", 0.5)))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\x00\xff", "b'\\x00\\xff'"),
        (float("nan"), "nan"),
        ({b"k": [b"v"]}, {"b'k'": ["b'v'"]}),
        ((1, None), [1, None]),
    ],
)
def test_an_unknown_message_is_json_whatever_it_holds(value: Any, shown: Any) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    line = as_json(Unknown("weather", {"v": 1, "type": "weather", "x": value}))
    assert json.loads(line, parse_constant=refuse)["x"] == shown


@pytest.mark.parametrize(
    ("sample", "shown"),
    [
        (0, "0.00"), (31_999, "1.00"), (61_440, "1.92"), (60 * 32_000, "1:00.00"), (60 * 32_000 - 1, "1:00.00"),
        (119 * 32_000 + 31_999, "2:00.00"), (3_723 * 32_000 + 12_800, "1:02:03.4"), (100_000 * 32_000, "27:46:40.0"),
    ],
)
def test_positions_read_as_clocks(sample: int, shown: str) -> None:
    assert clock(sample, 32_000) == shown


def test_a_bar_is_always_as_wide_as_it_should_be() -> None:
    for value in (-1.0, 0.0, 0.001, 0.5, 0.9999, 1.0, 7.0):
        assert len(bar(value)) == 10
    assert bar(1.0) == "█" * 10 and bar(0.0) == " " * 10


def test_a_level_beyond_the_scale_has_its_end() -> None:
    assert level_mark(-120.0) == "▁" and level_mark(6.0) == "█"


def test_a_window_is_one_line_that_fits_the_terminal() -> None:
    message = tags(("Dog", 0.91), ("Animal", 0.5), ("Domestic animals, pets", 0.4), ("Growling", 0.3))
    for width in (40, 60, 80, 200):
        (line,) = TextView(width=width, names=False).lines(message)
        assert len(line) <= width
    assert "2.00" in line and "0.91 Dog" in line and "Growling 0.30" in line


def test_weak_tags_are_not_shown() -> None:
    (line,) = TextView(width=120).lines(tags(("Dog", 0.09)))
    assert "Dog" not in line


def test_colours_are_only_where_they_are_wanted() -> None:
    message = tags(("Dog", 0.91))
    assert "\033" not in "".join(TextView(width=120).lines(message))
    assert "\033" in "".join(TextView(width=120, colour=True).lines(message))


def test_lost_audio_is_told_with_its_length_and_cause() -> None:
    assert TextView(names=False).lines(GAP) == ["     1.00  lost 0.50 s: overload"]


def test_a_status_is_shown_where_several_streams_are() -> None:
    assert TextView(names=False).lines(status("live")) == []
    (line,) = TextView().lines(status("live"))
    assert "yard" in line and "live mic: because" in line


def test_events_and_unknown_messages_do_not_break_the_view() -> None:
    event = Event(
        **HEAD, offset=1, id="1", phase="start", label="Dog", mid="/m/x", rate=32_000, onset=0, offset_time=None,
        peak=0.9, mean=0.8, evidence={}, cause="",
    )
    (line,) = TextView().lines(event)
    assert "start Dog 0.90 from 0.00" in line
    assert TextView().lines(Unknown("weather")) == []


def test_the_summary_has_the_peaks_and_where_they_were() -> None:
    view = TextView(width=120, names=False)
    view.lines(tags(("Dog", 0.4), ("Cat", 0.2), end=64_000))
    view.lines(tags(("Dog", 0.9), ("Rain", 0.5), end=96_000))
    view.lines(tags(("Dog", 0.6), end=128_000))
    heading, *lines = view.summary()
    assert heading == "heard"
    assert [line.split()[-6:] for line in lines] == [
        ["█████████", "0.90", "Dog", "at", "3.00", "s"], ["█████", "0.50", "Rain", "at", "3.00", "s"],
    ]


def test_a_summary_of_nothing_says_so() -> None:
    assert TextView().summary(least=0.3) == ["nothing scored 0.3 or more"]
