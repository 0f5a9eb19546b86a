"""Rules of events that are changed while a stream runs: those of the configuration, and what was set since."""

import tomllib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from glatd.config import build
from glatd.daemon.events.rules import Rules, classes_meant, resolve
from glatd.daemon.events.settings import KEYS, EventSettings, RuleSettings, check_events
from glatd.engines.manifest import Geometry, LabelEntry
from glatd.errors import ConfigError
from glatd.labels import ancestors

LOWER = 0.6  # of a threshold that is set below where its events end: there they end then, as 0.3 is of 0.5


@dataclass(frozen=True)
class LiveRules:
    """Of one stream. Each change makes new ones, so what cannot be resolved changes nothing."""

    settings: EventSettings  # of the configuration
    labels: tuple[LabelEntry, ...]  # of the engine
    sizes: Geometry
    hop: int  # samples between windows
    stream: str
    since: tuple[RuleSettings, ...] = ()  # what was set, one of each label

    @cached_property
    def resolved(self) -> Rules:
        """For every class of the engine.

        Raises:
            ConfigError: what cannot be.
        """
        settings = replace(self.settings, rule=(*self.settings.rule, *self.since))
        check_events(settings, "set")
        return resolve(settings, self.labels, self.sizes, self.hop, self.stream)

    def with_one(self, label: str, key: str, value: str) -> "LiveRules":
        """One key changed for a class or group, in the place of what was set for it before.

        Args:
            value: as it would stand in the configuration: 0.7, false, [3, 60], "18:00-08:00".

        Raises:
            ConfigError: an unknown label or key, or a value that cannot be.
        """
        meant = self._meant(label)
        old = next((rule for rule in self.since if rule.labels == (label,)), RuleSettings((label,)))
        others = tuple(rule for rule in self.since if rule is not old)
        rule = replace(old, **{key: read_value(key, value)})
        if key == "on" and (on := rule.on) is not None:
            if old.on is not None and old.off == LOWER * old.on:
                rule = replace(rule, off=None)
            before = replace(self, since=(*others, replace(rule, on=None))).resolved
            # A slider that is moved below the other threshold means both.
            if on < max(before.of[index].off for index in meant):
                rule = replace(rule, off=LOWER * on)
        new = replace(self, since=(*others, rule))
        _ = new.resolved  # raises where it cannot be
        return new

    def also(self, rule: RuleSettings) -> "LiveRules":
        """A rule that was set before, for other settings or another engine.

        Raises:
            ConfigError: the engine has not what it names, or it does not go with the others.
        """
        new = replace(self, since=(*self.since, rule))
        _ = new.resolved  # raises where it cannot be
        return new

    def told(self, label: str) -> dict[str, Any]:
        """What a reply says of a class, or of a group and all below it.

        Raises:
            ConfigError: there is no such class.
        """
        meant = self._meant(label)
        told = [index for index in meant if self.resolved.on[index] <= 1]
        names = [entry.name for entry in self.labels]
        # A group that is no class of its own speaks by the first class below it.
        rule = self.resolved.of[names.index(label) if label in names else meant[0]]
        return {
            "stream": self.stream,
            "label": label,
            "publish": bool(told),
            "on": rule.on,
            "off": rule.off,
        }

    def _meant(self, label: str) -> list[int]:
        return classes_meant(label, True, self.labels, [ancestors(entry.mid) for entry in self.labels], "set")


def read_value(key: str, value: str) -> Any:
    """The value of a key of a rule, written as in a configuration.

    Raises:
        ConfigError: naming what it is not.
    """
    if key not in KEYS:
        raise ConfigError(f"cannot set {key!r}; what can be set: {', '.join(KEYS)}")
    try:
        table = tomllib.loads(f"{key} = {value}")
    except (ValueError, RecursionError):
        table = {}
    if list(table) != [key]:
        raise ConfigError(f"{key} = {value!r} is no value of TOML; write 0.7, false, [3, 60] or '18:00-08:00'")
    return getattr(build(RuleSettings, table, "set"), key)
