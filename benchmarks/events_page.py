"""The figures in docs/events.md, written between two marks by the command that measures them."""

from typing import Any

from benchmarks.render import where
from benchmarks.tables import table

ROWS = {
    "scenes": ("scenes", ""),
    "with_a_window_over_0.5": ("with a window at 0.5 or more for the sound's labels", ""),
    "told": ("in which it was told", ""),
    "onset_error_median": ("onset error, median, s", ".3f"),
    "onset_error_median_of_starts": ("the same, of the onset as first told, s", ".3f"),
    "within_collar": ("onsets within 0.5 s", ".0%"),
    "start_delay_median": ("from the onset to its `start`, median, s", ".1f"),
    "end_delay_median": ("from the end to its `end`, median (`hold` is 2 s), s", ".1f"),
    "end_delay_most": ("the same, at most, s", ".2f"),
    "other_events_per_scene": ("other events a scene", ".1f"),
}
GOAL_ONSET, GOAL_F1, GOAL_COST = 0.150, 0.10, 0.20  # s; above thresholded windows; ms


def lines(result: dict[str, Any]) -> list[str]:
    """Markdown."""
    noisy, busy, found, cost = (result[key] for key in ("in_noise", "busy", "detection", "deciding_ms"))
    worst = max(noisy["onset_error_median"], busy["onset_error_median"])
    return [
        *where(result),
        "### When",
        "",
        *table(
            ("", "in noise", "busy"),
            [
                (words, *(format(of[key], form) if key in of else None for of in (noisy, busy)))
                for key, (words, form) in ROWS.items()
            ],
        ),
        f"Measured at commit {result['scenes_of_commit']}. {goal(worst <= GOAL_ONSET)}: a median onset error of "
        f"{GOAL_ONSET:.3f} s or less; it is {worst:.3f} s at most, and {found['onset_error_median']:.3f} s in the "
        f"minutes below ({found['told']} of {found['sounds']} sounds were told, {found['within_collar']:.0%} of these "
        f"within {found['collar_s']:g} s). There an `end` came {found['end_delay_most']:.2f} s after the end at most; "
        "`hold` and two hops are 3.92 s.",
        "",
        "### What",
        "",
        *detection_lines(found),
        "### What deciding costs",
        "",
        f"{cost['without_median']:.2f} ms a window in which no class scores 0.5, and {cost['with_a_class_median']:.2f} "
        f"ms in the median of those with one ({cost['with_a_class_mean']:.2f} in the mean), in {cost['windows']} "
        f"windows of busy scenes on one core of an {result['machine']['cpu']} whose load was "
        f"{result['machine']['load_before']:g} as it began. "
        f"{goal(cost['with_a_class_median'] <= GOAL_COST)}: {GOAL_COST:.2f} ms.",
        "",
    ]


def detection_lines(found: dict[str, Any]) -> list[str]:
    """F1 and PSDS."""
    macro, micro = found["event_f1_macro"], found["event_f1_micro"]
    gain = macro["events"] - macro["windows"]
    psds = found["psds"]
    rows: list[tuple[object, ...]] = [
        ("event F1, mean of the classes", f"{macro['events']:.3f}", f"{macro['windows']:.3f}"),
        ("event F1, all events together", f"{micro['events']:.3f}", f"{micro['windows']:.3f}"),
    ]
    if "events" in psds:
        for which in ("psds1", "psds2"):
            rows.append((which.upper(), f"{psds['events'][which]:.3f}", f"{psds['windows'][which]:.3f}"))
    each = found["of_each_class"]
    made = [
        f"{found['minutes']} minutes to set thresholds on and {found['minutes']} to judge on, of 8 sounds each: "
        f"{found['sounds']} sounds of {found['classes']} classes in the latter.",
        "",
        *table(("", "events", "windows of the global stream"), rows),
        f"{goal(gain >= GOAL_F1)}: an event F1 that is {GOAL_F1:.2f} or more above that of the windows; it is "
        f"{gain:+.3f}, {found['lag_of_windows_s']:g} s taken off the windows' onsets.",
        "",
    ]
    if "left_out" in psds:
        made += [f"PSDS was left out: it {psds['left_out']}.", ""]
    return [
        *made,
        *table(
            ("class", "sounds", "`on`", "F1 of events", "of windows"),
            [
                (name, of["sounds"], f"{of['on']:.2f}", f"{of['events']:.2f}", f"{of['windows']:.2f}")
                for name, of in each.items()
            ],
        ),
    ]


def goal(reached: bool) -> str:
    """As a sentence begins."""
    return "Reached" if reached else "Not reached"
