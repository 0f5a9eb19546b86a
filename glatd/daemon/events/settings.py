"""What `[events]` of a configuration says: one frozen tree, checked key by key."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from glatd.errors import ConfigError
from glatd.schedule import Schedule

PIECES = 1000  # at most that a confirmation looks back over: 320 s


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """One [[events.rule]]: what is other than usual for some classes on some streams. A later rule wins.

    What is None stays as it was.
    """

    labels: tuple[str, ...] = ()  # display names of labels, or of groups of AudioSet's ontology; none: every class
    children: bool = True  # whether what stands below these in the ontology is meant too
    streams: tuple[str, ...] = ("*",)  # globs
    beside: bool = True  # whether a class that is named here is told also where a more specific one has told its sound
    publish: bool | None = None  # false: such events are not told
    on: float | None = None
    off: float | None = None
    confirm: tuple[int, int] | None = None
    min_duration: float | None = None
    hold: float | None = None
    cooldown: float | None = None
    update_seconds: float | None = None
    suppress: tuple[str, ...] = ()  # labels or groups that are not told to begin while one of these lasts,
    suppress_seconds: float = 0.0  # nor for so many s after its end
    schedule: str | None = None
    days: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class EventSettings:
    """[events]: the defaults of every class, and the rules."""

    publish: bool = True  # false: no events, except those of classes for which a rule says true
    on: float = 0.5  # fused score from which a class is heard
    off: float = 0.3  # fused score below which it is no longer
    confirm: tuple[int, int] = (1, 1)  # M of the last N pieces of audio (0.32 s each) must hold it before it is told
    min_duration: float = 0.0  # s, shorter ones are not told
    hold: float = 2.0  # s of pause that do not end an event
    cooldown: float = 0.0  # s from the end of an event to the next onset of its class
    update_seconds: float = 5.0  # at least between two updates of an event
    schedule: str = ""  # "22:00-06:00": events begin only then, by this machine's local time; "" for always
    days: tuple[str, ...] = ()  # of them "mon" to "sun"; the day on which a span over midnight begins; () for all
    ignore: tuple[str, ...] = ("Silence",)  # labels that are not told unless a rule says so
    rule: tuple[RuleSettings, ...] = ()


KEYS = ("publish", "on", "off", "confirm", "min_duration", "hold", "cooldown", "update_seconds", "schedule", "days")


def check_events(settings: EventSettings, where: str) -> None:
    """Refuse values that cannot be. Labels are checked where the engine's are known.

    Raises:
        ConfigError: naming the key, the value and what can be.
    """
    _check(settings, f"{where}: events")
    for number, rule in enumerate(settings.rule, 1):
        name = f"{where}: events.rule {number}"
        if bool(rule.suppress) and not rule.labels:
            raise ConfigError(f"{name}: suppress needs labels that suppress; add labels = [...]")
        if not 0 <= rule.suppress_seconds < math.inf:
            raise ConfigError(f"{name}: suppress_seconds = {rule.suppress_seconds!r} must be a number from 0 on")
        if not rule.streams:
            raise ConfigError(f'{name}: streams = [] is no stream; leave it out for all, or give ["yard*"]')
        _check(rule, name)


def _check(settings: EventSettings | RuleSettings, where: str) -> None:
    given = {field.name: getattr(settings, field.name) for field in fields(settings)}
    for key in ("on", "off"):
        value = given[key]
        if value is not None and not 0 < value <= 1:
            raise ConfigError(f"{where}: {key} = {value!r} must be a score above 0 and up to 1")
    if given["on"] is not None and given["off"] is not None and given["off"] > given["on"]:
        raise ConfigError(f"{where}: off = {given['off']!r} must not be above on = {given['on']!r}")
    for key in ("min_duration", "hold", "cooldown", "update_seconds"):
        value = given[key]
        if value is not None and not 0 <= value <= 86_400:
            raise ConfigError(f"{where}: {key} = {value!r} must be seconds from 0 to 86400")
    if (confirm := given["confirm"]) is not None and not 1 <= confirm[0] <= confirm[1] <= PIECES:
        raise ConfigError(f"{where}: confirm = {list(confirm)} must be [M, N] with 1 <= M <= N <= {PIECES}")
    if given["schedule"] is not None or given["days"] is not None:
        read_schedule(given["schedule"] or "", given["days"] or (), where)


def read_schedule(span: str, days: Sequence[str], where: str) -> Schedule:
    """The schedule of a span and days.

    Raises:
        ConfigError: what is neither.
    """
    try:
        return Schedule.read(span, days)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
