"""What a calibration found, as rules to paste and as a table to read."""

import json
from collections.abc import Mapping, Sequence

from glatd.daemon.calibrate.matching import COLLAR, Counts
from glatd.daemon.calibrate.site import Site
from glatd.daemon.calibrate.thresholds import CONFIDENCE, LOWEST, Found, off_of, poisson_bound

RESTS = {
    "counted": "counted",
    "extrapolated": "extrapolated",
    "few": "too few to say",
    "never": "never heard",
    "too often": "not to be had",
    "labels": "labels",
}


def as_toml(found: Mapping[int, Found], site: Site, aim: str, streams: Sequence[str], beside: bool) -> str:
    """One [[events.rule]] a class, for the end of a configuration, or for `glatd replay --rules`.

    Args:
        aim: what the thresholds are to do.
        streams: that they are for; empty for all.
        beside: whether they are told beside more specific classes.
    """
    names = ", ".join(stream.name for stream in site.streams)
    lines = [
        f"# Made by glatd calibrate: {aim}.",
        f"# It rests on {site.hours:.2f} h of {names}, and on engine {site.manifest.hash} ({site.manifest.model}).",
        "# Paste it at the end of glatd.toml, or try it: glatd replay REC --rules FILE",
    ]
    for index, one in _by_name(found, site):
        lines += ["", f"[[events.rule]] # {_why(one, site)}", f"labels = [{_text(site.manifest.labels[index].name)}]"]
        lines.append("children = false")
        if not beside:
            lines.append("beside = false")
        if streams:
            lines.append(f"streams = [{', '.join(map(_text, streams))}]")
        lines += ["publish = false"] if one.on > 1 else [f"on = {one.on:g}", f"off = {off_of(one.on):g}"]
    return "\n".join(lines) + "\n"


def as_table(found: Mapping[int, Found], site: Site) -> list[str]:
    """80 columns."""
    labelled = any(one.counts is not None for one in found.values())
    heads = "labelled  hits  false    F1" if labelled else "   told  an hour  at most"
    lines = [f"{'class':<28} {'on':>6} {heads}  rests on"]
    for index, one in _by_name(found, site):
        if one.counts is not None:
            counts = one.counts
            part = f"{counts.sounds:>8.0f} {counts.hits:>5.0f} {counts.false:>6.0f} {counts.f1:>5.2f}"
        else:
            part = f"{one.told:>7} {one.told / site.hours:>8.2f} {one.at_most(site.hours):>8.2f}"
        on = f"{one.on:.3f}" if one.on <= 1 else "none"
        lines.append(f"{site.manifest.labels[index].name[:28]:<28} {on:>6} {part}  {RESTS[one.basis]}")
    return lines


def in_words(found: Mapping[int, Found], site: Site, rate: float | None) -> list[str]:
    """What the figures can bear, and what was done where they cannot."""
    of = {basis: sum(one.basis == basis for one in found.values()) for basis in RESTS}
    streams = _many(len(site.streams), "stream")
    lines = [f"{site.hours:.2f} h of audio in {streams}; at most: with {CONFIDENCE:.0%} confidence"]
    if rate is not None and rate * site.hours < 1 and not of["labels"]:
        lines.append(
            f"{rate:g} an hour cannot be counted in {site.hours:.2f} h: if nothing at all is told in it, it may still "
            f"be {poisson_bound(0) / site.hours:.2f} an hour. {poisson_bound(0) / rate:.0f} h without a false alarm "
            "would show it."
        )
    if of["extrapolated"]:
        lines.append(
            f"extrapolated ({of['extrapolated']}): none is told here; how rare higher scores are was taken from the "
            "strongest events, whose log odds are assumed to fall off exponentially"
        )
    if of["few"]:
        lines.append(
            f"too few to say ({of['few']}): above all that was heard here, and never below the threshold of before"
        )
    if of["never"]:
        lines.append(f"never heard at {LOWEST:g} or more in an event: the threshold stays as it was")
    if of["too often"]:
        lines.append(
            f"not to be had ({of['too often']}): told too often at any threshold, so it is told no more; where that is "
            "what you want to hear of, take its rule out"
        )
    if of["labels"]:
        few = [site.manifest.labels[i].name for i, one in found.items() if one.counts and one.counts.sounds < 10]
        lines.append(f"F1 of events whose onset is within {COLLAR:g} s of a label")
        if few:
            lines.append(f"fewer than 10 labelled events, so mostly as the other classes: {', '.join(sorted(few))}")
    return lines


def _by_name(found: Mapping[int, Found], site: Site) -> list[tuple[int, Found]]:
    return sorted(found.items(), key=lambda item: site.manifest.labels[item[0]].name)


def _why(one: Found, site: Site) -> str:
    if one.counts is not None:
        return f"F1 {one.counts.f1:.2f} of {_many(round(one.counts.sounds), 'labelled event')}"
    told = f"{one.told} told in {site.hours:.2f} h"
    return f"{RESTS[one.basis]}; {told}, at most {one.at_most(site.hours):.2f} an hour"


def _text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def total(found: Mapping[int, Found]) -> Counts:
    """Of all classes with labels."""
    return sum((one.counts for one in found.values() if one.counts is not None), Counts())
