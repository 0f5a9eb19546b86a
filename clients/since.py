"""When to begin, as people write it: 10m, 2h, 14:30, 2026-01-31, first or now."""

import re
from datetime import datetime, timedelta

from glatd.clients.joining import Fresh
from glatd.errors import ConfigError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime) -> Fresh:
    """Where to begin, for `EventStream(fresh=...)`.

    Args:
        text: "first", "now", a time that has passed (10m, 1.5h, 7d), a time of day (14:30, which was yesterday if it
            is still to come today), a date, or both as in 2026-01-31T14:30; a time without a zone is of `now`'s.
        now: with its zone.

    Raises:
        ConfigError: none of them.
    """
    if text == "first":
        return "first"
    if text == "now":
        return "now"
    try:
        if passed := re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([smhdw])", text):
            return now - timedelta(**{UNITS[passed[2]]: float(passed[1])})
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
            hour, *rest = map(int, text.split(":"))
            today = now.replace(hour=hour, minute=rest[0], second=[*rest, 0][1], microsecond=0)
            return today if today <= now else today - timedelta(days=1)
        given = datetime.fromisoformat(text)
        return given if given.tzinfo else given.replace(tzinfo=now.tzinfo)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"since = {text!r} is no time; give for example 10m, 2h, 7d, 14:30, 2026-01-31T14:30, first or now"
        ) from None
