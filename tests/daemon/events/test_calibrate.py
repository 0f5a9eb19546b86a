"""`glatd calibrate`: thresholds from what was recorded, and how far they can be trusted."""

import json
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glatd.cli import cli
from glatd.daemon.calibrate.calibrate import by_labels, by_rate
from glatd.daemon.calibrate.matching import Counts, match
from glatd.daemon.calibrate.report import as_table, as_toml, in_words
from glatd.daemon.calibrate.site import Site, listen
from glatd.daemon.calibrate.thresholds import candidates, for_f1, for_rate, poisson_bound
from glatd.daemon.calibrate.truth import Truth, read_truth
from glatd.daemon.events.tape import decide
from glatd.daemon.replay import plan
from glatd.daemon.settings import read_settings
from glatd.daemon.tagger import Tagger
from glatd.engines.engine import Engine
from glatd.errors import DataError
from glatd.messages import Event
from tests.daemon.events.barking import DOG, Barking, barks
from tests.daemon.sounds import RATE, write_wav

SPANS = ((6.0, 7.0), (14.0, 14.6), (24.0, 25.5))  # s, loud
FAINT = (30.0, 31.0)  # s, less so


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 s with three loud barks and a faint one."""
    samples = barks(36, *SPANS)
    samples[round(FAINT[0] * RATE) : round(FAINT[1] * RATE)] *= 60  # 20 dB below the others
    return write_wav(tmp_path_factory.mktemp("site") / "yard.wav", samples)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def site(engine: Engine, yard: Path, lines: list[str]) -> Site:
    """What Barking heard there."""
    parts = plan([yard], (), {"top": 1})
    return listen(parts, Barking(engine), (), lines.append, every=0.0)


def test_what_was_noted_is_decided_as_it_is_live(engine: Engine, site: Site, yard: Path) -> None:
    """Under the same rules the events are equal, but for the names and the day."""
    from glatd.audio import read_mono

    tagger = Tagger(Barking(engine), start=0.0, events=read_settings(None).events)
    live = [*tagger.push(read_mono(yard, RATE)), *tagger.finish()]

    def plain(events: Sequence[object]) -> list[tuple[object, ...]]:
        return [
            (e.phase, e.label, e.onset, e.offset_time, e.peak, e.mean, e.evidence, e.cause)
            for e in events
            if isinstance(e, Event)
        ]

    (stream,) = site.streams
    assert plain(decide(stream.turns, stream.rules, site.manifest)) == plain(live) != []
    assert stream.name == "yard" and stream.seconds == pytest.approx(36.0, abs=0.01)


def test_it_tells_how_far_it_is(site: Site, lines: list[str]) -> None:
    assert lines[0].startswith("yard: listened to 0:00:0") and " of 0:00:36, " in lines[0]


def test_no_false_alarm_is_told_at_what_is_found(site: Site) -> None:
    """Three events in 36 s are far more than 0.2 an hour, and so few say nothing of how rare higher scores are."""
    found = by_rate(site, 0.2, lambda line: None)
    one = found[DOG]
    assert site.peaks(DOG, 0.5, {}) != [] and site.peaks(DOG, one.on, {}) == []
    assert (one.basis, one.told) == ("few", 0) and 0.5 < one.on <= 0.99
    words = " ".join(in_words(found, site, 0.2))
    assert "cannot be counted in 0.01 h" in words and "15 h without a false alarm would show it" in words
    assert all(len(line) <= 80 for line in as_table(found, site))


def test_a_rate_that_the_recording_can_show_is_counted(site: Site) -> None:
    """As many events as the rate allows are told, and events are what is counted: one bark is in ten windows."""
    found = by_rate(site, 3 / site.hours, lambda line: None)
    one = found[DOG]
    assert one.basis == "counted" and one.told == len(site.peaks(DOG, one.on, {})) <= 3
    lower = [on for on in candidates() if on < one.on]
    assert not lower or len(site.peaks(DOG, lower[-1], {})) > 3


def test_the_rules_read_and_keep_general_classes_from_being_told_beside(
    engine: Engine, site: Site, tmp_path: Path
) -> None:
    found = by_rate(site, 0.2, lambda line: None)
    path = tmp_path / "rules.toml"
    path.write_text("[events]\nhold = 2.0\n" + as_toml(found, site, "a test", (), beside=False), encoding="utf-8")
    rules = read_settings(path).events.rule
    assert {rule.labels[0] for rule in rules} == {site.manifest.labels[index].name for index in found}
    assert all(rule.on and rule.off and rule.off < rule.on and not rule.beside for rule in rules)


def test_labels_set_the_threshold_of_the_best_f1(site: Site, yard: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.tsv"
    rows = "".join(f"yard.wav\t{start}\t{end}\tDog\n" for start, end in SPANS)
    table.write_text(f"filename\tonset\toffset\tevent_label\n{rows}", encoding="utf-8")
    truth = read_truth(table, {"yard": ("yard", "yard.wav")})
    assert truth == Truth({"yard": {"Dog": [6.0, 14.0, 24.0]}}, ("Dog",), ())
    one = by_labels(site, truth, None, lambda line: None)[DOG]
    assert one.basis == "labels" and one.counts is not None
    best = max(site.counts(DOG, on, truth.onsets["yard"] and {"yard": [6.0, 14.0, 24.0]}).f1 for on in candidates())
    assert one.counts.f1 == pytest.approx(best, abs=0.02) and one.counts.hits == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("onset,event_label\n1.0,Dgo\n", "Dog"),
        ("filename,onset,event_label\nporch.wav,1.0,Dog\n", "there is no recording 'porch.wav'"),
        ("onset,event_label\nsoon,Dog\n", "onset 'soon' is no time"),
        ("a,b\n1,2\n", "it needs filename, onset, offset and event_label"),
        ("onset,event_label\n", "it needs filename"),
        ("filename,onset,event_label\nyard,,\n", "marks no event"),
    ],
)
def test_labels_that_cannot_be_are_refused(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_truth(table, {"yard": ("yard", "yard.wav")})


def test_the_tail_tells_how_rare_higher_scores_are() -> None:
    """Scores whose log odds are exponential: the threshold of a tenth of an event is where it should be."""
    rng = np.random.default_rng(3)
    odds = rng.exponential(0.4, 400) - 2.0
    scores = (1 / (1 + np.exp(-odds))).tolist()
    one = for_rate(lambda on: [score for score in scores if score >= on], 0.1, 1.0, 0.5)
    assert one.basis == "extrapolated" and one.told == 0
    true = -2.0 + 0.4 * math.log(400 / 0.1)  # exceeded by 0.1 of an event
    assert math.log(one.on / (1 - one.on)) == pytest.approx(true, abs=0.9)
    many = for_rate(lambda on: [0.995] * 50, 0.2, 1.0, 0.5)
    assert (many.basis, many.told) == ("too often", 50) and many.on > 1


@pytest.mark.parametrize(("hours", "on"), [(10.0, 0.5), (20.0, 0.1)])
def test_a_threshold_is_lowered_only_by_a_quiet_that_proves_enough(hours: float, on: float) -> None:
    """Nothing in 10 h leaves up to 0.3 an hour, in 20 h 0.15."""
    assert for_rate(lambda _: [], 0.2, hours, 0.5).on == on


def test_poisson_bounds_are_those_of_the_tables() -> None:
    assert [round(poisson_bound(count), 2) for count in (0, 1, 2, 10)] == [3.0, 4.74, 6.3, 16.96]
    assert poisson_bound(1000) == pytest.approx(1053, abs=2)


def test_where_thresholds_are_alike_the_middle_one_is_taken() -> None:
    grid = candidates()

    def counted(on: float) -> Counts:
        good = grid[10] <= on <= grid[20]
        return Counts(8, 0, 2) if good else Counts(8, 40, 2)

    one = for_f1(counted, counted, math.inf)
    assert one is not None and one.on == grid[15]
    assert for_f1(lambda on: Counts(1, 5, 0), counted, 0) is None


ONSETS = st.lists(st.integers(0, 60).map(lambda tenths: tenths / 10), max_size=6)


@given(ONSETS, ONSETS)
def test_matching_pairs_as_many_as_can_be(told: list[float], known: list[float]) -> None:
    """Held to trying all ways."""

    def best(left: tuple[float, ...], right: tuple[float, ...]) -> int:
        if not left or not right:
            return 0
        skipped = best(left[1:], right)
        return max(
            [
                skipped,
                *(
                    1 + best(left[1:], right[:i] + right[i + 1 :])
                    for i, r in enumerate(right)
                    if abs(left[0] - r) <= 0.5
                ),
            ]
        )

    counts = match(told, known)
    assert counts.hits == best(tuple(told), tuple(known))
    assert (counts.hits + counts.false, counts.sounds) == (len(told), len(known))


def test_the_command_writes_rules_that_replay_takes(yard: Path, tmp_path: Path) -> None:
    """With the default engine: what it says of noise bursts is its own affair, that the rules read is ours."""
    from click.testing import CliRunner

    out = tmp_path / "site.toml"
    short = write_wav(tmp_path / "porch.wav", barks(8, (3.0, 4.0)))
    done = CliRunner().invoke(cli, ["calibrate", str(short), "--false-alarms-per-hour", "0.2", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "rests on" in done.stderr and "0.00 h of audio in 1 stream" in done.stderr
    tomllib.loads(out.read_text(encoding="utf-8"))
    played = CliRunner().invoke(cli, ["replay", str(short), "--rules", str(out), "--format", "jsonl"])
    assert played.exit_code == 0
    said = [json.loads(line) for line in played.stdout.splitlines()]
    assert not [message for message in said if message["type"] == "event" and message["phase"] == "start"]
