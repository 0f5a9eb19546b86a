"""The rules of one stream, resolved once: for every class of the engine what holds for it."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glatd.daemon.events.settings import KEYS, EventSettings, RuleSettings, read_schedule
from glatd.engines.manifest import Geometry, LabelEntry
from glatd.errors import ConfigError
from glatd.labels import ancestors, node_mid
from glatd.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one class, in samples."""

    on: float  # fused score
    off: float  # fused score
    confirm: tuple[int, int]  # pieces, of pieces
    min_duration: int
    hold: int
    cooldown: int
    update: int  # at least between two updates
    hop: int  # between two looks
    piece: int  # what a piece of audio is long: an output frame of the network
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Suppression:
    """While any of some classes lasts, and for a while after, others are not told to begin."""

    by: frozenset[int]
    samples: int  # after the end


@dataclass(frozen=True, slots=True)
class Rules:
    """Of one stream, over C classes."""

    on: NDArray[np.float32]  # [C] fused scores; above 1 where events of a class are not told
    off: NDArray[np.float32]  # [C] fused scores
    of: tuple[Rule, ...]  # C
    order: tuple[int, ...]  # C, rank in which classes are decided: who suppresses first, then children first
    below: tuple[frozenset[int], ...]  # C, classes whose events say this one too; none where it is told beside them
    suppressed: tuple[tuple[Suppression, ...], ...]  # C

    @property
    def any(self) -> bool:
        """Whether any event can ever be told."""
        return bool((self.on <= 1).any())

    def only(self, thresholds: Mapping[int, tuple[float, float]]) -> "Rules":
        """The same for some classes, with these thresholds on and off; no other class is told."""
        count = len(self.of)
        on, off, of = np.full(count, 2.0, np.float32), np.full(count, 2.0, np.float32), list(self.of)
        for index, (upper, lower) in thresholds.items():
            on[index], off[index] = upper, lower
            of[index] = replace(of[index], on=upper, off=lower)
        return replace(self, on=on, off=off, of=tuple(of))


def resolve(settings: EventSettings, labels: Sequence[LabelEntry], sizes: Geometry, hop: int, stream: str) -> Rules:
    """The rules of one stream. Streams of which the same hold share them: they are 0.7 MB for AudioSet's classes.

    Args:
        labels: of the engine, in the order of its scores.
        hop: samples between windows.
        stream: name that the rules' globs are matched with.

    Raises:
        ConfigError: a label or group that is unknown, or that none of the engine's classes belongs to; hysteresis
            upside down.
    """
    holds = tuple(any(fnmatch.fnmatchcase(stream, glob) for glob in rule.streams) for rule in settings.rule)
    rules, upside_down = _resolved(settings, tuple(labels), sizes, hop, holds)
    if upside_down:
        index, on, off = upside_down
        raise ConfigError(
            f"events: {labels[index].name} on stream {stream} has off = {off:g} above on = {on:g}; give its rule both"
        )
    return rules


@lru_cache(maxsize=4)
def _resolved(
    settings: EventSettings, labels: tuple[LabelEntry, ...], sizes: Geometry, hop: int, holds: tuple[bool, ...]
) -> tuple[Rules, tuple[int, float, float] | None]:
    """The rules of all streams of which the same ones of `settings` hold; and a class whose `off` is above its `on`,
    with both."""
    count = len(labels)
    above = [ancestors(label.mid) for label in labels]
    values: list[dict[str, Any]] = [{key: getattr(settings, key) for key in KEYS} for _ in labels]
    for name in settings.ignore:
        for index in classes_meant(name, False, labels, above, "events.ignore"):
            values[index]["publish"] = False
    named: set[int] = set()
    suppressed: list[list[Suppression]] = [[] for _ in labels]
    suppressors: set[int] = set()
    for number, (rule, here) in enumerate(zip(settings.rule, holds, strict=True), 1):
        where = f"events.rule {number}"
        meant = _meant(rule, labels, above, where)
        victims = {index for name in rule.suppress for index in classes_meant(name, True, labels, above, where)}
        if not here:
            continue
        given = {key: getattr(rule, key) for key in KEYS if getattr(rule, key) is not None}
        for index in meant:
            values[index] |= given
        if rule.beside and (given or not victims):
            named |= {index for index, label in enumerate(labels) if label.name in rule.labels}
        if victims:
            suppressors |= meant
            of = Suppression(frozenset(meant), round(rule.suppress_seconds * sizes.rate))
            for index in victims - meant:
                suppressed[index].append(of)
    wrong = ((index, value["on"], value["off"]) for index, value in enumerate(values) if value["off"] > value["on"])
    place_of = {label.mid: index for index, label in enumerate(labels)}
    below: list[set[int]] = [set() for _ in labels]
    for other in range(count):
        if values[other]["publish"]:
            for mid in above[other] & place_of.keys():
                below[place_of[mid]].add(other)
    order = sorted(range(count), key=lambda index: (index not in suppressors, -len(above[index]), index))
    rank = {index: place for place, index in enumerate(order)}
    rules = Rules(
        on=np.array([value["on"] if value["publish"] else 2.0 for value in values], np.float32),
        off=np.array([value["off"] for value in values], np.float32),
        of=tuple(_rule(value, sizes, hop) for value in values),
        order=tuple(rank[index] for index in range(count)),
        below=tuple(frozenset() if index in named else frozenset(each) for index, each in enumerate(below)),
        suppressed=tuple(tuple(part) for part in suppressed),
    )
    return rules, next(wrong, None)


def _rule(value: dict[str, Any], sizes: Geometry, hop: int) -> Rule:
    seconds = {
        name: round(value[key] * sizes.rate)
        for name, key in (
            ("min_duration", "min_duration"),
            ("hold", "hold"),
            ("cooldown", "cooldown"),
            ("update", "update_seconds"),
        )
    }
    return Rule(
        on=value["on"],
        off=value["off"],
        confirm=value["confirm"],
        hop=hop,
        piece=sizes.stride * sizes.hop,
        schedule=read_schedule(value["schedule"], value["days"], "events"),
        **seconds,
    )


def _meant(rule: RuleSettings, labels: Sequence[LabelEntry], above: Sequence[frozenset[str]], where: str) -> set[int]:
    if not rule.labels:
        return set(range(len(labels)))
    return {index for name in rule.labels for index in classes_meant(name, rule.children, labels, above, where)}


def classes_meant(
    name: str, children: bool, labels: Sequence[LabelEntry], above: Sequence[frozenset[str]], where: str
) -> list[int]:
    """The classes that a label or group means, by their numbers.

    Raises:
        ConfigError: it is unknown, or the engine has none of them; it begins with `where`.
    """
    own = {label.name: label.mid for label in labels}
    try:
        mid = own.get(name) or node_mid(name)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    found = [index for index, label in enumerate(labels) if label.mid == mid or (children and mid in above[index])]
    if not found and where != "events.ignore":
        raise ConfigError(f"{where}: the engine has no class {name!r}, nor one below it; see its labels")
    return found
