"""Thresholds of every class that was heard, or of every class that is labelled."""

import math
from functools import cache

from glatd.daemon.calibrate.matching import Counts
from glatd.daemon.calibrate.site import Site
from glatd.daemon.calibrate.thresholds import Found, candidates, for_f1, for_rate
from glatd.daemon.calibrate.truth import Truth
from glatd.daemon.events.rehearse import Tell
from glatd.errors import DataError


def by_rate(site: Site, rate: float, tell: Tell) -> dict[int, Found]:
    """Thresholds at which each class is told at most so often an hour, of all classes that were heard.

    The more specific classes come first: what they tell, the general ones do not.
    """
    found: dict[int, Found] = {}
    chosen: dict[int, float] = {}
    heard = site.heard()
    for number, index in enumerate(heard, 1):

        @cache
        def peaks(on: float, index: int = index) -> list[float]:
            return site.peaks(index, on, chosen)

        one = for_rate(peaks, rate, site.hours, site.usual(index))
        chosen[index] = one.on
        found[index] = one
        site.forget()
        tell(f"{number} of {len(heard)} classes: {site.manifest.labels[index].name}")
    # What was never told, and stays as it was, needs no rule.
    return {i: one for i, one in found.items() if one.basis != "never" or one.on != site.usual(i)}


def by_labels(site: Site, truth: Truth, rate: float | None, tell: Tell) -> dict[int, Found]:
    """Thresholds of the best event F1 of each labelled class; with a `rate`, of those with so few false alarms.

    Raises:
        DataError: a label that the engine has not.
    """
    names = site.manifest.names
    if unknown := sorted(set(truth.labels) - set(names)):
        raise DataError(f"this engine has no class {unknown[0]!r}; take its rows out of the labels")
    known = {
        names.index(label): {stream: of.get(label, ()) for stream, of in truth.onsets.items()} for label in truth.labels
    }
    tables: dict[int, dict[float, Counts]] = {}
    for number, (index, onsets) in enumerate(known.items(), 1):
        tables[index] = {on: site.counts(index, on, onsets) for on in candidates()}
        site.forget()
        tell(f"{number} of {len(known)} classes: {names[index]}")
    everywhere = {on: sum((table[on] for table in tables.values()), Counts()) for on in candidates()}
    most = math.inf if rate is None else math.floor(rate * site.hours + 1e-9)
    found: dict[int, Found] = {}
    for index, table in tables.items():
        one = for_f1(table.__getitem__, everywhere.__getitem__, most)
        last = candidates()[-1]
        found[index] = one or Found(2.0, "too often", int(table[last].false), Counts(missed=table[last].sounds))
    return found
