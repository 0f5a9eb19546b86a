"""The ladder: one rung after the other, down again when it is calm, slower after each relapse."""

import itertools

import pytest

from glatd.daemon.looking import Everywhere, TopK
from glatd.daemon.overload import (
    CALM_SECONDS,
    LONGEST_CALM,
    START_SECONDS,
    Overload,
    ladder,
    ladder_everywhere,
)
from glatd.engines.engine import Engine

HOP = 0.96


def started(crops: int = 5) -> Overload:
    """A policy whose grace at the start is over at second 0."""
    overload = Overload(ladder(crops), HOP)
    overload.observe(9.0, -START_SECONDS)
    return overload


def run(overload: Overload, late: float, seconds: float, start: float) -> list[float]:
    """Windows `late` s late for so long; the seconds at which the rung changed."""
    changes = []
    for number in range(round(seconds / 0.1)):
        now = start + 0.1 * number
        if overload.observe(late, now):
            changes.append(now)
    return changes


@pytest.mark.parametrize(
    ("crops", "names"),
    [
        (7, ["full", "3 crops", "1 crop", "every 2nd hop", "every 4th hop", "drop the oldest"]),
        (3, ["full", "1 crop", "every 2nd hop", "every 4th hop", "drop the oldest"]),
        (1, ["full", "every 2nd hop", "every 4th hop", "drop the oldest"]),
    ],
)
def test_the_ladder_goes_from_crops_to_hops_to_dropping(crops: int, names: list[str]) -> None:
    rungs = ladder(crops)
    assert [rung.name for rung in rungs] == names
    assert rungs[0].crops == crops and not rungs[0].drop and rungs[0].every == 1
    for one, next_one in itertools.pairwise(rungs):
        assert (one.crops, -one.every, not one.drop) > (next_one.crops, -next_one.every, not next_one.drop)


def test_where_every_crop_is_looked_at_the_ladder_has_longer_hops_alone(engine: Engine) -> None:
    rungs = ladder_everywhere(96, engine.sizes)
    assert [rung.name for rung in rungs] == ["full", "every 2nd hop", "every 4th hop", "drop the oldest"]
    assert [rung.looks for rung in rungs] == [Everywhere(96, every) for every in (1, 2, 4, 4)]
    assert [rung.crops for rung in rungs] == [8, 4, 4, 4]
    assert [rung.looks for rung in ladder(3)][:2] == [TopK(3), TopK(1)]


def test_what_waits_at_the_start_is_no_overload() -> None:
    overload = Overload(ladder(5), HOP)
    assert not run(overload, 4.0, START_SECONDS, 0) and overload.level == 0
    assert run(overload, 4.0, 2.0, START_SECONDS)


def test_a_hiccup_changes_nothing() -> None:
    overload = started()
    assert not run(overload, 0.05, 10, 0) and not run(overload, 3.0, 0.4, 10) and not run(overload, 0.05, 10, 11)
    assert overload.level == 0 and overload.steps == 0


def test_lasting_lateness_climbs_a_rung_at_a_time_to_the_last() -> None:
    overload = started()
    changes = run(overload, 2.0, 20, 0)
    assert len(changes) == len(overload.rungs) - 1 == overload.steps
    assert min(b - a for a, b in itertools.pairwise(changes)) >= 0.96 - 1e-9
    assert overload.rung.drop and changes[-1] < 6


def test_calm_leads_back_and_a_relapse_makes_it_slower() -> None:
    overload = started()
    now, waits = 0.0, []
    for _ in range(8):
        run(overload, 1.0, 1.2, now)
        climbed = now + 1.2
        level = overload.level
        assert level >= 1
        now = climbed
        while overload.level == level:
            overload.observe(0.05, now)
            now += 0.1
        waits.append(now - climbed)
    assert (
        waits[0] < CALM_SECONDS + 1
        and [round(s) for s in waits] == sorted(round(s) for s in waits)
        and waits[3] > 3 * waits[0]
    )
    assert waits[-1] < LONGEST_CALM + 1


def test_a_hiccup_now_and_then_does_not_keep_it_on_its_rung() -> None:
    overload = started()
    run(overload, 1.0, 0.6, 0)
    for number in range(200):
        overload.observe(2.0 if number % 25 == 0 else 0.05, 1 + 0.1 * number)
    assert overload.level == 0


def test_between_late_and_early_it_stays() -> None:
    overload = started()
    run(overload, 1.0, 0.6, 0)
    assert overload.level == 1
    assert not run(overload, 0.4 * HOP, 100, 1) and overload.level == 1


def test_what_can_wait_never_leaves_the_first_rung() -> None:
    overload = Overload(ladder(5), HOP, active=False)
    assert not run(overload, 100.0, 100, 0) and overload.rung.name == "full"
