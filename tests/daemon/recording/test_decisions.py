"""Events that two runs have told alike: each has its other, however many look the same."""

from collections.abc import Sequence

from glatd.daemon.recording.decisions import Common, Decision, compare_decisions
from glatd.daemon.recording.verdict import Verdict

ALL_ALIKE = Common((), (), None, None, swapped=False)
SEEN = 1 << 62


def update(peak: float, onset: int = 32_000, phase: str = "update") -> Decision:
    """One of an event that goes on: only what it has reached tells it from the one before."""
    fields = {"mid": "/m/dog", "label": "Dog", "phase": phase, "onset": onset, "offset_time": None, "rate": 32_000}
    return {**fields, "peak": peak, "mean": peak}, SEEN


def compared(expected: Sequence[Decision], found: Sequence[Decision]) -> Verdict:
    verdict = Verdict()
    compare_decisions(expected, found, ALL_ALIKE, verdict)
    return verdict


def test_updates_of_one_event_are_each_held_against_its_own() -> None:
    run = [update(0.5), update(0.7), update(0.9)]
    verdict = compared(run, run)
    assert not verdict.differences and verdict.equal == {"events": 3}


def test_one_update_less_is_one_difference() -> None:
    run = [update(0.5), update(0.7), update(0.9)]
    (lacking,) = compared(run, run[:2]).differences
    assert lacking.what == "update of Dog at 1.00 s was expected, none came"
    (more,) = compared(run[:2], run).differences
    assert more.what == "update of Dog at 1.00 s came, none was expected"
    assert compared(run, run[:2]).equal == compared(run[:2], run).equal == {"events": 2}


def test_one_that_has_moved_is_told_once() -> None:
    verdict = compared([update(0.5), update(0.6, 64_000)], [update(0.6, 64_000), update(0.5, 33_000)])
    assert [one.what for one in verdict.differences] == [
        "update of Dog at 1.00 s expected, update of Dog at 1.03 s came"
    ]
