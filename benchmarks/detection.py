"""Event F1 with thresholds set on other minutes, beside thresholded windows of the global stream alone; and PSDS.

Both get the same: one threshold a class, by the search of `glatd calibrate --labels`, on minutes whose sounds were cut
from other recordings. The windows get, besides, what of their lateness is always the same: an onset is put so many
seconds before the end of the first window over the threshold as was best on the minutes to calibrate on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import minutes, psds, scored
from benchmarks.progress import say
from glatd.daemon.calibrate.calibrate import by_labels
from glatd.daemon.calibrate.matching import COLLAR, Counts, match
from glatd.daemon.calibrate.site import Listened, Site
from glatd.daemon.calibrate.thresholds import candidates, for_f1
from glatd.daemon.calibrate.truth import Truth
from glatd.daemon.events.hearing import Hearing
from glatd.daemon.events.machine import EVER
from glatd.daemon.events.rules import Rules, resolve
from glatd.daemon.events.settings import EventSettings, RuleSettings
from glatd.daemon.events.tape import Ended, Looked
from glatd.daemon.looking import Looking
from glatd.engines.engine import Engine

LAGS = tuple(round(0.2 * step, 1) for step in range(16))  # s, that windows may be late
HOLD = EventSettings().hold  # s


@dataclass(frozen=True, slots=True)
class Side:
    """Minutes that were listened to, and what sounds in them."""

    hearings: tuple[tuple[Hearing, ...], ...]
    sounds: tuple[tuple[minutes.Sound, ...], ...]

    def known(self, label: str) -> list[list[float]]:
        """Onsets of a class in each minute."""
        return [[sound.onset for sound in of if sound.label == label] for of in self.sounds]


def listen(
    engine: Engine,
    clips: dict[str, list[Path]],
    count: int,
    seed: int,
    work: Path | None,
    looking: Looking | None = None,
) -> Side:
    """So many minutes."""
    made = []
    for number, minute in enumerate(minutes.minutes(clips, count, seed)):
        say(f"minute {number + 1} of {count} to {'judge' if seed else 'set thresholds'} on")
        made.append((tuple(scored.heard(engine, minute.samples, work, looking)), minute.sounds))
    return Side(tuple(hearings for hearings, _ in made), tuple(sounds for _, sounds in made))


def measure(engine: Engine, data: Path, recipe_file: Path, count: int, work: Path | None) -> dict[str, Any]:
    """Thresholds on `count` minutes, figures on as many others."""
    one, other = minutes.sides(data, recipe_file)
    labels = sorted(one)
    setting, judging = listen(engine, one, count, 0, work), listen(engine, other, count, 1, work)
    events, thresholds = by_events(engine, labels, setting, judging)
    windows, lag = by_windows(engine, labels, setting, judging)
    errors, late = timing(engine, thresholds, judging)
    return {
        "minutes": count,
        "classes": len(labels),
        "sounds": sum(map(len, judging.sounds)),
        "collar_s": COLLAR,
        "event_f1_macro": {"events": macro(events), "windows": macro(windows)},
        "event_f1_micro": {"events": micro(events), "windows": micro(windows)},
        "lag_of_windows_s": lag,
        "told": len(errors),
        "onset_error_median": round(float(np.median(np.abs(errors))), 3),
        "within_collar": round(float((np.abs(errors) <= COLLAR).mean()), 3),
        "end_delay_median": round(float(np.median(late)), 2),
        "end_delay_most": round(float(np.max(late)), 2),
        "of_each_class": {
            label: {
                "sounds": round(events[label].sounds),
                "on": thresholds[label],
                "events": round(events[label].f1, 3),
                "windows": round(windows[label].f1, 3),
            }
            for label in labels
        },
        "psds": psds.measure(engine, labels, judging.hearings, judging.sounds, lag),
    }


def macro(counts: dict[str, Counts]) -> float:
    """Mean F1 of the classes."""
    return round(sum(one.f1 for one in counts.values()) / len(counts), 3)


def micro(counts: dict[str, Counts]) -> float:
    """F1 of all events together."""
    return round(sum(counts.values(), Counts()).f1, 3)


def rules_for(engine: Engine, labels: Sequence[str]) -> Rules:
    """These classes alone, each for itself."""
    told = RuleSettings(labels=tuple(labels), children=False, publish=True)
    hop = scored.hop_of(engine)
    return resolve(EventSettings(publish=False, rule=(told,)), engine.manifest.labels, engine.sizes, hop, "")


def site_of(engine: Engine, labels: Sequence[str], side: Side) -> Site:
    """As `glatd calibrate` has it."""
    rules, rate = rules_for(engine, labels), engine.sizes.rate
    streams = [
        Listened(
            str(number),
            minutes.SECONDS,
            (*(Looked(hearing, hearing.window.end / rate) for hearing in of), Ended("end of stream")),
            rules,
        )
        for number, of in enumerate(side.hearings)
    ]
    return Site(tuple(streams), engine.manifest)


def truth_of(labels: Sequence[str], side: Side) -> Truth:
    """As a table of labels would say it."""
    onsets = {
        str(number): {label: [sound.onset for sound in of if sound.label == label] for label in labels}
        for number, of in enumerate(side.sounds)
    }
    return Truth(onsets, tuple(labels), ())


def by_events(
    engine: Engine, labels: Sequence[str], setting: Side, judging: Side
) -> tuple[dict[str, Counts], dict[str, float]]:
    """The decider, with thresholds as of `glatd calibrate --labels`."""
    found = by_labels(site_of(engine, labels, setting), truth_of(labels, setting), None, lambda line: None)
    names, site, truth = engine.manifest.names, site_of(engine, labels, judging), truth_of(labels, judging)
    counts = {}
    for label in labels:
        index = names.index(label)
        known = {stream: of[label] for stream, of in truth.onsets.items()}
        counts[label] = site.counts(index, found[index].on, known)
        site.forget()
    return counts, {label: found[names.index(label)].on for label in labels}


def timing(engine: Engine, thresholds: Mapping[str, float], side: Side) -> tuple[list[float], list[float]]:
    """Seconds by which the onset of each sound that was told is off, and from each event's end to its message."""
    names, site, rate = engine.manifest.names, site_of(engine, sorted(thresholds), side), engine.sizes.rate
    errors, late = [], []
    for label, on in thresholds.items():
        for (_, events), sounds in zip(site.told(names.index(label), on, {}), side.sounds, strict=True):
            taken = {event.id for event in events if event.phase == "retract"}
            over = [event for event in events if event.phase == "end" and event.id not in taken]
            spans = [(e.onset / rate, e.offset_time / rate) for e in over if e.offset_time is not None]
            late += [
                seconds_of(event.time) - end for event, (_, end) in zip(over, spans, strict=True) if not event.cause
            ]
            for sound in sounds:
                near = [onset for onset, end in spans if onset < sound.offset + 1 and end > sound.onset - 1]
                if sound.label == label and near:
                    errors.append(min((onset - sound.onset for onset in near), key=abs))
        site.forget()
    return errors, late


def seconds_of(time: str) -> float:
    """Stream seconds of a message, by its wall clock, which begins at 0."""
    hours, minute, rest = time[11:-1].split(":")
    return 3600 * int(hours) + 60 * int(minute) + float(rest)


def by_windows(engine: Engine, labels: Sequence[str], setting: Side, judging: Side) -> tuple[dict[str, Counts], float]:
    """Windows of the global stream over a threshold; one event goes on over pauses as long as the decider's."""
    names, grid = engine.manifest.names, candidates()
    ends = {label: {on: first_ends(setting, names.index(label), on) for on in grid} for label in labels}
    best: tuple[float, float, dict[str, float]] = (-1.0, 0.0, {})
    for lag in LAGS:
        tables = {
            label: {on: lagging(found, setting.known(label), lag) for on, found in ends[label].items()}
            for label in labels
        }
        everywhere = {on: sum((table[on] for table in tables.values()), Counts()) for on in grid}
        chosen: dict[str, float] = {}
        for label, table in tables.items():
            one = for_f1(table.__getitem__, everywhere.__getitem__, float("inf"))
            assert one is not None
            chosen[label] = one.on
        score = macro({label: tables[label][on] for label, on in chosen.items()})
        best = max(best, (score, lag, chosen), key=lambda item: item[0])
    _, lag, chosen = best
    counts = {
        label: lagging(first_ends(judging, names.index(label), chosen[label]), judging.known(label), lag)
        for label in labels
    }
    return counts, lag


def first_ends(side: Side, index: int, on: float) -> list[list[float]]:
    """Of each minute, the ends in s of the first windows over a threshold, and of the first after a pause."""
    found = []
    for hearings in side.hearings:
        over = [hearing.window.end for hearing in hearings if hearing.global_[index] >= on]
        longest = HOLD * hearings[0].sizes.rate
        firsts = [end for end, before in zip(over, [-EVER, *over], strict=False) if end - before > longest]
        found.append([end / hearings[0].sizes.rate for end in firsts])
    return found


def lagging(ends: Sequence[Sequence[float]], known: Sequence[Sequence[float]], lag: float) -> Counts:
    """How right they are, `lag` taken off."""
    pairs = zip(ends, known, strict=True)
    return sum((match([end - lag for end in of], onsets) for of, onsets in pairs), Counts())
