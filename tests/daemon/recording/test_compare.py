"""What counts as a difference between a run and its replay, and what is only counted."""

from collections import Counter
from pathlib import Path

import pytest

from glatd.daemon.recording.compare import StreamComparison
from glatd.daemon.recording.expected import Expected
from glatd.daemon.recording.report import MOST_SHOWN, report
from glatd.daemon.recording.verdict import AFTER_THE_RECORDING, AFTER_THE_RUN, FEWER_CROPS, SKIPPED, UNHEARD, Verdict
from glatd.errors import ConfigError, DataError
from glatd.messages import Crop, Event, Gap, Message, Status, Tag, Tags, to_map
from glatd.render import as_json

RATE = 32_000  # Hz
HOP = 30_720  # samples
ALL = {"tags", "gap", "event"}


def window(number: int, crops: int = 5, filled: float = 1.0, **scores: float) -> Tags:
    """The window that ends after so many hops."""
    tags = tuple(Tag(label, label, score, score, score) for label, score in (scores or {"Dog": 0.5}).items())
    places = tuple(Crop("Dog", 0, 96_000, 0.5) for _ in range(crops))
    end = number * HOP
    return Tags("n", "s", "x", "", number, end - 10 * RATE, end, RATE, filled, -30.0, "e", tags, places)


def gap(start: float, end: float, cause: str) -> Gap:
    """From second to second."""
    return Gap("n", "s", "x", "", int(start * RATE), int(end * RATE), RATE, cause)


def event(onset: float, label: str = "Dog", phase: str = "start", peak: float = 0.9) -> Event:
    """At a second."""
    at = int(onset * RATE)
    return Event("n", "s", "x", "", 0, "i", phase, label, label, RATE, at, None, peak, peak, {}, "")  # type: ignore[arg-type]


def state(name: str, seconds: float = 100.0, skipped: int = 0) -> Status:
    """A report."""
    return Status("n", "s", "x", "", name, "u", "e", RATE, int(seconds * RATE), 0, 0, 0.0, skipped=skipped)


def compare(expected: list[Message], found: list[Message], overloaded: bool = False, complete: bool = True) -> Verdict:
    """The verdict over two runs of one stream."""
    comparison = StreamComparison([to_map(message) for message in expected], ALL, overloaded)
    for message in found:
        comparison(message)
    return comparison.finish(complete)


def told(verdict: Verdict) -> list[str]:
    """The differences in words."""
    return [difference.what for difference in verdict.differences]


def test_scores_may_differ_by_a_thousandth() -> None:
    assert told(compare([window(1, Dog=0.5)], [window(1, Dog=0.5009)])) == []
    verdict = compare([window(1, Dog=0.5, Cat=0.4)], [window(1, Dog=0.502, Cat=0.41)])
    assert told(verdict) == ["Cat 0.400 expected, 0.410 came and 1 more"]


def test_a_class_at_the_end_of_a_list_may_change_places_with_one_that_was_cut_off() -> None:
    assert told(compare([window(1, Dog=0.5, Cat=0.2)], [window(1, Dog=0.5, Cow=0.2004)])) == []
    verdict = compare([window(1, Dog=0.5, Cat=0.3)], [window(1, Dog=0.5, Cow=0.2)])
    assert told(verdict) == ["Cat 0.300 expected, at most 0.200 came"]
    verdict = compare([window(1, Dog=0.5)], [window(1, Dog=0.5, Cow=0.6)])
    assert told(verdict) == ["Cow at most 0.500 expected, 0.600 came"]
    assert told(compare([window(1)], [window(1, filled=0.9)])) == ["filled 1.0 expected, 0.9 came"]


def test_windows_that_are_missing_or_too_many_are_told_where_they_are() -> None:
    verdict = compare([window(1), window(2)], [window(1), window(3)])
    assert told(verdict) == ["a window was expected, none came", "a window came, none was expected"]
    assert [difference.sample for difference in verdict.differences] == [2 * HOP, 3 * HOP]
    assert verdict.equal == Counter(windows=1)


def test_what_comes_after_a_run_was_stopped_is_only_counted() -> None:
    ran: list[Message] = [window(1), state("stopped")]
    assert compare(ran, [window(1), window(2), gap(9, 10, "x")]).excused == {
        f"windows {AFTER_THE_RUN}": 1, f"gaps {AFTER_THE_RUN}": 1,
    }  # fmt: skip
    ran[-1] = state("ended")
    assert len(told(compare(ran, [window(1), window(2)]))) == 1


def test_what_a_run_had_seen_before_it_was_stopped_is_compared() -> None:
    ended = event(0.5, phase="end")
    ran: list[Message] = [window(1), event(0.5), window(2), event(0.6, "Cat"), ended, state("stopped")]
    found: list[Message] = [window(1), window(2), event(0.7, "Cat"), window(3), event(0.5, "Cow")]
    verdict = compare(ran, found)
    # The end is that of the run; the cow was heard only in the window that it was stopped in.
    assert told(verdict) == [
        "start of Dog at 0.50 s was expected, none came",
        "start of Cat at 0.60 s expected, start of Cat at 0.70 s came",
    ]
    assert verdict.excused[f"events {UNHEARD}"] == 2
    # Of events alone nobody knows what was seen before.
    alone = [message for message in ran if not isinstance(message, Tags)]
    assert not told(compare(alone, found))


def test_a_recording_that_was_cut_off_lacks_the_end_and_nothing_else() -> None:
    ran: list[Message] = [window(number) for number in (1, 2, 3)]
    found: list[Message] = [window(1), state("ended", seconds=1.0)]
    verdict = compare(ran, found, complete=False)
    assert verdict.excused == {f"windows {AFTER_THE_RECORDING}": 2} and not told(verdict)
    assert len(told(compare(ran, found))) == 2
    assert len(told(compare([window(1), window(2)], [window(2), state("ended", 2.0)], complete=False))) == 1


def test_what_a_run_says_it_skipped_under_overload_is_only_counted() -> None:
    found: list[Message] = [window(number) for number in (1, 2, 3, 4)]
    verdict = compare([window(1), window(4), state("ended", skipped=2)], found)
    assert verdict.excused == {f"windows {SKIPPED}": 2} and not told(verdict)
    assert len(told(compare([window(1), window(4), state("ended", skipped=1)], found))) == 1
    # One that was killed has not said how many it skipped at last.
    assert not told(compare([window(1), window(4), state("live")], found, overloaded=True))
    assert len(told(compare([window(1), window(4), state("live")], found))) == 2


def test_fewer_crops_are_an_excuse_only_under_overload() -> None:
    verdict = compare([window(1, crops=1, Dog=0.1)], [window(1)], overloaded=True)
    assert verdict.excused == {f"windows {FEWER_CROPS}": 1}
    assert len(told(compare([window(1, crops=1, Dog=0.1)], [window(1)]))) == 1


@pytest.mark.parametrize("ours", [True, False])
def test_windows_with_audio_that_one_of_both_lacks_are_only_counted(ours: bool) -> None:
    lost = gap(1.0, 1.5, "disk full" if ours else "overload")
    ran: list[Message] = [window(1), window(2, Dog=0.1), window(11, Dog=0.1), window(12, Dog=0.1), window(13)]
    found: list[Message] = [window(1), window(2), window(3), window(11), window(12), window(13)]
    (found if ours else ran).insert(1, lost)
    verdict = compare(ran, found)
    # Up to the window whose first sample comes after it: 12 hops are 11.52 s.
    assert verdict.excused == {f"windows {UNHEARD}": 3}
    assert told(verdict) == ["Dog 0.100 expected, 0.500 came"] and verdict.differences[0].sample == 12 * HOP
    assert verdict.equal["windows"] == 2


def test_gaps_are_compared_by_place_and_cause() -> None:
    assert compare([gap(1, 2, "a")], [gap(1, 2, "a")]).equal == {"gaps": 1}
    assert told(compare([gap(1, 2, "a")], [gap(1, 3, "a")])) == [
        "a gap of 1.000 s (a) was expected, none came",
        "a gap of 2.000 s (a) came, none was expected",
    ]


def test_events_are_compared_as_decisions() -> None:
    assert compare([event(1.0)], [event(1.0, peak=0.9005)]).equal == {"events": 1}
    assert told(compare([event(1.0)], [event(1.96)])) == [
        "start of Dog at 1.00 s expected, start of Dog at 1.96 s came"
    ]
    assert told(compare([event(1.0)], [event(9.0)])) == [
        "start of Dog at 1.00 s was expected, none came",
        "start of Dog at 9.00 s came, none was expected",
    ]
    assert told(compare([event(1.0)], [event(1.0, "Cat")])) == [
        "start of Dog at 1.00 s was expected, none came",
        "start of Cat at 1.00 s came, none was expected",
    ]
    assert told(compare([event(1.0)], [event(1.0, peak=0.95)])) == [
        "start of Dog at 1.00 s: peak 0.900 expected, 0.950 came, mean 0.900 expected, 0.950 came"
    ]
    lost: list[Message] = [gap(0.5, 0.8, "disk full")]
    assert compare([event(1.0)], lost).excused == {f"events {UNHEARD}": 1}


def test_a_stream_that_was_removed_and_added_again_has_two_lives(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    said = [state("starting"), window(1), window(2), state("ended"), state("starting"), window(1), state("stopped")]
    other = to_map(window(9)) | {"stream": "y"}
    path.write_text(
        "".join(as_json(message) + "\n" for message in said) + f"{other}\n".replace("'", '"').replace("False", "false")
    )
    expected = Expected(path)
    assert expected.streams == {"x", "y"} and expected.types == {"tags"}
    assert [[message["type"] for message in life] for life in expected.of("x")] == [
        ["status", "tags", "tags", "status"], ["status", "tags", "status"],
    ]  # fmt: skip


def test_a_file_of_something_else_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    line = as_json(window(1)) + "\n"
    path.write_text(line + line[:40])  # a run that was killed
    assert len(Expected(path).of("x")[0]) == 1
    path.write_text(line + "nonsense\n")
    with pytest.raises(DataError, match="line 2, is no message in JSON"):
        Expected(path)
    path.write_text(line.replace('"end"', '"END"'))
    with pytest.raises(DataError, match="line 1, lacks end"):
        Expected(path)
    with pytest.raises(ConfigError, match="check the path of --expect"):
        Expected(tmp_path / "none")


def test_a_report_shows_the_first_differences_and_counts_the_rest() -> None:
    verdicts = {
        "yard": compare([window(number) for number in range(1, 31)], [window(2)]),
        "hall": compare([window(1)], [window(1)]),
    }
    lines = report(verdicts, ["attic"])
    assert lines[0] == "     0.96  yard         a window was expected, none came"
    assert lines[MOST_SHOWN:] == [
        "           and 9 more",
        "stream attic is expected, but it was not replayed",
        "different: 29 differences; 2 windows as expected",
    ]
    assert report({"hall": verdicts["hall"]}) == ["equal: 1 windows as expected"]
