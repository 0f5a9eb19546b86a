"""To hear what a node says: `glatd listen`."""

import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from glatd.cli.options import CLIENT_KEYS, PATH
from glatd.errors import ConfigError
from glatd.terminal import Printer, colours, columns, tell

HELP = {
    "label": "Only this class or group (Vehicle brings Truck): windows with such a tag, and only these tags.",
    "catchup": "Events, also those that were missed: what glatd.toml has under catchup.",
    "since": "Begin with what was told then: 10m, 2h, 7d, 14:30, 2026-01-31, first or now.",
    "cursor": "Go on after the event that was shown last, which is kept in FILE.",
    "phase": "Only these events: start, update, end or retract.",
}


@click.command()
@click.argument("endpoint")
@click.option("--stream", multiple=True, metavar="GLOB", help="Only streams whose name fits.")
@click.option("--label", multiple=True, metavar="NAME", help=HELP["label"])
@click.option("--least", type=float, default=0.0, metavar="SCORE", help="Only what scores as much, 0 to 1.")
@click.option("--events", is_flag=True, help="Only events, and the time of day at which they were.")
@click.option("--phase", multiple=True, metavar="PHASE", help=HELP["phase"])
@click.option("--catchup", multiple=True, metavar="ENDPOINT", help=HELP["catchup"])
@click.option("--since", metavar="WHEN", help=HELP["since"])
@click.option("--cursor", type=PATH, metavar="FILE", help=HELP["cursor"])
@click.option("--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
@click.option("--timeout", type=float, help="End after so many seconds of quiet.")
@CLIENT_KEYS
def listen(
    endpoint: str,
    events: bool,
    phase: tuple[str, ...],
    catchup: tuple[str, ...],
    since: str | None,
    cursor: Path | None,
    form: str,
    **options: Any,
) -> int:
    """Print what a node publishes.

    With --events, or an option that is about events, these alone. With --catchup none is lost: what was missed comes
    first, and what will not come is told.

    \b
      glatd listen tcp://127.0.0.1:5555
      glatd listen tcp://127.0.0.1:5555 --events --label Vehicle --phase start
      glatd listen tcp://127.0.0.1:5555 --catchup tcp://127.0.0.1:5557 --since 2h
    """
    if not (events or phase or catchup or since or cursor):
        return _print_all(endpoint, form, **options)
    if not catchup and (cursor or since not in (None, "now")):
        raise ConfigError(
            f"--{'cursor' if cursor else 'since'} needs --catchup ENDPOINT, what glatd.toml has under catchup: "
            "nobody else can be asked for what was missed"
        )
    from glatd.clients.since import parse_since

    fresh = parse_since(since or "now", datetime.now().astimezone())
    return _print_events(endpoint, catchup, cursor, form, phase=phase, fresh=fresh, **options)


def _print_all(endpoint: str, form: str, stream: tuple[str, ...], label: tuple[str, ...], **options: Any) -> int:
    """Everything as it comes; of some labels, tags alone."""
    from glatd.clients.subscriber import Subscriber

    types = ["tags"] if label or options["least"] else []
    printer = Printer(form, names=True)
    with Subscriber(endpoint, types, stream or "*", label=label, **options) as messages:
        _end_by_signal(messages.stop)
        try:
            for message in messages:
                printer(message)
        except KeyboardInterrupt:
            pass
        if messages.missed:
            tell(ConfigError(f"{messages.missed} windows were dropped on the way; read faster or subscribe to less"))
    return 0


def _print_events(
    endpoint: str, catchup: tuple[str, ...], cursor: Path | None, form: str, stream: tuple[str, ...], **options: Any
) -> int:
    """Events in their order, and in their place what is lost."""
    from glatd.clients.cursor import FileCursor
    from glatd.clients.events import EventStream
    from glatd.clients.joining import Loss
    from glatd.clients.lines import EventLines
    from glatd.messages import Event
    from glatd.render import as_json

    view = EventLines(colours(), columns())

    def show(item: Event | Loss) -> None:
        if form == "jsonl":
            lines = [as_json(item.message() if isinstance(item, Loss) else item)]
        else:
            lines = view.lost(item) if isinstance(item, Loss) else view.event(item)
        print("\n".join(lines), flush=True)

    kept = None if cursor is None else FileCursor(cursor)
    with EventStream(endpoint, catchup, kept, stream=stream or "*", lost=show, **options) as events:
        _end_by_signal(events.stop)
        try:
            for event in events:
                show(event)
        except KeyboardInterrupt:
            pass
    return 0


def _end_by_signal(stop: Callable[[], None]) -> None:
    """So that the cursor is saved and what was dropped is told also when a service is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: stop())
