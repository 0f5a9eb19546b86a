"""What the command line writes: messages on stdout, errors on stderr; the log is in logs.py."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from typing import Any

from glatd.errors import GlatdError
from glatd.redact import redact


class Printer:
    """A sink that writes to stdout."""

    def __init__(self, form: str, names: bool) -> None:
        from glatd.render import TextView

        self._json = form == "jsonl"
        self._view = TextView(colour=colours(), names=names)

    def __call__(self, message: Any) -> None:
        from glatd.render import as_json

        for line in [as_json(message)] if self._json else self._view.lines(message):
            print(line, flush=True)

    def close(self) -> None:
        """What was heard, after text."""
        if not self._json and self._view.windows:
            print("\n".join(["", *self._view.summary()]), flush=True)


def stop_on_signals(stop: Callable[[], object]) -> None:
    """SIGTERM and SIGINT only call `stop`, which sets a flag. In the main thread."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def colours() -> bool:
    """Whether stdout is for eyes that want colours."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def columns() -> int:
    """Of the terminal; 0 where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def tell(error: GlatdError) -> None:
    """One line on stderr."""
    print(f"glatd: {redact(' '.join(str(error).split()))}", file=sys.stderr, flush=True)
