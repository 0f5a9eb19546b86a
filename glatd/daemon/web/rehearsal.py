"""What would have been told by another rule: decided by the daemon's own decider, on what is remembered."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any

from glatd.daemon.calibrate.thresholds import LOWEST
from glatd.daemon.events.rules import Rules, classes_meant
from glatd.daemon.events.settings import KEYS, RuleSettings
from glatd.daemon.events.tape import Ended, Lost, decide
from glatd.daemon.live_rules import LOWER, LiveRules, read_value
from glatd.daemon.web.asking import Refused, text_of
from glatd.daemon.web.kept import Turns, played
from glatd.daemon.web.memory import SECONDS
from glatd.daemon.web.stories import span, told
from glatd.engines.manifest import Manifest
from glatd.labels import ancestors
from glatd.messages import Event

OTHERS = tuple(key for key in KEYS if key != "on")
GOES_ON = "goes on"  # cause of an end that is none
FIELDS = ("stream", "label", "threshold", "seconds", *OTHERS)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be tried."""

    stream: str
    label: str
    threshold: float
    seconds: float  # back from now
    others: Mapping[str, Any]  # keys of a rule

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Trial":
        """As a POST brings it.

        Raises:
            Refused: a value that cannot be.
        """
        threshold = fields.get("threshold")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not LOWEST <= threshold <= 1:
            raise Refused(400, f'"threshold" must be a score from {LOWEST:g} to 1; less is not remembered')
        seconds = fields.get("seconds", SECONDS)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 10 <= seconds <= SECONDS:
            raise Refused(400, f'"seconds" must be a number from 10 to {SECONDS:g}')
        others = {key: fields[key] for key in OTHERS if fields.get(key) is not None}
        stream, label = text_of(fields, "stream"), text_of(fields, "label")
        return cls(stream, label, round(float(threshold), 4), float(seconds), others)

    def rule(self, now: LiveRules) -> RuleSettings:
        """As `[[events.rule]]` has it. Nothing else changes: not its children, nor what is told beside it.

        Raises:
            ConfigError: a label or value that cannot be.
        """
        meant, rules = self.meant(now), now.resolved
        given = {"on": self.threshold} | {key: read_value(key, json.dumps(value)) for key, value in self.others.items()}
        if "publish" not in given and not any(rules.on[index] <= 1 for index in meant):
            given["publish"] = True
        # A slider that is moved below the other threshold means both.
        if "off" not in given and self.threshold < max(rules.of[index].off for index in meant):
            given["off"] = round(LOWER * self.threshold, 4)
        return RuleSettings((self.label,), self._is_group(now), (self.stream,), beside=False, **given)

    def meant(self, now: LiveRules) -> list[int]:
        """The class of that name; where it is a group that is none, all below it.

        Raises:
            ConfigError: there is no such label.
        """
        above = [ancestors(label.mid) for label in now.labels]
        return classes_meant(self.label, self._is_group(now), now.labels, above, "rehearse")

    def _is_group(self, now: LiveRules) -> bool:
        return all(label.name != self.label for label in now.labels)


@lru_cache(8)
def the_same(rules: LiveRules) -> LiveRules:
    """Rules that are equal to these, and as a rule resolved already: that takes 40 ms."""
    return rules


def rehearse(
    trial: Trial,
    now: LiveRules,
    turns: Turns,
    whole: bool,
    events: Sequence[Event],
    manifest: Manifest,
    step: Callable[[], None],
) -> dict[str, Any]:
    """What would have fired, and what did.

    Args:
        now: rules of the stream.
        turns: what is remembered of it, by the engine of `manifest`.
        whole: whether that is all since it began.
        events: that were told of it in this run, in order.
        step: called between two looks.

    Raises:
        ConfigError: a label or value that cannot be.
        Refused: nothing is remembered yet; or it is of another engine, and rules mean its classes by number.
    """
    if (now.labels, now.sizes) != (manifest.labels, manifest.geometry):
        raise Refused(503, "another engine takes over; ask again")
    rule, meant = trial.rule(now), set(trial.meant(now))
    step()
    limited = _limited(replace(now, since=(*now.since, rule)).resolved, meant)
    windows = [turn.window for turn in turns if not isinstance(turn, Lost)]
    if not windows:
        raise Refused(400, f"nothing is remembered of {trial.stream!r} yet; wait for a second of sound")
    # What is in the first window that is remembered may have begun before it.
    first = windows[0].start if whole else windows[0].end
    mids = {manifest.labels[index].mid for index in meant}
    # Ended, so that its peak is told.
    heard = chain(played(turns, manifest, step), [Ended(GOES_ON)])
    again = decide(heard, limited, manifest, trial.stream)
    fired, actual = (
        [span(story) for story in told([event for event in heard if event.mid in mids]) if story.last.onset >= first]
        for heard in ([_going_on(event) for event in again], events)
    )
    seconds = (windows[-1].end - max(0, first)) / manifest.geometry.rate
    return {"fired": fired, "actual": actual, "seconds": round(seconds, 2), "toml": as_toml(rule)}


def _going_on(event: Event) -> Event:
    """What only the end of what is remembered has ended goes on."""
    return replace(event, offset_time=None, phase="update") if event.cause == GOES_ON else event


def as_toml(rule: RuleSettings) -> str:
    """The lines for glatd.toml that make it so."""
    keys = ("labels", "children", "streams", "beside", *KEYS)
    # A text of JSON, a number or a list of them is one of TOML too.
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key in keys if (value := getattr(rule, key)) is not None
    ]
    return "\n".join(["[[events.rule]]", *lines, ""])


def _limited(rules: Rules, meant: set[int]) -> Rules:
    """The same for these classes and for all that say or suppress one of them, directly or not: the others are idle."""
    needed, new = set[int](), set(meant)
    while new:
        needed |= new
        around = {other for index in new for other in rules.below[index]}
        around |= {other for index in new for part in rules.suppressed[index] for other in part.by}
        new = around - needed
    told = [index for index in needed if rules.on[index] <= 1]
    return rules.only({index: (rules.of[index].on, rules.of[index].off) for index in told})
