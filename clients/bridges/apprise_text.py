"""What a notification says."""

from collections.abc import Sequence
from datetime import datetime

from glatd.clients.bridges.apprise_pace import Kept
from glatd.errors import ConfigError
from glatd.messages import Event

MOST_LINES = 20  # of a notification about many
AT = "%a %H:%M:%S"

_SAMPLE = Event(
    "edge-1", "s", "yard", "2026-01-01T00:00:25.920000Z", offset=1, id="i", phase="start", label="Dog", mid="/m/0bt9lr",
    rate=32_000, onset=466_240, offset_time=None, peak=0.93, mean=0.9, evidence={}, cause="",
)  # fmt: skip


class Template:
    """Title and text of a notification about one event, in the form of Python's `str.format`.

    Fields: label, stream, node, phase, cause, id; peak and mean, 0 to 1; at, when it began, in local time; seconds that
    it lasted, 0 where that is not known yet.

    Raises:
        ConfigError: a field that there is not, or a form that is none.
    """

    def __init__(self, title: str, text: str) -> None:
        self._title, self._text = title, text
        for name, form in (("title", title), ("text", text)):
            try:
                form.format(**_fields(_SAMPLE))
            except (KeyError, IndexError) as error:
                raise ConfigError(
                    f"{name} = {form!r} has an unknown field {error}; known: {', '.join(_fields(_SAMPLE))}"
                ) from error
            except (ValueError, AttributeError, TypeError) as error:
                raise ConfigError(f"{name} = {form!r} is no template: {error}") from error

    def about(self, event: Event) -> tuple[str, str]:
        """Title and text."""
        fields = _fields(event)
        return self._title.format(**fields), self._text.format(**fields)

    def about_many(self, kinds: Sequence[Kept]) -> tuple[str, str]:
        """Title and text of what was not told one by one, the most frequent first."""
        if len(kinds) == 1 and kinds[0].count == 1:
            return self.about(kinds[0].first)
        ordered = sorted(kinds, key=lambda kept: -kept.count)
        count = sum(kept.count for kept in kinds)
        title = f"{count} more: {_named(ordered[0].first)}" if len(kinds) == 1 else f"{count} more sounds"
        lines = [
            f"{kept.count} × {_named(kept.first)} ({kept.first.node}), {_span(kept)}" for kept in ordered[:MOST_LINES]
        ]
        if rest := ordered[MOST_LINES:]:
            lines.append(f"and {sum(kept.count for kept in rest)} more of {len(rest)} other kinds")
        return title, "\n".join(lines)


def began(event: Event) -> datetime:
    """When an event began, in local time; when it was told where that is not known."""
    try:
        return datetime.fromisoformat(event.onset_at or event.time).astimezone()
    except ValueError:
        return datetime.now().astimezone()


def _fields(event: Event) -> dict[str, object]:
    lasted = 0.0 if event.offset_time is None else (event.offset_time - event.onset) / event.rate
    return {
        "label": event.label, "stream": event.stream, "node": event.node, "phase": event.phase, "cause": event.cause,
        "id": event.id, "peak": event.peak, "mean": event.mean, "at": began(event), "seconds": lasted,
    }  # fmt: skip


def _named(event: Event) -> str:
    return f"{event.label} on {event.stream}"


def _span(kept: Kept) -> str:
    first, last = (began(event).strftime(AT) for event in (kept.first, kept.last))
    return first if first == last else f"{first} to {last}"
